/*
 * One pass of a queue: a request's way from the ring to its response, top to bottom. Queue thread
 * only. Nothing here allocates (the first flush and the first discard start a thread), logs, or waits for the storage, the guest or
 * another queue, but for the disk's lock where a request needs ordering. Letters name rules of
 * backend/DESIGN.md (D) and ring/PROTOCOL.md (R).
 */
#include <unistd.h>

#include "backend/data/queue_impl.h"

static void list_add(struct slot_list *list, unsigned slot)
{
	list->slot[list->n++] = (uint16_t)slot;
}

void queue_report(struct queue *q)
{
	uint64_t one = 1;

	if (!atomic_exchange(&q->report, true))
		/* Fails only when the counter is full, and then control is awake. */
		(void)!write(q->cfg.report_fd, &one, sizeof(one));
}

void slot_finish(struct queue *q, unsigned s, int16_t status)
{
	struct slot *slot = &q->slot[s];

	slot->status = status;
	slot->state = SLOT_DONE;
	if (slot->ordered)
		order_port_done(&q->order, s);
	slot->ordered = false;
	list_add(&q->done, s);
	if (status != BLKIF_RSP_OKAY)
		queue_report(q);
}

/* D5: what a failed request is answered with. */
static int16_t failure_status(const struct slot *slot)
{
	bool is_empty_flush = slot->req.nr_segments == 0 && blk_op_may_be_empty(slot->req.op);

	return is_empty_flush ? WIRE_RSP_FLUSH_FAILED : BLKIF_RSP_ERROR;
}

/* ---- 1. take: copy each request out of the ring once, and judge the copy (R6) ---- */

static void refuse_request(struct queue *q, unsigned s, enum blk_reason reason)
{
	stat_add(&q->stats.refused[reason], 1);
	q->slot[s].refused = true;
	slot_finish(q, s, blk_reason_status(reason));
}

static void count_taken(struct queue *q, const struct blk_request *req)
{
	if (req->op == BLKIF_OP_READ)
		stat_add(&q->stats.reads_taken, 1);
	else if (req->nr_segments > 0)
		stat_add(&q->stats.writes_taken, 1);
	if (req->indirect)
		stat_add(&q->stats.indirect_taken, 1);
}

void slot_judge(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	enum blk_reason reason = blk_request_check(&slot->req, &q->limits);

	if (reason != BLK_REQUEST_OK) {
		refuse_request(q, s, reason);
		return;
	}
	slot->state = SLOT_TAKEN;
	if (slot->req.nr_segments > 0)
		slot->edges =
			edges_of(slot->req.sector, slot->req.nr_sectors, q->disk->storage.unit);
	count_taken(q, &slot->req);
}

void slot_fail_guest(struct queue *q, unsigned s)
{
	/* A good one as far as one can tell: it is going to be counted as answered. */
	if (q->slot[s].state == SLOT_INDIRECT)
		count_taken(q, &q->slot[s].req);
	stat_add(&q->stats.failed_guest, 1);
	slot_finish(q, s, BLKIF_RSP_ERROR);
}

/* By its slot alone: its segments are to be fetched, if that much is good. */
static void judge_indirect(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	enum blk_reason reason = blk_request_check_indirect(&slot->req, &q->limits);

	if (reason != BLK_REQUEST_OK)
		refuse_request(q, s, reason);
	else
		slot->state = SLOT_INDIRECT;
}

static unsigned take_one(struct queue *q, uint64_t now_ns)
{
	struct wire_slot wire;
	unsigned s = q->free.slot[--q->free.n];
	struct slot *slot = &q->slot[s];

	if (s >= q->nr_touched)
		q->nr_touched = s + 1;
	backring_take(&q->ring, &wire);
	slot->way = SLOT_NO_DATA;
	slot->ordered = false;
	slot->refused = false;
	slot->edge = EDGE_NONE;
	slot->edges = (struct edges){0};
	slot->taken_ns = now_ns;
	blk_request_decode(q->cfg.abi, &wire, &slot->req);
	if (slot->req.indirect)
		judge_indirect(q, s);
	else
		slot_judge(q, s);
	if (slot->state != SLOT_DONE)
		list_add(&q->taken, s);
	return s;
}

/* Those that waited for buffers come first, and alone: the order of requests stays. */
static bool take_waiting(struct queue *q)
{
	struct slot_list none = q->taken;

	if (q->waiting.n == 0)
		return false;
	q->taken = q->waiting;
	q->waiting = none;
	return true;
}

/*
 * How many at a time. Storage that works while we do something else is to begin at once, and most of what is there is to come with few
 * system calls: so few at first, and twice as many each time, as long as there are more. Where an I/O has ended when it is put
 * (storage in memory) there is nothing to begin: then most of them at once.
 */
