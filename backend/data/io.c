/*
 * What a request asks of the storage: it is put into the engine, and judged when it has ended. Queue thread only.
 *
 * Requests that follow each other, in the ring and on the disk, share an I/O: a *run*. Its first request lends tag and
 * iovecs, the others are behind it in a list. If the I/O fails, whose fault it was is found out by doing each alone.
 */
#include <errno.h>
#include <string.h>

#include "backend/data/queue_impl.h"

/* The clock is asked once for all of a pass. */
static uint64_t start_time(struct queue *q)
{
	if (q->start_ns == 0)
		q->start_ns = queue_clock_ns();
	return q->start_ns;
}

static void start_discard(struct queue *q, unsigned s)
{
	const struct storage *storage = &q->disk->storage;
	const struct blk_request *req = &q->slot[s].req;
	struct engine_io io = {
		.verb = ENGINE_DISCARD,
		.storage = storage,
		.offset_bytes = req->sector << WIRE_SECTOR_SHIFT,
		.size_bytes = req->nr_sectors << WIRE_SECTOR_SHIFT,
		.stop = &q->stop,
		/* Where that was not offered the flag is ignored (R27). */
		.secure = req->secure && storage->discard.secure,
		.tag = s,
	};

	q->engine->ops->put(q->engine, &io);
}

/* ---- a run ---- */

static unsigned nr_iovecs(const struct slot *slot)
{
	if (slot->way != SLOT_COPY)
		return slot->req.nr_segments;
	/* The last is a write's edges'. */
	return slot->nr_chunks - slot_needs_edges(slot);
}

static void put_run(struct queue *q)
{
	struct io_run *run = &q->run;
	const struct slot *slot = &q->slot[run->first];
	const struct blk_request *first = &slot->req;
	struct engine_io io = {
		.verb = first->op == BLKIF_OP_READ ? ENGINE_READ : ENGINE_WRITE,
		.storage = &q->disk->storage,
		.offset_bytes = (first->sector << WIRE_SECTOR_SHIFT) - slot->edges.head_bytes,
		.iov = q->iov[run->first],
		.nr_iov = run->nr_iovecs,
		/* Who has edges is alone. */
		.size_bytes = (run->nr_sectors << WIRE_SECTOR_SHIFT) + slot->edges.head_bytes +
			      slot->edges.tail_bytes,
		.tag = run->first,
	};

	if (run->n > 0)
		q->engine->ops->put(q->engine, &io);
	run->n = 0;
}

static void begin_run(struct queue *q, unsigned s)
{
	const struct slot *slot = &q->slot[s];

	put_run(q);
	q->run = (struct io_run){.n = 1,
		.first = (uint16_t)s,
		.last = (uint16_t)s,
		.nr_iovecs = nr_iovecs(slot),
		.nr_sectors = slot->req.nr_sectors};
}

static bool fits_run(const struct queue *q, const struct slot *slot)
{
	const struct io_run *run = &q->run;

	return run->n > 0 && slot_continues(&q->slot[run->last], slot) &&
	       run->nr_iovecs + nr_iovecs(slot) <= LIMIT_SEGMENTS;
}

/* Behind the iovecs of the first is room for those of the others. */
static void join_run(struct queue *q, unsigned s)
{
	const struct slot *slot = &q->slot[s];
	struct io_run *run = &q->run;

	memcpy(&q->iov[run->first][run->nr_iovecs], q->iov[s],
		nr_iovecs(slot) * sizeof(q->iov[s][0]));
	run->nr_iovecs += nr_iovecs(slot);
	run->nr_sectors += slot->req.nr_sectors;
	q->slot[run->last].next = (uint16_t)s;
	run->last = (uint16_t)s;
	run->n++;
	stat_add(&q->stats.merged, 1);
}

void io_move(struct queue *q, unsigned s)
{
	if (fits_run(q, &q->slot[s]))
		join_run(q, s);
	else
		begin_run(q, s);
}

/* Once more and without the others, whose I/O has failed. */
static void start_alone(struct queue *q, unsigned s)
{
	q->slot[s].next = SLOT_NONE;
	q->slot[s].started_ns = start_time(q);
	begin_run(q, s);
	put_run(q);
}

void io_start_again(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];

	slot->state = SLOT_IO;
	slot->started_ns = start_time(q);
	if (slot->req.op == BLKIF_OP_READ)
		io_move(q, s);
	else
		rmw_again(q, s);
}

