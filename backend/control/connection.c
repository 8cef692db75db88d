#include "backend/control/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/control/backing.h"
#include "backend/control/counters.h"
#include "backend/control/latency.h"
#include "backend/control/options.h"
#include "backend/data/record.h"
#include "backend/util/limits.h"
#include "backend/util/log.h"

int connection_init(struct connection *conn)
{
	int r;

	*conn = (struct connection){
		.disk.storage.fd = -1, .size_watch = {.fd = -1, .source_fd = -1}, .change.fd = -1};
	image_init(&conn->image);
	conn->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (conn->report_fd < 0)
		return -errno;
	r = size_watch_init(&conn->size_watch);
	return r ? r : change_init(&conn->change);
}

/* ---- opening, in the order it happens ---- */

/*
 * What direct I/O is done with. Left to us it is libaio: of a worker that is killed nothing is on its way any more when it is gone, and so
 * its image is free (section 5 of backend/DESIGN.md).
 */
static enum storage_engine choose_engine(const struct disk_options *options)
{
	return options->engine == DISK_ENGINE_URING ? STORAGE_URING : STORAGE_AIO;
}

static int choose_features(struct connection *conn, struct store *store, const char *backend,
	struct backing_terms *terms, struct problem *problem)
{
	struct disk_options options;
	int r = options_read(store, backend, conn->default_cache, &options, problem);

	if (r)
		return r;
	conn->options = options;
	conn->engine = choose_engine(&options);
	/* Without word of how many pages there are in all, there are none of ours. */
	conn->features.persistent = options.persistent && conn->budget;
	conn->features.flush = options.flush;
	conn->features.barrier = options.barrier;
	conn->features.indirect = options.indirect;
	conn->image.emulated.takes_plugged = options.emulated == EMULATED_CLOSE;
	terms->cache = options.cache;
	terms->discard = options.discard;
	return 0;
}

/* Other ways to find a new size remain: not to be told of it is no reason not to serve. */
static void watch_size(struct connection *conn, const struct storage *storage)
{
	struct problem problem;

	if (size_watch_set(&conn->size_watch, storage, &problem) == 0 || conn->told_deaf)
		return;
	conn->told_deaf = true;
	log_warn("%s", problem.text);
}

static int prepare_disk(struct connection *conn, struct storage *storage, bool shared,
	uint64_t now_ms, struct problem *problem)
{
	enum image_sharing sharing = conn->watches ? IMAGE_WATCHING
				     : shared      ? IMAGE_SHARED
						   : IMAGE_ALONE;
	int r = image_take(&conn->image, storage, sharing, now_ms, problem);

	if (r)
		return r;
	r = disk_init(&conn->disk, storage, conn->fault);
	if (r) {
		image_give_up(&conn->image, storage);
		return problem_set(problem, r, "no memory for a disk");
	}
	return 0;
}

static int open_storage(struct connection *conn, struct store *store, const char *backend,
	uint64_t now_ms, struct problem *problem)
{
	struct backing_terms terms = {.expected = conn->has_identity ? &conn->identity : NULL,
		.only_read = conn->watches};
	struct backing_facts facts;
	struct storage storage;
	int r = choose_features(conn, store, backend, &terms, problem);

	if (r == 0)
		r = backing_open(store, backend, &terms, &storage, &facts, problem);
	if (r)
		return r;
	r = prepare_disk(conn, &storage, facts.shared, now_ms, problem);
	if (r) {
		storage_close(&storage);
		return r;
	}
	conn->features.info = facts.info;
	conn->has_disk = true;
	conn->disk.lost = conn->record ? &conn->record->lost : NULL;
	conn->flush_failed = conn->fault != 0;
	conn->told_stopped = false;
	conn->identity = storage.identity;
	conn->has_identity = true;
	watch_size(conn, &conn->disk.storage);
	conn->size_bytes = storage.nr_sectors * STORAGE_SECTOR_SIZE;
	conn->features.nr_sectors = storage.nr_sectors;
	conn->features.physical_sector_size = storage.physical_sector_size;
	conn->features.discard = storage.discard;
	conn->features.cache = storage.cache;
	return 0;
}

/* Nothing of it is with the storage any more. */
static void let_go(struct connection *conn)
{
	size_watch_clear(&conn->size_watch);
	image_give_up(&conn->image, &conn->disk.storage);
	disk_fini(&conn->disk);
	conn->has_disk = false;
}

