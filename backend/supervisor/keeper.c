#include "backend/supervisor/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "backend/supervisor/config.h"
#include "backend/supervisor/domains.h"
#include "backend/supervisor/ending.h"
#include "backend/supervisor/scan.h"
#include "backend/supervisor/status.h"
#include "backend/util/limits.h"
#include "backend/util/log.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

/* What a worker has to end by itself when its disk or domain has gone. */
#define GRACE_MS 5000

/* What it has to obey SIGTERM: as long as the hotplug script gives it. */
#define TERM_MS 30000

/* What happened, in words, for those actions that tell it. */
struct cause {
	enum disk_event event;
	char text[640];
};

/* ---- actions ---- */

static void store_failed(struct keeper *k, const char *what, const struct disks_entry *e, int error)
{
	if (error == -EPIPE)
		k->store_lost = true;
	else
		log_warn("%s: %s: %s", e->name, what, strerror(-error));
}

static void tell(
	struct keeper *k, const struct disks_entry *e, const char *status, const char *error)
{
	int r = k->store ? status_write(k->store, e->backend, status, error) : 0;

	if (r)
		store_failed(k, "worker-status cannot be written", e, r);
}

static void wait_for_end(struct keeper *k, const struct disks_entry *e)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = e->child.pidfd};

	if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, e->child.pidfd, &event) < 0)
		log_err("%s: the end of worker %d will not be noticed: %s", e->name,
			(int)e->child.pid, strerror(errno));
}

static void greet(struct keeper *k, const struct disks_entry *e)
{
	log_info("%s: worker %d %s", e->name, (int)e->child.pid,
		e->child.adopted ? "runs already: adopted" : "started");
	wait_for_end(k, e);
	tell(k, e, STATUS_RUNNING, NULL);
}

/* Whether another worker is to be tried after one that failed; counts it. */
static enum disk_event note_failure(struct keeper *k, struct disks_entry *e)
{
	/* That there is no xenstored is not the worker's fault. */
	if (!k->store || k->store_lost) {
		e->delay_ms = k->config->restarts.delay_min_ms;
		return DISK_EV_FAILED;
	}
	return restarts_again(&e->restarts, &k->config->restarts, k->now_ms, &e->delay_ms)
		       ? DISK_EV_FAILED
		       : DISK_EV_HOPELESS;
}

/* False with the cause if there is no worker. */
static bool start(struct keeper *k, struct disks_entry *e, struct cause *cause)
{
	const char *argv[] = {k->config->worker, "-f", NULL, NULL, NULL, NULL, NULL, NULL, NULL};
	char max_queues[24], max_grants[32], cache[32];
	struct problem problem;
	unsigned n = 2;

	if (k->debug)
		argv[n++] = "-d";
	if (k->syslog)
		argv[n++] = "-s";
	if (k->config->max_queues) {
		(void)snprintf(max_queues, sizeof(max_queues), "--max-queues=%" PRIu32,
			k->config->max_queues);
		argv[n++] = max_queues;
	}
	if (k->config->max_grants != LIMIT_GRANTS_HOST) {
		(void)snprintf(max_grants, sizeof(max_grants), "--max-grants=%" PRIu32,
			k->config->max_grants);
		argv[n++] = max_grants;
	}
	if (k->config->cache != CACHE_NONE) {
		(void)snprintf(
			cache, sizeof(cache), "--cache=%s", cache_mode_name(k->config->cache));
		argv[n++] = cache;
	}
	argv[n] = e->backend;
	if (child_adopt(k->run_dir, e->name, &e->child) == 0 ||
		child_start((char *const *)(uintptr_t)argv, &e->child, &problem) == 0) {
		greet(k, e);
		return true;
	}
	(void)snprintf(cause->text, sizeof(cause->text), "%s", problem.text);
	cause->event = note_failure(k, e);
	return false;
}

