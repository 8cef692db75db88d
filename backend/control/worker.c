#include "backend/control/worker.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "backend/control/answer.h"
#include "backend/control/socket.h"
#include "backend/control/vbd.h"
#include "backend/control/xentop.h"
#include "backend/util/limits.h"
#include "backend/util/log.h"
#include "xenstore/node.h"
#include "xenstore/path.h"
#include "xenstore/store.h"

/* What no event tells is looked for this long after something has happened, and again as long as something does. */
#define LOOK_SECONDS 30

struct worker {
	const struct worker_config *cfg;
	struct store *store;
	struct control_socket socket;
	struct xentop xentop;
	struct budget budget;
	struct vbd vbd;
	int epoll_fd;
	int signal_fd;
	int timer_fd;
	bool has_vbd;
	bool is_ready;
	bool timer_runs;
	bool has_report;       /* the queue has told us, and we have not heeded it */
	uint64_t next_heed_ms; /* not before */
};

bool worker_name(const char *backend, char ret_name[WORKER_NAME_MAX])
{
	struct vbd_path path;

	if (vbd_path_parse(backend, &path))
		return false;
	(void)snprintf(ret_name, WORKER_NAME_MAX, "%s-%u-%u", path.kind, path.domid, path.devid);
	return true;
}

void worker_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGTERM);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGUSR1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the beginning ---- */

static int wait_for(struct worker *w, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0)
		return -errno;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_descriptors(struct worker *w)
{
	sigset_t signals;
	int r;

	worker_signals(&signals);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	w->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	r = wait_for(w, w->signal_fd);
	if (r)
		return r;
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = wait_for(w, w->timer_fd);
	if (r == 0)
		r = wait_for(w, store_fd(w->store));
	return r;
}

/* What a failed vbd_init() means for whoever started us. */
static enum worker_exit exit_of_init(int error)
{
	switch (error) {
	case -EPIPE:
		return WORKER_NO_STORE;
	case -ENOENT:
	case -EINVAL:
		return WORKER_NO_DISK;
	default:
		return WORKER_FAILED;
	}
}

static bool answer_line(void *ctx, char *line, struct json_object **ret_answer)
{
	struct worker *w = ctx;

	return answer(&w->vbd, now_ms(), line, ret_answer);
}

/* A worker of this disk that was killed has left its record; its pid file is ours, so it is dead. */
static void remove_stale_record(struct worker *w)
{
	struct node_dir dir = {.store = w->store, .txn = STORE_NO_TXN, .path = w->cfg->backend};
	const struct vbd_path *id = &w->vbd.id;
	uint32_t pid;

	if (node_u32(&dir, "kthread-pid", 1, INT32_MAX, &pid) != NODE_VALUE)
		return;
	/* It may have had no time to say so in the store. */
	if (xentop_was_lost(w->cfg->stats_dir, pid, id->domid, id->devid))
		vbd_inherit_fault(&w->vbd);
	xentop_remove(w->cfg->stats_dir, pid, id->domid, id->devid);
}

/* What people look at. The disk is served without it, too, so a failure is only told. */
static void open_views(struct worker *w)
{
	const struct worker_config *cfg = w->cfg;
	const struct vbd_path *id = &w->vbd.id;
	char name[WORKER_NAME_MAX];
	struct problem problem;

	remove_stale_record(w);
	if (xentop_init(&w->xentop, cfg->stats_dir, id->domid, id->devid, &problem))
		log_warn("%s", problem.text);
	w->vbd.conn.record = w->xentop.file;
	if (worker_name(cfg->backend, name) &&
		socket_open(&w->socket, cfg->run_dir, name, w->epoll_fd, &problem))
		log_warn("%s", problem.text);
}

/* Pages of guests are counted with those of the other workers. Where that cannot be done the disk is served without any. */
static void open_budget(struct worker *w)
{
	const struct worker_config *cfg = w->cfg;
	struct problem problem;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/grants", cfg->run_dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		log_warn("the run directory's name is too long: all data is copied");
	else if (budget_open(&w->budget, path, cfg->max_grants, &problem))
		log_warn("%s", problem.text);
	else
		w->vbd.conn.budget = &w->budget;
}