/* The rings of a disk share what it may have mapped. */
static unsigned max_grants(const struct connection *conn, const struct handshake *keys)
{
	return conn->budget ? LIMIT_GRANTS_DISK / keys->nr_queues : 0;
}

static int make_queue(struct connection *conn, unsigned index, uint32_t domid,
	const struct handshake *keys, struct problem *problem)
{
	const struct handshake_queue *ring = &keys->queue[index];
	struct queue_config cfg = {
		.index = index,
		.domid = domid,
		.nr_ring_refs = keys->nr_ring_pages,
		.event_channel = ring->event_channel,
		.abi = keys->abi,
		.persistent = keys->persistent && conn->features.persistent,
		.map_each = conn->options.transfer == TRANSFER_MAP && conn->budget,
		.engine = conn->engine,
		.stop_on_error = conn->options.stop_on_error,
		.stop_on_enospc = conn->options.stop_on_enospc,
		.gather = true,
		.pinned = conn->options.pinned,
		.cpus = conn->options.cpus,
		.poll = conn->options.poll,
		.timeout_ms = conn->options.timeout_s * 1000,
		.max_grants = max_grants(conn, keys),
		.budget = conn->budget,
		.flush = conn->features.flush,
		.barrier = conn->features.barrier,
		.indirect = conn->features.indirect,
		.discard = conn->features.discard.possible,
		.report_fd = conn->report_fd,
		.record = conn->record ? &conn->record->record : NULL,
	};

	memcpy(cfg.ring_ref, ring->ring_ref, sizeof(cfg.ring_ref));
	return queue_create(&cfg, &conn->disk, &conn->queue[index], problem);
}

/* Those from @first on, which have not been started: who waits for them at a barrier waits no more. */
static void drop_queues(struct connection *conn, unsigned first)
{
	while (conn->nr_queues > first)
		queue_destroy(conn->queue[--conn->nr_queues], NULL);
}

/* All or none. All of them take part in the disk's ordering before the first one runs. */
static int make_queues(struct connection *conn, uint32_t domid, const struct handshake *keys,
	struct problem *problem)
{
	struct problem cause;
	int r;

	for (unsigned i = 0; i < keys->nr_queues; i++) {
		r = make_queue(conn, i, domid, keys, &cause);
		if (r == 0) {
			conn->nr_queues++;
			continue;
		}
		drop_queues(conn, 0);
		if (keys->nr_queues > 1)
			return problem_set(problem, r, "queue %u: %s", i, cause.text);
		*problem = cause;
		return r;
	}
	return 0;
}

int connection_open(struct connection *conn, struct store *store, const char *backend,
	uint32_t domid, const struct handshake *keys, uint64_t now_ms, struct problem *ret_problem)
{
	int r = emulated_find(&conn->image.emulated, store, backend, domid);

	conn->image.is_kept_out = false;
	if (r)
		return problem_set(ret_problem, r,
			"the guest's device model cannot be looked up: %s", strerror(-r));
	r = open_storage(conn, store, backend, now_ms, ret_problem);
	if (r)
		return r;
	r = make_queues(conn, domid, keys, ret_problem);
	/* Nothing was written through it: there is nothing to flush. */
	if (r)
		let_go(conn);
	return r;
}

int connection_start(struct connection *conn, struct problem *ret_problem)
{
	for (unsigned i = 0; i < conn->nr_queues; i++) {
		int r = queue_start(conn->queue[i]);

		if (r == 0)
			continue;
		drop_queues(conn, i);
		return problem_set(ret_problem, r, "no thread for queue %u: %s", i, strerror(-r));
	}
	return 0;
}

/* ---- a new size ---- */

/* Of @size_bytes as the storage has them now, or an error. */
static int judge_size(int error, unsigned unit, uint64_t size_bytes, struct problem *ret_problem)
{
	if (error)
		return problem_set(ret_problem, error,
			"the image's size cannot be read: %s: the guest's disk keeps the old one",
			strerror(-error));
	if (size_bytes < unit)
		return problem_set(ret_problem, -EINVAL,
			"the image is empty now: the guest's disk keeps its size, and what it reads and writes fails or is lost: make the image as large as it was");
	return 0;
}

