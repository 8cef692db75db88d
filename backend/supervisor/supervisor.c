#include "backend/supervisor/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "backend/supervisor/config.h"
#include "backend/supervisor/domains.h"
#include "backend/supervisor/keeper.h"
#include "backend/supervisor/notify.h"
#include "backend/supervisor/scan.h"
#include "backend/util/log.h"
#include "xenstore/store.h"

/* So long after the store has told something domains are looked at once more. */
#define DOMAINS_CHECK_MS 5000

/* Attempts to reach a xenstored that was lost. */
#define RECONNECT_MIN_MS 100
#define RECONNECT_MAX_MS 5000

struct supervisor {
	const struct supervisor_options *options;
	struct config config;
	struct keeper keeper;
	int epoll_fd;
	int signal_fd;
	uint64_t check_at_ms; /* domains, in case a death went unseen; 0: nothing has happened */
	uint64_t reconnect_at_ms;
	uint32_t reconnect_delay_ms;
	bool has_to_end;
	char status[128]; /* as last told to the service manager */
};

void supervisor_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGTERM);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGHUP);
}

static uint64_t clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the beginning ---- */

static int wait_for(struct supervisor *s, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0)
		return -errno;
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Watches first, the scan after: so nothing is missed. */
static int connect_store(struct supervisor *s)
{
	struct store *store;
	int r = store_open(&store);

	if (r)
		return r;
	r = wait_for(s, store_fd(store));
	if (r == 0)
		r = scan_watch(store, &s->config);
	if (r) {
		store_close(store);
		return r;
	}
	s->keeper.store = store;
	s->keeper.store_lost = false;
	return 0;
}

static int open_descriptors(struct supervisor *s)
{
	sigset_t signals;

	supervisor_signals(&signals);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	s->keeper.epoll_fd = s->epoll_fd;
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return wait_for(s, s->signal_fd);
}

static void apply_level(struct supervisor *s)
{
	s->keeper.debug = s->options->debug || s->config.debug;
	log_set_debug(s->keeper.debug);
}

static enum supervisor_exit start(struct supervisor *s)
{
	int r = open_descriptors(s);

	if (r) {
		log_err("events cannot be waited for: %s", strerror(-r));
		return SUPERVISOR_FAILED;
	}
	r = connect_store(s);
	if (r) {
		log_err("xenstored cannot be reached: %s: is it running on this host?",
			strerror(-r));
		return SUPERVISOR_NO_STORE;
	}
	s->keeper.domains = domains_open();
	if (!s->keeper.domains)
		log_warn(
			"the hypervisor cannot be asked about domains (%s): workers of one that dies end only when the toolstack removes its disks",
			strerror(errno));
	return SUPERVISOR_OK;
}

/* ---- the store comes and goes ---- */

static void lose_store(struct supervisor *s)
{
	log_err("the connection to xenstored is lost: disks go on as long as their workers do; trying to reach it again");
	store_close(s->keeper.store);
	s->keeper.store = NULL;
	s->check_at_ms = 0;
	s->keeper.store_lost = false;
	s->reconnect_delay_ms = RECONNECT_MIN_MS;
	s->reconnect_at_ms = s->keeper.now_ms + s->reconnect_delay_ms;
}

static void reconnect(struct supervisor *s)
{
	int r = connect_store(s);

	if (r) {
		log_debug("xenstored cannot be reached: %s", strerror(-r));
		s->reconnect_delay_ms *= 2;
		if (s->reconnect_delay_ms > RECONNECT_MAX_MS)
			s->reconnect_delay_ms = RECONNECT_MAX_MS;
		s->reconnect_at_ms = s->keeper.now_ms + s->reconnect_delay_ms;
		return;
	}
	log_info("xenstored is reached again");
	keeper_scan(&s->keeper, false);
}

/* ---- events ---- */

static void heed_store(struct supervisor *s)
{
	struct store_event event;
	int r;

	while ((r = store_next_event(s->keeper.store, &event)) == 0) {
		keeper_heed(&s->keeper, event.path);
		store_event_fini(&event);
	}
	if (r == -EPIPE)
		s->keeper.store_lost = true;
	if (!s->check_at_ms)
		s->check_at_ms = s->keeper.now_ms + DOMAINS_CHECK_MS;
	keeper_look(&s->keeper);
}