static enum worker_exit start(struct worker *w)
{
	struct problem problem;
	int r = store_open(&w->store);

	if (r) {
		log_err("xenstored cannot be reached: %s: is it running on this host?",
			strerror(-r));
		return WORKER_NO_STORE;
	}
	r = open_descriptors(w);
	if (r) {
		log_err("events cannot be waited for: %s", strerror(-r));
		return WORKER_FAILED;
	}
	r = vbd_init(&w->vbd, w->store, w->cfg->backend, w->cfg->max_queues, &problem);
	w->has_vbd = true;
	if (r) {
		log_err("%s", problem.text);
		return exit_of_init(r);
	}
	r = wait_for(w, w->vbd.conn.report_fd);
	if (r == 0)
		r = wait_for(w, w->vbd.conn.size_watch.fd);
	if (r == 0)
		r = wait_for(w, w->vbd.conn.change.fd);
	if (r) {
		log_err("the disk's events cannot be waited for: %s", strerror(-r));
		return WORKER_FAILED;
	}
	w->vbd.conn.default_cache = w->vbd.pub.default_cache = w->cfg->cache;
	w->vbd.conn.image.emulated.run_dir = w->cfg->run_dir;
	open_views(w);
	open_budget(w);
	return WORKER_OK;
}

/*
 * The first look stops short of connecting: a refused connection is not the matter of whoever waits
 * for us to be ready.
 */
static void look(struct worker *w)
{
	if (!w->is_ready && vbd_open(&w->vbd, now_ms()) == VBD_LIVES &&
		w->vbd.self != XENBUS_INITIALISING) {
		w->is_ready = true;
		w->cfg->ready(w->cfg->ctx);
	}
	if (w->is_ready && w->vbd.end == VBD_LIVES)
		(void)vbd_look(&w->vbd, now_ms());
}

static void look_at_size(struct worker *w)
{
	struct problem ignored;

	(void)vbd_look_at_size(&w->vbd, now_ms(), &ignored);
}

/* ---- events ---- */

static void heed_signal(struct worker *w)
{
	struct signalfd_siginfo info;

	while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1) {
			connection_log_totals(&w->vbd.conn);
			continue;
		}
		log_info("asked to stop by signal %u", info.ssi_signo);
		vbd_shut_down(&w->vbd);
	}
}

static void look_again_later(struct worker *w)
{
	struct itimerspec once = {.it_value.tv_sec = LOOK_SECONDS};

	/* Of a descriptor and a time that are right nothing can fail. */
	if (!w->timer_runs)
		(void)timerfd_settime(w->timer_fd, 0, &once, NULL);
	w->timer_runs = true;
}

/*
 * What did not get through for others' writing has another try, and the size is looked at. A disk at which nothing happens does
 * not wake us any more: its queues say when its guest stirs.
 */
static void heed_timer(struct worker *w)
{
	uint64_t count;

	(void)!read(w->timer_fd, &count, sizeof(count));
	w->timer_runs = false;
	look(w);
	look_at_size(w);
	if (!vbd_is_settled(&w->vbd) || connection_has_stirred(&w->vbd.conn))
		look_again_later(w);
}

static void heed_size_watch(struct worker *w)
{
	if (size_watch_heed(&w->vbd.conn.size_watch))
		look_at_size(w);
}

/* The queue does not tell us again before we have heeded it: so a guest cannot keep us busy. */
static void note_report(struct worker *w)
{
	uint64_t count;

	(void)!read(w->vbd.conn.report_fd, &count, sizeof(count));
	w->has_report = true;
}

static void heed_report(struct worker *w)
{
	uint64_t now = now_ms();

	if (!w->has_report || now < w->next_heed_ms)
		return;
	w->has_report = false;
	w->next_heed_ms = now + LIMIT_REPORT_INTERVAL_MS;
	(void)vbd_heed_queue(&w->vbd, now);
}

/* After every event: a connection that ends takes its change with it. */
static void heed_change(struct worker *w)
{
	struct json_object *answer;

	w->vbd.now_ms = now_ms();
	if (answer_change(&w->vbd, &answer))
		socket_answer(&w->socket, answer);
}