static void take_size(struct connection *conn, uint64_t size_bytes, bool may_log)
{
	uint64_t old = disk_nr_sectors(&conn->disk);
	unsigned unit = conn->disk.storage.unit;
	uint64_t new = size_bytes / unit *(unit / STORAGE_SECTOR_SIZE);

	disk_resize(&conn->disk, new);
	if (new != old && may_log)
		log_info("resized: sectors=%" PRIu64 " -> %" PRIu64, old, new);
	if (size_bytes % unit && may_log)
		log_warn(
			"the image's size of %" PRIu64
			" bytes is not a multiple of %u: the rest is not served, and the guest's driver will not be let in again: extend it with truncate -s %%%u",
			size_bytes, unit, unit);
}

int connection_look_at_size(struct connection *conn, uint64_t now_ms, struct problem *ret_problem)
{
	uint64_t size_bytes = 0;
	int error = storage_size(&conn->disk.storage, &size_bytes);
	int r = judge_size(error, conn->disk.storage.unit, size_bytes, ret_problem);
	bool may_log;

	if (size_bytes == conn->size_bytes)
		return r;
	conn->size_bytes = size_bytes;
	may_log = log_limit_pass(&conn->limit_size, now_ms, LIMIT_LOG_LIFE);
	if (r == 0)
		take_size(conn, size_bytes, may_log);
	else if (may_log)
		log_warn("%s", ret_problem->text);
	return r;
}

/* ---- what the queues tell ---- */

/* What the present queues counted, together. */
static struct queue_stats count(const struct connection *conn)
{
	struct queue_stats sum = {0};

	for (unsigned i = 0; i < conn->nr_queues; i++) {
		struct queue_stats stats = queue_stats(conn->queue[i]);

		counters_add(&sum, &stats);
	}
	return sum;
}

/* The latch of the running disk is ours as well. On a disk that writes through a write has sprung it, most likely. */
static int adopt_fault(struct connection *conn)
{
	int fault = disk_fault(&conn->disk);

	if (fault && !conn->fault)
		conn->lost_write = storage_writes_through(&conn->disk.storage);
	if (fault) {
		conn->fault = fault;
		conn->flush_failed = conn->features.flush || conn->features.barrier;
	}
	return fault;
}

bool connection_is_faulty(struct connection *conn)
{
	if (conn->has_disk)
		(void)adopt_fault(conn);
	return conn->fault != 0;
}

void connection_forget_fault(struct connection *conn)
{
	conn->fault = 0;
	conn->lost_write = false;
	/* Of a disk that is open it went with the latch. */
	if (conn->record && !conn->has_disk)
		__atomic_store_n(&conn->record->lost, 0, __ATOMIC_RELAXED);
}

const char *connection_fault_cause(const struct connection *conn)
{
	return conn->lost_write ? "a write failed that had to be durable" : "fdatasync failed";
}

unsigned connection_heed(struct connection *conn, uint64_t now_ms)
{
	struct queue_stats stats;
	bool had_fault = conn->fault != 0, has_report = false;
	unsigned news = 0;

	for (unsigned i = 0; i < conn->nr_queues; i++)
		has_report |= queue_take_report(conn->queue[i]);
	if (!has_report)
		return 0;
	stats = count(conn);
	report_trouble(&conn->report, &stats, now_ms);
	for (unsigned i = 0; i < conn->nr_queues; i++)
		if (queue_status(conn->queue[i]) == QUEUE_BROKEN)
			news |= CONNECTION_BROKEN;
	if (adopt_fault(conn) && !had_fault)
		news |= CONNECTION_FAULTY;
	if (disk_is_stopped(&conn->disk) && !conn->told_stopped)
		news |= CONNECTION_STOPPED;
	conn->told_stopped |= news & CONNECTION_STOPPED;
	return news;
}

void connection_stop_cause(const struct connection *conn, struct problem *ret_cause)
{
	struct queue_stats stats = count(conn);

	(void)problem_set(ret_cause, 0,
		"the storage could not do what the guest asked for: %s: it is kept, with all that comes after it, until blkbackctl resume",
		strerror((int)stats.last_kept_error));
}

void connection_keep_no_more(struct connection *conn)
{
	for (unsigned i = 0; i < conn->nr_queues; i++)
		queue_keep_no_more(conn->queue[i]);
	(void)!connection_go_on(conn);
}