static void delay(struct keeper *k, struct disks_entry *e, const struct cause *cause)
{
	log_warn("%s: %s; another is started in %u ms", e->name, cause->text, e->delay_ms);
	e->deadline_ms = k->now_ms + e->delay_ms;
	tell(k, e, STATUS_RESTARTING, NULL);
}

static void give_up(struct keeper *k, struct disks_entry *e, const struct cause *cause)
{
	char text[1024];

	if (k->config->restarts.limit && e->restarts.n >= k->config->restarts.limit)
		(void)snprintf(text, sizeof(text),
			"%s, the last of %u failures within %u s: given up until the disk is attached again or blkbackd reloaded",
			cause->text, e->restarts.n, k->config->restarts.window_ms / 1000);
	else
		(void)snprintf(text, sizeof(text),
			"%s: given up until the disk is attached again or blkbackd reloaded",
			cause->text);
	log_err("%s: %s", e->name, text);
	tell(k, e, STATUS_FAILED, text);
}

static void end_worker(struct keeper *k, struct disks_entry *e, int signal)
{
	int r = child_signal(&e->child, signal);

	log_warn("%s: the disk or its domain has gone, worker %d has not: sent %s%s%s", e->name,
		(int)e->child.pid, signal == SIGTERM ? "SIGTERM" : "SIGKILL; its storage may hang",
		r ? ": " : "", r ? strerror(-r) : "");
	e->deadline_ms = k->now_ms + TERM_MS;
}

/* ---- looking at one disk ---- */

static bool look_at(struct keeper *k, const struct disks_entry *e, enum disk_event *ret_event)
{
	enum disk_event event;
	int r;

	if (!k->store || k->store_lost)
		return false;
	r = scan_look(k->store, k->config, &e->path, &event);
	if (r) {
		store_failed(k, "the backend directory cannot be read", e, r);
		return false;
	}
	/* Nobody needs a worker for a domain that has died: it would keep what is left of it. */
	if (event != DISK_EV_GONE && e->child.pidfd < 0 &&
		domains_is_gone(k->domains, e->path.domid))
		event = DISK_EV_OVER;
	*ret_event = event;
	return true;
}

/* ---- the table ---- */

/* Does what the table says. True if that was an event in turn, which @cause then has. */
static bool perform(
	struct keeper *k, struct disks_entry *e, enum disk_action action, struct cause *cause)
{
	switch (action) {
	case DISK_DO_START:
		return !start(k, e, cause);
	case DISK_DO_LOOK:
		return look_at(k, e, &cause->event);
	case DISK_DO_GREET:
		greet(k, e);
		break;
	case DISK_DO_DELAY:
		delay(k, e, cause);
		break;
	case DISK_DO_GIVE_UP:
		give_up(k, e, cause);
		break;
	case DISK_DO_GRACE:
		e->deadline_ms = k->now_ms + GRACE_MS;
		break;
	case DISK_DO_TERM:
		end_worker(k, e, SIGTERM);
		break;
	case DISK_DO_KILL:
		end_worker(k, e, SIGKILL);
		break;
	case DISK_DO_FORGET:
		child_clean(k->run_dir, e->name);
		disks_remove(&k->disks, e);
		break;
	case DISK_DO_NOTHING:
	case DISK_ACTION_COUNT:
		break;
	}
	return false;
}

/*
 * One event and those that follow from it: a start that fails, what a last look sees. The table
 * ends every chain, because neither leads to itself without time passing. @e may be gone after it.
 */
static void feed(struct keeper *k, struct disks_entry *e, struct cause *cause)
{
	struct disk_step step;

	do {
		step = disk_next(e->state, cause->event);
		/* Something new begins: what went wrong before does not count against it. */
		if (step.action == DISK_DO_START &&
			(e->state == DISK_GIVEN_UP || e->state == DISK_FINISHED))
			e->restarts.n = 0;
		if (step.next != e->state) {
			log_debug("%s: %s: %s -> %s", e->name, disk_event_name(cause->event),
				disk_state_name(e->state), disk_state_name(step.next));
			e->deadline_ms = 0;
			e->state = step.next;
		}
	} while (perform(k, e, step.action, cause));
}