/* ---- submit ---- */

void io_start(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];

	slot->state = SLOT_IO;
	slot->next = SLOT_NONE;
	slot->started_ns = start_time(q);
	if (slot->req.op == BLKIF_OP_DISCARD)
		start_discard(q, s);
	else if (slot->req.op == BLKIF_OP_READ)
		io_move(q, s);
	else
		rmw_start(q, s);
}

/*
 * Putting the next fdatasync off pays where one takes long, for as long as those who were just answered take to flush again: a
 * fraction of that. Where nobody came it is not tried for a while.
 */
#define GATHER_SYNC_NS  400000u /* of a shorter one nobody waits for others */
#define GATHER_FRACTION 4u
#define GATHER_MAX_NS   2000000u
#define GATHER_REST     32u

/* Under the disk's lock: when the fdatasync behind one that took so long has to begin; 0: at once. */
static uint64_t gather_before(struct queue *q, uint64_t took_ns)
{
	uint64_t wait_ns = took_ns / GATHER_FRACTION;

	if (!q->cfg.gather || took_ns < GATHER_SYNC_NS ||
		atomic_load_explicit(&q->stop, memory_order_relaxed))
		return 0;
	if (q->disk->gather_rest > 0) {
		q->disk->gather_rest--;
		return 0;
	}
	return queue_clock_ns() + (wait_ns < GATHER_MAX_NS ? wait_ns : GATHER_MAX_NS);
}

/* The one that order.h asked for, which took so long. */
static void end_sync(struct queue *q, int error, uint64_t took_ns)
{
	struct order *order = disk_lock(q->disk);
	uint64_t before_ns = gather_before(q, took_ns);

	q->disk->gather_before_ns = before_ns;
	if (order_synced(order, q->cfg.index, error, before_ns != 0))
		q->gather_until_ns = before_ns;
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
}

void io_ask(struct queue *q, unsigned s, enum order_kind kind)
{
	struct order *order = disk_lock(q->disk);
	uint64_t before_ns = q->disk->gather_before_ns;
	bool may_gather = before_ns != 0 && queue_clock_ns() < before_ns;

	if (order_submit(order, q->cfg.index, s, kind, may_gather))
		q->gather_until_ns = before_ns;
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
}

void io_look_at_gather(struct queue *q)
{
	struct order *order;

	if (q->gather_until_ns == 0 ||
		(queue_clock_ns() < q->gather_until_ns &&
			!atomic_load_explicit(&q->stop, memory_order_relaxed)))
		return;
	q->gather_until_ns = 0;
	order = disk_lock(q->disk);
	q->disk->gather_rest = GATHER_REST;
	order_gathered(order, q->cfg.index);
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
}

void io_start_sync(struct queue *q, bool is_needed)
{
	struct engine_io sync = {
		.verb = ENGINE_SYNC, .storage = &q->disk->storage, .tag = QUEUE_SYNC_TAG};

	q->sync_ns = start_time(q);
	q->gather_until_ns = 0;
	q->sync_runs = is_needed || cache_flushes(q->disk->storage.cache);
	if (q->sync_runs)
		q->engine->ops->put(q->engine, &sync);
	else
		end_sync(q, 0, 0);
}

void io_commit(struct queue *q)
{
	put_run(q);
	q->engine->ops->commit(q->engine);
}

/* ---- reap ---- */

static void count_failure(struct queue *q, uint64_t *counter, uint64_t *last_error, int error)
{
	stat_add(counter, 1);
	stat_set(last_error, (uint64_t)-error);
	queue_report(q);
}

static void reap_sync(struct queue *q, int error, uint64_t now_ns)
{
	q->sync_runs = false;
	histogram_count(&q->times.stored[TIMES_STORED_SYNC], now_ns - q->sync_ns);
	if (error)
		count_failure(q, &q->stats.failed_syncs, &q->stats.last_sync_error, error);
	stat_add(&q->stats.syncs, 1);
	end_sync(q, error, now_ns - q->sync_ns);
}

/*
 * D5: where every answer promises that the write is durable, one that failed leaves the others in doubt, too: what the
 * device could not keep may have been theirs. One that the kernel did not take, or for which there was no room, has not
 * come that far. But through the page cache it may be another's for which there was none, when it was written back.
 */