static unsigned take_limit(struct queue *q, unsigned nr_available)
{
	unsigned limit = q->take_limit;

	if (q->ends_at_once)
		return LIMIT_TAKE_ENDED;
	q->take_limit = nr_available <= limit             ? LIMIT_TAKE_FIRST
			: limit * 2 < LIMIT_TAKE_PER_PASS ? limit * 2
							  : LIMIT_TAKE_PER_PASS;
	return limit;
}

/* What a pass has taken so far. */
struct take {
	unsigned nr_runs;
	unsigned nr_segments; /* of the last run */
	bool goes_on;         /* the last request went on where the one before it had ended */
};

/* Indirect requests count one each: their segments are not known yet, and they are large enough by themselves. */
static void take_count(struct take *take, const struct slot *last, const struct slot *slot)
{
	take->goes_on = last && slot->state == SLOT_TAKEN && last->state == SLOT_TAKEN &&
			slot_continues(last, slot);
	take->nr_segments += slot->req.nr_segments;
	if (take->goes_on && take->nr_segments <= LIMIT_TAKE_RUN)
		return;
	take->nr_runs++;
	take->nr_segments = slot->req.nr_segments;
}

/*
 * So many runs: requests that are going to share an I/O count as one, as long as together they are no larger than a usual indirect
 * request. A last run that goes on where the one before it ended is filled. Whether a request belongs to it is seen when it has been taken:
 * so it may be one more. There are copies for @max_runs indirect requests (indirect.c), and each counts as a run: a run more
 * than that begins only behind two of direct ones.
 */
static bool take_more(const struct take *take, unsigned max_runs)
{
	return take->nr_runs < max_runs ||
	       (take->nr_runs == max_runs && take->goes_on && take->nr_segments < LIMIT_TAKE_RUN);
}

static void take_some(struct queue *q, unsigned n)
{
	uint64_t now_ns = queue_clock_ns();
	const struct slot *last = NULL;
	struct take take = {0};
	unsigned max_runs = take_limit(q, n);

	q->pcache.now_s = queue_seconds(now_ns);
	/* A ring's worth of slots: a frontend within its bounds never finds them used up. */
	while (n-- > 0 && q->free.n > 0 && take_more(&take, max_runs)) {
		const struct slot *slot = &q->slot[take_one(q, now_ns)];

		take_count(&take, last, slot);
		last = slot;
	}
}

static void take_requests(struct queue *q)
{
	unsigned n;

	q->taken.n = 0;
	if (queue_is_held_up(q) || take_waiting(q) ||
		atomic_load_explicit(&q->stop, memory_order_relaxed))
		return;
	n = backring_available(&q->ring);
	if (q->ring.broken && atomic_load(&q->status) != QUEUE_BROKEN) {
		atomic_store(&q->status, QUEUE_BROKEN);
		queue_report(q);
	}
	if (n == 0)
		return;
	/*
	 * Only now, behind the ring's index: who asks has perhaps just been told that the disk has grown. Of a size read
	 * before the index he would be refused.
	 */
	q->limits.nr_sectors = disk_nr_sectors(q->disk);
	take_some(q, n);
	/* Not when there is an event: there is none while we are awake. */
	if (atomic_load_explicit(&q->reports_request, memory_order_relaxed) &&
		atomic_exchange(&q->reports_request, false))
		queue_report(q);
}

/* ---- 2. bring in segments that lie elsewhere: indirect.c. 3. get at the guest's pages: move.c ---- */

/* ---- 4. order: what runs now, what waits (D2, D3) ---- */

static enum order_kind kind_of(const struct blk_request *req)
{
	switch (req->op) {
	case BLKIF_OP_WRITE_BARRIER:
		return req->nr_segments ? ORDER_BARRIER_WRITE : ORDER_BARRIER;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return req->nr_segments ? ORDER_FLUSH_WRITE : ORDER_FLUSH;
	default:
		return ORDER_WRITE;
	}
}

static void obey(struct queue *q, unsigned s, enum order_verdict verdict)
{
	struct slot *slot = &q->slot[s];

	slot->ordered = verdict != ORDER_REFUSE && verdict != ORDER_HELD;
	switch (verdict) {
	case ORDER_START:
		io_start(q, s);
		break;
	case ORDER_HELD:
		slot->state = SLOT_HELD;
		break;
	case ORDER_ASK:
		slot->state = SLOT_ORDERED;
		io_ask(q, s, kind_of(&slot->req));
		break;
	case ORDER_REFUSE:
		slot_finish(q, s, failure_status(slot));
		break;
	}
}