static void feed_event(struct keeper *k, struct disks_entry *e, enum disk_event event)
{
	struct cause cause = {.event = event};

	feed(k, e, &cause);
}

/* ---- the store ---- */

static void mark(void *ctx, const struct vbd_path *path)
{
	struct keeper *k = ctx;
	struct disks_entry *e = disks_add(&k->disks, path);

	if (e)
		e->look = true;
	else
		log_err("no memory for disk %s %u %u", path->kind, path->domid, path->devid);
}

/* All that are known, of a kind, and of a domain unless @domid is NULL; also those not listed. */
static void mark_known(struct keeper *k, const char *kind, const uint32_t *domid)
{
	for (struct disks_entry *e = k->disks.first; e; e = e->next)
		if (strcmp(e->path.kind, kind) == 0 && (!domid || *domid == e->path.domid))
			e->look = true;
}

static void mark_kind(struct keeper *k, const char *kind)
{
	int r = scan_list(k->store, kind, mark, k);

	mark_known(k, kind, NULL);
	if (r == -EPIPE)
		k->store_lost = true;
	else if (r)
		log_warn("backend/%s cannot be listed: %s", kind, strerror(-r));
}

static void mark_domain(struct keeper *k, const struct vbd_path *path)
{
	char domid[16];
	int r;

	(void)snprintf(domid, sizeof(domid), "%u", path->domid);
	r = scan_list_domain(k->store, path->kind, domid, mark, k);
	mark_known(k, path->kind, &path->domid);
	if (r == -EPIPE)
		k->store_lost = true;
	else if (r)
		log_warn("backend/%s/%s cannot be listed: %s", path->kind, domid, strerror(-r));
}

void keeper_heed(struct keeper *k, const char *path)
{
	struct vbd_path disk;

	switch (scan_scope(path, &disk)) {
	case SCAN_NOTHING:
		break;
	case SCAN_DISK:
		mark(k, &disk);
		break;
	case SCAN_DOMAIN:
		mark_domain(k, &disk);
		break;
	case SCAN_KIND:
		mark_kind(k, disk.kind);
		break;
	case SCAN_DEATHS:
		keeper_check_domains(k);
		break;
	}
}

static void look_at_marked(struct keeper *k, bool retry)
{
	struct disks_entry *next;

	for (struct disks_entry *e = k->disks.first; e; e = next) {
		enum disk_event event;

		next = e->next;
		if (!e->look || !look_at(k, e, &event))
			continue;
		e->look = false;
		if (retry && (event == DISK_EV_FRESH || event == DISK_EV_OPEN) &&
			e->state != DISK_ABSENT) {
			e->restarts.n = 0;
			event = DISK_EV_RETRY;
		}
		feed_event(k, e, event);
	}
}

void keeper_look(struct keeper *k)
{
	look_at_marked(k, false);
}

/* ---- everything ---- */