bool io_loses_writes(const struct queue *q, const struct engine_done *done)
{
	const struct storage *storage = &q->disk->storage;
	bool no_room = done->error == -ENOSPC || done->error == -EDQUOT;

	return storage_writes_through(storage) && done->error && !done->refused &&
	       !(no_room && cache_is_direct(storage->cache));
}

static void heed_lost_write(struct queue *q, const struct engine_done *done)
{
	order_write_lost(disk_lock(q->disk), done->error);
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
}

/* What a finished write is worth: on a write-through disk nothing any more when another was lost meanwhile. */
static int judge_write(struct queue *q, const struct engine_done *done)
{
	if (done->error)
		count_failure(q, &q->stats.failed_writes, &q->stats.last_write_error, done->error);
	if (!storage_writes_through(&q->disk->storage))
		return done->error;
	if (io_loses_writes(q, done))
		heed_lost_write(q, done);
	else if (!done->error && disk_gate(q->disk) & ORDER_GATE_FAULT)
		return -EIO;
	return done->error;
}

/* It loses nobody's data, whatever becomes of it. A Linux that is told EOPNOTSUPP sends no more of them. */
static void reap_discard(struct queue *q, unsigned s, int error)
{
	if (error && error != -ECANCELED)
		count_failure(q, &q->stats.failed_discards, &q->stats.last_discard_error, error);
	slot_finish(q, s,
		error == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP
		: error              ? BLKIF_RSP_ERROR
				     : BLKIF_RSP_OKAY);
}

static enum times_stored stored_kind(uint8_t op)
{
	switch (op) {
	case BLKIF_OP_READ:
		return TIMES_STORED_READ;
	case BLKIF_OP_DISCARD:
		return TIMES_STORED_DISCARD;
	default:
		return TIMES_STORED_WRITE;
	}
}

static void reap_request(
	struct queue *q, unsigned s, const struct engine_done *done, uint64_t now_ns)
{
	struct slot *slot = &q->slot[s];
	int error = done->error;

	histogram_count(&q->times.stored[stored_kind(slot->req.op)], now_ns - slot->started_ns);

	if (slot->req.op == BLKIF_OP_DISCARD) {
		reap_discard(q, s, error);
		return;
	}
	rmw_end(q, s);
	if (slot->req.op != BLKIF_OP_READ)
		error = judge_write(q, done);
	else if (error)
		count_failure(q, &q->stats.failed_reads, &q->stats.last_read_error, error);
	if (slot->req.op == BLKIF_OP_WRITE_BARRIER) {
		/* Its data is written; the answer comes after the fdatasync (D2). */
		slot->state = SLOT_ORDERED;
		order_written(disk_lock(q->disk), q->cfg.index, s, error);
		disk_unlock(q->disk, q->cfg.index);
		q->look = true;
		return;
	}
	slot_finish(q, s, error ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
}

void io_give_up(struct queue *q, unsigned s)
{
	const struct engine_done done = {.tag = s, .error = -EIO, .refused = true};

	q->slot[s].edge = EDGE_NONE;
	reap_request(q, s, &done, queue_clock_ns());
}

/*
 * It says nothing about each of them that they failed together. On a write-through disk it does: a write was lost, and it
 * is too late to find out whose (D5).
 */
static bool may_be_done_again(const struct queue *q, const struct engine_done *done)
{
	const struct slot *first = &q->slot[done->tag];

	return done->error && first->next != SLOT_NONE &&
	       (first->req.op == BLKIF_OP_READ || !io_loses_writes(q, done));
}

static void reap_run(struct queue *q, struct engine_done *done, uint64_t now_ns)
{
	unsigned s = done->tag, next;
	bool again;

	if (kept_take(q, done) || rmw_reap(q, s, done))
		return;
	again = may_be_done_again(q, done);
	for (; s != SLOT_NONE; s = next) {
		next = q->slot[s].next;
		if (again)
			start_alone(q, s);
		else
			reap_request(q, s, done, now_ns);
	}
}

unsigned io_reap(struct queue *q)
{
	struct engine_done done[LIMIT_REAP_PER_PASS];
	unsigned n = q->engine->ops->reap(q->engine, done, LIMIT_REAP_PER_PASS);
	uint64_t now_ns = n > 0 ? queue_clock_ns() : 0;

	for (unsigned i = 0; i < n; i++) {
		if (done[i].tag == QUEUE_SYNC_TAG)
			reap_sync(q, done[i].error, now_ns);
		else
			reap_run(q, &done[i], now_ns);
	}
	return n;
}