static void order_requests(struct queue *q)
{
	for (unsigned i = 0; i < q->taken.n; i++) {
		unsigned s = q->taken.slot[i];
		struct slot *slot = &q->slot[s];

		if (slot->state == SLOT_DONE)
			continue;
		if (slot->req.op == BLKIF_OP_READ)
			io_start(q, s);
		else
			obey(q, s, order_port_take(&q->order, s, kind_of(&slot->req)));
	}
}

static bool is_idle(const struct queue *q)
{
	return q->run.n == 0 && q->engine->ops->in_flight(q->engine) == 0;
}

/* D7: tell the disk that nothing of ours is in flight, or that we go on. Returns the gate of then. */
static uint32_t heed_change(struct queue *q, uint32_t gate)
{
	bool be_quiet = order_port_must_be_quiet(&q->order, gate, is_idle(q));
	struct order *order;

	if (!be_quiet && !order_port_must_stir(&q->order, gate))
		return gate;
	order = disk_lock(q->disk);
	q->order.quiet = be_quiet;
	if (be_quiet)
		order_be_quiet(order, q->cfg.index);
	else
		order_stir(order, q->cfg.index);
	gate = order->gate;
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
	return gate;
}

/* D2: tell the disk that our writes wait and none is in flight. Returns the gate of then. */
static uint32_t park(struct queue *q)
{
	struct order *order = disk_lock(q->disk);
	uint32_t gate;

	q->order.parked = true;
	order_park(order, q->cfg.index);
	gate = order->gate;
	disk_unlock(q->disk, q->cfg.index);
	q->look = true;
	return gate;
}

/* Once per pass, before anything is taken: the price of barriers for those who send none. */
static void look_at_gate(struct queue *q)
{
	uint32_t gate = disk_gate(q->disk);
	enum order_verdict verdict;
	unsigned s;

	if (gate & ORDER_GATE_WAKE(q->cfg.index))
		q->look = true;
	order_port_see(&q->order, gate);
	gate = heed_change(q, gate);
	if (order_port_must_park(&q->order))
		gate = park(q);
	q->gate = gate;
	if (kept_may_go(q, gate))
		kept_go(q);
	if (!order_port_may_resume(&q->order, gate))
		return;
	if (q->order.parked) {
		bool may_resume = order_resume(disk_lock(q->disk), q->cfg.index);

		disk_unlock(q->disk, q->cfg.index);
		q->look = true;
		if (!may_resume)
			return;
	}
	order_port_resume(&q->order);
	while ((verdict = order_port_release(&q->order, &s)) != ORDER_HELD)
		obey(q, s, verdict);
}

/* Do what the ordering object has for this queue. */
static void follow_orders(struct queue *q)
{
	struct order_action action;
	struct order *order;
	bool sync = false, is_needed = false;

	if (!q->look)
		return;
	q->look = false;
	order = disk_lock(q->disk);
	while (order_next(order, q->cfg.index, &action)) {
		struct slot *slot = &q->slot[action.slot];

		if (action.verb == ORDER_DO_SYNC) {
			sync = true;
			is_needed = action.is_needed;
		} else if (action.verb == ORDER_DO_WRITE) {
			io_start(q, action.slot);
		} else {
			slot_finish(q, action.slot,
				action.error ? failure_status(slot) : BLKIF_RSP_OKAY);
		}
	}
	/*
	 * order_next() has taken our wake bit back. What the gate says now has to be seen under the
	 * same lock: nobody wakes us for it again.
	 */
	q->gate = order->gate;
	order_port_see(&q->order, order->gate);
	disk_unlock(q->disk, q->cfg.index);
	/* Only now: it may start a thread, and where there is none to be had it waits for the storage. */
	if (sync)
		io_start_sync(q, is_needed);
}

/* ---- 5. submit and reap: io.c. 6. give the pages back: move.c. 7. respond, push once, notify once ---- */

static void count_success(struct queue *q, const struct blk_request *req)
{
	switch (req->op) {
	case BLKIF_OP_READ:
		stat_add(&q->stats.reads, 1);
		stat_add(&q->stats.read_sectors, req->nr_sectors);
		return;
	case BLKIF_OP_WRITE:
		stat_add(&q->stats.writes, 1);
		break;
	case BLKIF_OP_WRITE_BARRIER:
		stat_add(&q->stats.barriers, 1);
		break;
	case BLKIF_OP_FLUSH_DISKCACHE:
		stat_add(&q->stats.flushes, 1);
		break;
	case BLKIF_OP_DISCARD:
		stat_add(&q->stats.discards, 1);
		stat_add(&q->stats.discard_sectors, req->nr_sectors);
		return;
	default:
		return;
	}
	stat_add(&q->stats.write_sectors, req->nr_sectors);
}