/* Other kinds, other watches. */
static void change_watches(struct supervisor *s, const struct config *old)
{
	int r;

	/* libxenstore leaks events that an ending watch drops: not more often than needed. */
	if (!s->keeper.store || config_same(&old->kinds, &s->config.kinds))
		return;
	r = scan_unwatch(s->keeper.store, old);
	if (r == 0)
		r = scan_watch(s->keeper.store, &s->config);
	/* A new connection has none of the old watches, and sets all of the new ones. */
	if (r)
		s->keeper.store_lost = true;
}

static void reload(struct supervisor *s)
{
	struct config config, old = s->config;
	struct problem problem;

	notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ms() * 1000);
	if (config_load(s->options->config_path, s->options->may_be_missing, &config, &problem)) {
		log_err("%s; the old configuration stays", problem.text);
	} else {
		s->config = config;
		apply_level(s);
		change_watches(s, &old);
		log_info("configuration read again from '%s'", s->options->config_path);
		keeper_scan(&s->keeper, true);
	}
	notify("READY=1");
}

static void heed_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(s);
			continue;
		}
		log_info("asked to stop by signal %u: the workers go on", info.ssi_signo);
		s->has_to_end = true;
	}
}

static void heed_time(struct supervisor *s)
{
	struct keeper *k = &s->keeper;

	keeper_heed_time(k);
	if (!k->store) {
		if (k->now_ms >= s->reconnect_at_ms)
			reconnect(s);
	} else if (s->check_at_ms && k->now_ms >= s->check_at_ms) {
		s->check_at_ms = 0;
		keeper_check_domains(k);
	}
}

static void heed(struct supervisor *s, int fd)
{
	if (fd == s->signal_fd)
		heed_signal(s);
	else if (s->keeper.store && fd == store_fd(s->keeper.store))
		heed_store(s);
	else
		keeper_heed_pidfd(&s->keeper, fd);
}

/* For epoll: until the next thing that time brings, or for ever. */
static int patience_ms(const struct supervisor *s)
{
	uint64_t next = s->keeper.store ? s->check_at_ms : s->reconnect_at_ms;
	uint64_t deadline = keeper_deadline(&s->keeper), now = clock_ms();

	if (deadline && (!next || deadline < next))
		next = deadline;
	if (!next)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static void tell_status(struct supervisor *s)
{
	const struct disks *disks = &s->keeper.disks;
	char text[sizeof(s->status)];

	(void)snprintf(text, sizeof(text),
		"%u disks served, %u ending, %u waiting for a restart, %u given up%s",
		disks_count(disks, DISK_RUNNING),
		disks_count(disks, DISK_STOPPING) + disks_count(disks, DISK_TERMINATING),
		disks_count(disks, DISK_BACKING_OFF), disks_count(disks, DISK_GIVEN_UP),
		s->keeper.store ? "" : "; no xenstored");
	if (strcmp(text, s->status) == 0)
		return;
	memcpy(s->status, text, sizeof(text));
	notify("STATUS=%s", text);
}

static void serve(struct supervisor *s)
{
	while (!s->has_to_end) {
		struct epoll_event event;
		int n;

		if (s->keeper.store_lost)
			lose_store(s);
		tell_status(s);
		n = epoll_wait(s->epoll_fd, &event, 1, patience_ms(s));
		s->keeper.now_ms = clock_ms();
		if (n == 1)
			heed(s, event.data.fd);
		heed_time(s);
	}
}

/* ---- the end ---- */

static void stop(struct supervisor *s)
{
	notify("STOPPING=1");
	keeper_fini(&s->keeper);
	domains_close(s->keeper.domains);
	store_close(s->keeper.store);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	if (s->epoll_fd >= 0)
		(void)close(s->epoll_fd);
}

enum supervisor_exit supervisor_run(
	const struct supervisor_options *options, const struct config *config)
{
	struct supervisor s = {
		.options = options,
		.config = *config,
		.keeper = {.run_dir = options->run_dir, .now_ms = clock_ms()},
		.epoll_fd = -1,
		.signal_fd = -1,
	};
	enum supervisor_exit result;

	s.keeper.config = &s.config;
	apply_level(&s);
	result = start(&s);
	if (result == SUPERVISOR_OK) {
		/* Workers get our standard error: it has to be the final one. */
		s.keeper.syslog = options->detach(options->ctx);
		keeper_scan(&s.keeper, false);
		options->ready(options->ctx);
		log_info("ready: %u disks", s.keeper.disks.n);
		notify("READY=1");
		serve(&s);
	}
	stop(&s);
	return result;
}