bool connection_go_on(struct connection *conn)
{
	if (conn->nr_queues == 0 || !disk_is_stopped(&conn->disk))
		return false;
	conn->told_stopped = false;
	disk_go_on(&conn->disk);
	return true;
}

static bool is_more_than_seen(struct connection *conn)
{
	struct queue_stats stats = count(conn);
	uint64_t n = stats.reads_taken + stats.writes_taken + stats.flushes + stats.discards;
	bool is_more = n != conn->nr_seen;

	conn->nr_seen = n;
	return is_more;
}

bool connection_has_stirred(struct connection *conn)
{
	if (is_more_than_seen(conn))
		return true;
	for (unsigned i = 0; i < conn->nr_queues; i++)
		queue_report_request(conn->queue[i]);
	/* What was counted before the queues knew. */
	return is_more_than_seen(conn);
}

struct queue_stats connection_totals(const struct connection *conn)
{
	struct queue_stats sum = conn->past, now = count(conn);

	counters_add(&sum, &now);
	return sum;
}

void connection_times(const struct connection *conn, struct queue_times *ret_times)
{
	*ret_times = conn->past_times;
	for (unsigned i = 0; i < conn->nr_queues; i++)
		queue_add_times(conn->queue[i], ret_times);
}

void connection_log_totals(const struct connection *conn)
{
	struct queue_times times = {0};
	struct queue_stats stats;

	if (conn->nr_queues == 0)
		return;
	stats = count(conn);
	report_totals(&stats);
	for (unsigned i = 0; i < conn->nr_queues; i++)
		queue_add_times(conn->queue[i], &times);
	latency_log(&times);
}

/* ---- closing, in the order it happens ---- */

/* All are told before the first is waited for: they may wait for each other. */
static void close_queues(struct connection *conn, uint64_t now_ms)
{
	struct queue_stats stats = {0};

	if (conn->nr_queues == 0)
		return;
	for (unsigned i = 0; i < conn->nr_queues; i++)
		queue_begin_stop(conn->queue[i]);
	while (conn->nr_queues > 0) {
		struct queue *queue = conn->queue[--conn->nr_queues];
		struct queue_stats last;

		queue_stop(queue);
		queue_add_times(queue, &conn->past_times);
		queue_destroy(queue, &last);
		counters_add(&stats, &last);
	}
	counters_add(&conn->past, &stats);
	report_trouble(&conn->report, &stats, now_ms);
	conn->report.told = (struct queue_stats){0};
	if (log_limit_pass(&conn->limit_totals, now_ms, LIMIT_LOG_LIFE))
		report_totals(&stats);
	report_leak(&stats);
}

/* Orderly stop and detach flush in every mode (D6). */
static int close_disk(struct connection *conn, uint64_t now_ms)
{
	bool had_fault = conn->fault != 0;
	int r = 0;

	/* Of an fdatasync that failed the log says so itself. */
	if (adopt_fault(conn) && !had_fault && conn->lost_write)
		log_err("%s: data the guest wrote may be lost", connection_fault_cause(conn));
	if (!conn->disk.storage.read_only)
		r = storage_sync(&conn->disk.storage);
	if (r) {
		conn->fault = r;
		if (conn->record)
			__atomic_store_n(&conn->record->lost, 1, __ATOMIC_RELAXED);
		if (log_limit_pass(&conn->limit_flush, now_ms, LIMIT_LOG_LIFE))
			log_err("fdatasync failed at the end of the connection: %s: data the guest wrote may be lost",
				strerror(-r));
	}
	let_go(conn);
	return r;
}

int connection_close(struct connection *conn, uint64_t now_ms)
{
	if (conn->has_disk)
		change_abandon(&conn->change, &conn->disk, -ENOTCONN,
			"the guest's connection ended meanwhile: its next one has the mode");
	close_queues(conn, now_ms);
	return conn->has_disk ? close_disk(conn, now_ms) : 0;
}

void connection_fini(struct connection *conn)
{
	(void)connection_close(conn, 0);
	image_fini(&conn->image);
	change_fini(&conn->change);
	size_watch_fini(&conn->size_watch);
	if (conn->report_fd >= 0)
		(void)close(conn->report_fd);
	conn->report_fd = -1;
}