/* Of two times to wait, of which -1 is for ever. */
static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Until the vbd is to be looked at without an event. */
static int look_patience_ms(const struct worker *w, uint64_t now)
{
	int patience = sooner(rival_patience_ms(&w->vbd, now), mode_patience_ms(&w->vbd, now));

	return sooner(patience, vbd_image_patience_ms(&w->vbd));
}

/* For epoll: until the report may be heeded, or the vbd is to be looked at again, or for ever. */
static int patience_ms(const struct worker *w)
{
	uint64_t now = now_ms();
	int patience = look_patience_ms(w, now);

	if (!w->has_report)
		return patience;
	return sooner(patience, now < w->next_heed_ms ? (int)(w->next_heed_ms - now) : 0);
}

static void heed(struct worker *w, int fd)
{
	if (fd == w->timer_fd) {
		heed_timer(w);
		return;
	}
	look_again_later(w);
	if (fd == w->signal_fd)
		heed_signal(w);
	else if (fd == w->vbd.conn.report_fd)
		note_report(w);
	else if (fd == w->vbd.conn.size_watch.fd)
		heed_size_watch(w);
	else if (fd == w->vbd.conn.change.fd)
		heed_change(w);
	else if (!socket_heed(&w->socket, fd))
		look(w);
}

static void serve(struct worker *w)
{
	look(w);
	look_again_later(w);
	while (w->vbd.end == VBD_LIVES) {
		struct epoll_event event;

		if (epoll_wait(w->epoll_fd, &event, 1, patience_ms(w)) == 1)
			heed(w, event.data.fd);
		else if (look_patience_ms(w, now_ms()) >= 0)
			look(w);
		if (w->vbd.end == VBD_LIVES)
			heed_report(w);
		heed_change(w);
	}
}

/* ---- the end ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void stop(struct worker *w)
{
	if (w->has_vbd)
		vbd_fini(&w->vbd);
	xentop_fini(&w->xentop);
	budget_close(&w->budget);
	socket_fini(&w->socket);
	store_close(w->store);
	close_fd(w->timer_fd);
	close_fd(w->signal_fd);
	close_fd(w->epoll_fd);
}

/* Of a worker that got as far as serving, and has stopped. */
static enum worker_exit exit_of_end(const struct worker *w)
{
	/* Said first: everything else can be put right. */
	if (vbd_data_lost(&w->vbd))
		return WORKER_LOST;
	if (w->vbd.end == VBD_STORE_LOST)
		return WORKER_NO_STORE;
	if (w->vbd.end == VBD_RIVALLED)
		return WORKER_RIVALLED;
	if (w->vbd.end != VBD_FINISHED)
		return WORKER_FAILED;
	if (w->is_ready)
		return WORKER_OK;
	log_err("'%s' is being taken away (node online, state or directory): it can be served when the toolstack attaches it again",
		w->cfg->backend);
	return WORKER_NO_DISK;
}

bool worker_parse_queues(const char *text, unsigned *ret_max_queues)
{
	uint32_t n;

	if (!node_parse_u32(text, 1, LIMIT_QUEUES, &n))
		return false;
	*ret_max_queues = n;
	return true;
}

bool worker_parse_grants(const char *text, unsigned *ret_max_grants)
{
	uint32_t n;

	if (!node_parse_u32(text, 0, LIMIT_GRANTS_HOST_MAX, &n))
		return false;
	*ret_max_grants = n;
	return true;
}

unsigned worker_default_grants(void)
{
	return LIMIT_GRANTS_HOST;
}

/* A queue is a thread: more of them than processors gain nothing. */
unsigned worker_default_queues(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > LIMIT_QUEUES ? LIMIT_QUEUES : (unsigned)n;
}

enum worker_exit worker_run(const struct worker_config *cfg)
{
	struct worker w = {.cfg = cfg,
		.xentop = {.dir_fd = -1},
		.budget = {.fd = -1},
		.epoll_fd = -1,
		.signal_fd = -1,
		.timer_fd = -1};
	enum worker_exit result;

	socket_init(&w.socket, answer_line, &w);
	result = start(&w);
	if (result != WORKER_OK) {
		stop(&w);
		return result;
	}
	serve(&w);
	stop(&w);
	return exit_of_end(&w);
}