/* Workers that somebody else started: the hotplug script, or the supervisor before us. */
static void adopt_all(struct keeper *k)
{
	DIR *dir = opendir(k->run_dir);
	const struct dirent *entry;

	if (!dir) {
		log_warn("run directory '%s' cannot be read: %s", k->run_dir, strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		struct vbd_path path;
		struct disks_entry *e;

		if (!child_name_parse(entry->d_name, &path) ||
			!config_has(&k->config->kinds, path.kind))
			continue;
		mark(k, &path);
		e = disks_find(&k->disks, &path);
		if (e && e->child.pidfd < 0 && child_adopt(k->run_dir, e->name, &e->child) == 0)
			feed_event(k, e, DISK_EV_ADOPTED);
	}
	(void)closedir(dir);
}

void keeper_scan(struct keeper *k, bool retry)
{
	if (!k->store)
		return;
	adopt_all(k);
	for (struct disks_entry *e = k->disks.first; e; e = e->next)
		e->look = true;
	for (unsigned i = 0; i < k->config->kinds.n && !k->store_lost; i++)
		mark_kind(k, k->config->kinds.word[i]);
	look_at_marked(k, retry);
	keeper_check_domains(k);
}

void keeper_check_domains(struct keeper *k)
{
	struct disks_entry *next;

	for (struct disks_entry *e = k->disks.first; e; e = next) {
		next = e->next;
		if (domains_is_gone(k->domains, e->path.domid))
			feed_event(k, e, DISK_EV_DOMAIN_GONE);
	}
}

/* ---- ends and time ---- */

/* What an adopted worker leaves behind when it ends in an orderly way: Closed, and no pid file. */
static bool is_orderly(struct keeper *k, const struct disks_entry *e)
{
	struct node_dir dir = {.store = k->store, .txn = STORE_NO_TXN, .path = e->backend};
	enum xenbus_state state;
	int r;

	if (!k->store || k->store_lost || child_has_file(k->run_dir, e->name))
		return false;
	r = state_read(&dir, &state);
	if (r)
		store_failed(k, "state cannot be read", e, r);
	return r == 0 && (state == XENBUS_CLOSED || state == XENBUS_ABSENT);
}

void keeper_heed_pidfd(struct keeper *k, int pidfd)
{
	struct disks_entry *e = disks_find_pidfd(&k->disks, pidfd);
	struct cause cause;
	char how[192];
	enum child_end end;
	pid_t pid;
	int value;

	if (!e)
		return;
	pid = e->child.pid;
	if (!child_reap(&e->child, &end, &value))
		return;
	/* Our own connection says nothing when xenstored dies: the worker's word is a hint. */
	if (end == CHILD_EXITED && k->store && !k->store_lost && store_check(k->store) == -EPIPE)
		k->store_lost = true;
	ending_describe(end, value, how, sizeof(how));
	(void)snprintf(cause.text, sizeof(cause.text), "worker %d %s", (int)pid, how);
	cause.event = ending_event(end, value, end == CHILD_UNKNOWN && is_orderly(k, e));
	/* What follows from the others tells them. */
	if (cause.event == DISK_EV_ENDED || e->state != DISK_RUNNING)
		log_info("%s: %s", e->name, cause.text);
	else if (cause.event == DISK_EV_FAILED)
		cause.event = note_failure(k, e);
	feed(k, e, &cause);
}

/* A worker is not started while there is no xenstored: its turn comes with the next scan. */
static bool is_due(const struct keeper *k, const struct disks_entry *e)
{
	if (e->deadline_ms == 0)
		return false;
	return e->state != DISK_BACKING_OFF || (k->store && !k->store_lost);
}

/* Is another worker still wanted? No watch tells when a domain dies or the configuration changes. */
static enum disk_event after_delay(struct keeper *k, const struct disks_entry *e)
{
	enum disk_event event;

	if (e->state == DISK_BACKING_OFF && look_at(k, e, &event) &&
		(event == DISK_EV_OVER || event == DISK_EV_GONE))
		return event;
	return DISK_EV_TIMER;
}

void keeper_heed_time(struct keeper *k)
{
	struct disks_entry *next;

	for (struct disks_entry *e = k->disks.first; e; e = next) {
		next = e->next;
		if (!is_due(k, e) || e->deadline_ms > k->now_ms)
			continue;
		e->deadline_ms = 0;
		feed_event(k, e, after_delay(k, e));
	}
}

uint64_t keeper_deadline(const struct keeper *k)
{
	uint64_t first = 0;

	for (const struct disks_entry *e = k->disks.first; e; e = e->next)
		if (is_due(k, e) && (first == 0 || e->deadline_ms < first))
			first = e->deadline_ms;
	return first;
}

void keeper_fini(struct keeper *k)
{
	disks_fini(&k->disks);
}