static enum times_answered answered_kind(uint8_t op)
{
	switch (op) {
	case BLKIF_OP_READ:
		return TIMES_READ;
	case BLKIF_OP_WRITE_BARRIER:
		return TIMES_BARRIER;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return TIMES_FLUSH;
	case BLKIF_OP_DISCARD:
		return TIMES_DISCARD;
	default:
		return TIMES_WRITE;
	}
}

static void count_answered(struct queue *q, const struct slot *slot, uint64_t now_ns)
{
	uint64_t ns = now_ns - slot->taken_ns;

	histogram_count(&q->times.answered[answered_kind(slot->req.op)], ns);
	if (slot->req.op == BLKIF_OP_READ) {
		stat_add(&q->stats.reads_answered, 1);
		stat_add(&q->stats.reads_ns, ns);
		if (ns > q->stats.reads_max_ns)
			stat_set(&q->stats.reads_max_ns, ns);
	} else if (slot->req.nr_segments > 0) {
		stat_add(&q->stats.writes_answered, 1);
		stat_add(&q->stats.writes_ns, ns);
		if (ns > q->stats.writes_max_ns)
			stat_set(&q->stats.writes_max_ns, ns);
	}
}

static void respond(struct queue *q)
{
	uint64_t now_ns = q->done.n > 0 ? queue_clock_ns() : 0;

	for (unsigned i = 0; i < q->done.n; i++) {
		unsigned s = q->done.slot[i];
		struct slot *slot = &q->slot[s];

		if (slot->status == BLKIF_RSP_OKAY)
			count_success(q, &slot->req);
		else if (!slot->refused)
			stat_add(&q->stats.failed, 1);
		if (!slot->refused)
			count_answered(q, slot, now_ns);
		backring_respond(&q->ring, slot->req.id, slot->req.op, slot->status);
		slot->state = SLOT_FREE;
		list_add(&q->free, s);
	}
	stat_set(&q->stats.in_flight, q->nr_slots - q->free.n);
	/* Before the guest sees its answers: who asks afterwards finds them counted. */
	if (q->cfg.record && (q->taken.n > 0 || q->done.n > 0))
		record_add(q->cfg.record, &q->told, &q->stats);
	if (q->done.n == 0 || !backring_push(&q->ring))
		return;
	if (channel_notify(&q->channel))
		stat_add(&q->stats.notifications, 1);
}

/* ---- the pass ---- */

/* What look_at_gate() would act upon: somebody waits for us to park or be quiet, or ours are to go on. */
static bool has_gate_work(const struct queue *q)
{
	uint32_t gate = disk_gate(q->disk);

	return order_port_must_park(&q->order) || order_port_may_resume(&q->order, gate) ||
	       order_port_must_be_quiet(&q->order, gate, is_idle(q)) || kept_may_go(q, gate) ||
	       order_port_must_stir(&q->order, gate);
}

static bool may_take(const struct queue *q)
{
	return !queue_is_held_up(q) && q->waiting.n == 0 &&
	       !atomic_load_explicit(&q->stop, memory_order_relaxed);
}

bool queue_sees_work(const struct queue *q)
{
	return (may_take(q) && backring_has_requests(&q->ring)) ||
	       q->engine->ops->has_done(q->engine) ||
	       (disk_gate(q->disk) & ORDER_GATE_WAKE(q->cfg.index)) || has_gate_work(q);
}

bool queue_poll_once(struct queue *q)
{
	unsigned nr_reaped;
	bool was_held_up;

	stat_add(&q->stats.passes, 1);
	q->done.n = 0;
	q->start_ns = 0;
	guest_begin_pass(&q->guest);
	look_at_gate(q);
	was_held_up = queue_is_held_up(q);
	io_look_at_gather(q);
	take_requests(q);
	indirect_fetch(q);
	move_in(q);
	order_requests(q);
	follow_orders(q);
	rmw_follow(q);
	io_commit(q);
	nr_reaped = io_reap(q);
	if (q->start_ns)
		q->ends_at_once = is_idle(q);
	follow_orders(q);
	move_out(q);
	respond(q);
	stat_add(&q->stats.grants_released, pcache_release_idle(&q->pcache));
	/* Whatever was finished may have opened the way for more. */
	return q->taken.n > 0 || nr_reaped > 0 || q->done.n > 0 || q->run.n > 0 || q->look ||
	       (was_held_up && !queue_is_held_up(q)) || has_gate_work(q);
}

bool queue_is_idle(const struct queue *q)
{
	return q->free.n == q->nr_slots && is_idle(q);
}

bool queue_is_held_up(const struct queue *q)
{
	return (q->gate & ORDER_GATE_QUIET) != 0 ||
	       ((q->gate & ORDER_GATE_STOPPED) && !atomic_load(&q->stop));
}
