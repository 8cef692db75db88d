/*
 * What may happen: the smallest queue, as data/pass.c has it, around struct order_port; the storage; and control.
 */
#include "tests/unit/order-world.h"

#include <errno.h>
#include <string.h>

#define TAKES_NOTHING (ORDER_GATE_QUIET | ORDER_GATE_STOPPED)

/* What the lock's holder does last: tell the others, but who was told and has not collected since. */
static void unlock(struct world *w, unsigned self)
{
	for (unsigned q = 0; q < plan->queues; q++) {
		if (!(w->order.wake & (1u << q)))
			continue;
		CHECK(w->queue[q].member);
		if (q != self && !(w->told & (1u << q)))
			w->queue[q].awake = w->queue[q].poked = 1;
	}
	w->told = plan->in_one ? 0 : w->order.wake;
	w->order.wake = w->told;
	oracle_unlock(w);
	w->order.wake_control = false;
}

/* ---- a queue's requests ---- */

static void obey(struct world *w, unsigned q, unsigned slot, enum order_verdict verdict)
{
	if (verdict == ORDER_START) {
		oracle_start_write(w, q, slot);
	} else if (verdict == ORDER_REFUSE) {
		oracle_answer(w, q, slot, -1);
	} else if (verdict == ORDER_ASK) {
		w->queue[q].op[slot].facts |= ASKED;
		(void)order_submit(&w->order, q, slot, w->queue[q].op[slot].kind, plan->gathers);
		unlock(w, q);
	}
}

/* It goes by what it saw of the gate last. What it has seen it acts upon first. */
bool event_may_take(const struct queue *queue)
{
	return queue->member && !queue->held_up && queue->section != HEED;
}

void event_take(struct world *w, unsigned q, unsigned kind)
{
	struct queue *queue = &w->queue[q];
	unsigned slot = 0;

	oracle_take(w);
	if (kind == READ) {
		queue->reads++;
		return;
	}
	while (queue->op[slot].live)
		slot++;
	queue->op[slot] = (struct op){.live = 1, .kind = (uint8_t)kind, .place = queue->nr_live++};
	obey(w, q, slot, order_port_take(&queue->port, slot, kind));
}

static void end_write(struct world *w, unsigned q, unsigned slot, int error)
{
	if (is_barrier(w->queue[q].op[slot].kind)) {
		order_written(&w->order, q, slot, error);
		unlock(w, q);
	} else {
		oracle_answer(w, q, slot, error);
		order_port_done(&w->queue[q].port, slot);
	}
}

/* D9: those that were kept are done again, or are refused like any write of a latched disk (D5). */
static void start_kept(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];

	for (unsigned slot = 0; slot < OPS_MAX; slot++) {
		if (!(queue->op[slot].facts & KEPT))
			continue;
		if (!queue->port.faulty) {
			oracle_start_write(w, q, slot);
			continue;
		}
		queue->op[slot].facts ^= KEPT | FAILED;
		end_write(w, q, slot, -EIO);
	}
}

static bool must_start_kept(const struct world *w, unsigned q)
{
	if (!plan->stops || w->order.gate & ORDER_GATE_STOPPED)
		return false;
	for (unsigned slot = 0; slot < OPS_MAX; slot++)
		if (w->queue[q].op[slot].facts & KEPT)
			return true;
	return false;
}

/* ---- a queue's pass ---- */

/* Nothing of it is with the storage. */
static bool is_idle(const struct world *w, unsigned q)
{
	const struct queue *queue = &w->queue[q];

	for (unsigned slot = 0; slot < OPS_MAX; slot++)
		if (queue->op[slot].facts & WRITING)
			return false;
	return queue->reads == 0 && !(w->sync_running && w->sync_queue == q);
}

/* A real pass collects what there is, not having looked at the gate again. */
static uint8_t after_section(void)
{
	return plan->in_one ? LOOK : COLLECT;
}

/* What a gate that was seen makes it do next. */
static void decide(struct queue *queue, uint32_t gate)
{
	queue->held_up = gate & TAKES_NOTHING;
	if (order_port_must_park(&queue->port)) {
		queue->section = PARK;
	} else if (!order_port_may_resume(&queue->port, gate)) {
		queue->section = COLLECT;
	} else if (queue->port.parked) {
		queue->section = RESUME;
	} else {
		order_port_resume(&queue->port);
		queue->section = RELEASE;
	}
}

static bool must_heed(const struct world *w, unsigned q)
{
	const struct order_port *port = &w->queue[q].port;

	return order_port_must_be_quiet(port, w->order.gate, is_idle(w, q)) ||
	       order_port_must_stir(port, w->order.gate);
}

static void look(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];

	queue->poked = 0;
	queue->knows_fault = w->sync_failed;
	order_port_see(&queue->port, w->order.gate);
	if (must_start_kept(w, q))
		start_kept(w, q);
	if (must_heed(w, q))
		queue->section = HEED;
	else
		decide(queue, w->order.gate);
}

/* It saw that it has to be quiet, or need not be any more: the opposite of what it is. */
static void heed(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];

	queue->port.quiet = !queue->port.quiet;
	if (queue->port.quiet)
		order_be_quiet(&w->order, q);
	else
		order_stir(&w->order, q);
	unlock(w, q);
	decide(queue, w->order.gate);
}

static void park(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];

	queue->port.parked = true;
	order_park(&w->order, q);
	unlock(w, q);
	queue->held_up = w->order.gate & TAKES_NOTHING;
	queue->section = after_section();
}

/* Since the look only a change can have closed the gate. */
static void resume(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];
	bool may_resume = order_resume(&w->order, q);

	CHECK(may_resume || w->order.gate & ORDER_GATE_QUIET);
	unlock(w, q);
	queue->section = COLLECT;
	if (!may_resume)
		return;
	order_port_resume(&queue->port);
	queue->section = RELEASE;
}

/* Release held requests, in one step up to one that asks: that is a section of the lock. */
static void release(struct world *w, unsigned q)
{
	enum order_verdict verdict;
	unsigned slot;

	while ((verdict = order_port_release(&w->queue[q].port, &slot)) != ORDER_HELD) {
		obey(w, q, slot, verdict);
		if (verdict == ORDER_ASK)
			return;
	}
}

/* Do what there is to be done; true if something was. */
static bool act(struct world *w, unsigned q)
{
	struct order_action action;
	bool any = false;

	while (order_next(&w->order, q, &action)) {
		any = true;
		if (action.verb == ORDER_DO_SYNC) {
			oracle_start_sync(w, q, action.is_needed);
		} else if (action.verb == ORDER_DO_WRITE) {
			oracle_start_write(w, q, action.slot);
		} else {
			CHECK(action.verb == ORDER_DO_ANSWER);
			oracle_answer(w, q, action.slot, action.error);
			order_port_done(&w->queue[q].port, action.slot);
		}
	}
	return any;
}

/*
 * Collect all actions in one section of the lock and do them; see the gate in it, too. With nothing
 * to do, fall asleep.
 */
static void collect(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];

	queue->section = LOOK;
	queue->awake = queue->poked;
	queue->awake |= act(w, q);
	queue->knows_fault &= w->sync_failed;
	queue->held_up = w->order.gate & TAKES_NOTHING;
	order_port_see(&queue->port, w->order.gate);
	unlock(w, q);
	CHECK(!(w->order.wake & (1u << q)));
	if (order_port_must_park(&queue->port) ||
		order_port_may_resume(&queue->port, w->order.gate) || must_heed(w, q) ||
		must_start_kept(w, q))
		queue->awake = 1;
}

void event_pass(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	static void (*const sections[])(struct world *, unsigned) = {
		[HEED] = heed,
		[PARK] = park,
		[RESUME] = resume,
		[RELEASE] = release,
		[COLLECT] = collect,
	};
	struct queue *queue = &w->queue[q];

	if (queue->section == LOOK) {
		look(w, q);
		if (!plan->in_one || queue->section == RELEASE)
			return;
	}
	sections[queue->section](w, q);
}

/* ---- the storage ---- */

void event_write_ends(struct world *w, unsigned q, unsigned arg)
{
	unsigned slot = arg % FAILS;
	struct op *op = &w->queue[q].op[slot];
	int error = arg & FAILS ? -ENOSPC : 0;

	if (arg & STAYS) {
		op->facts ^= WRITING | KEPT;
		event_stop(w, q, 0);
		return;
	}
	op->facts ^= WRITING | (error ? FAILED : WRITTEN);
	w->dirty = 1;
	w->loose = plan->changes;
	if (error && plan->write_through) {
		w->sync_failed = 1;
		order_write_lost(&w->order, error);
		unlock(w, q);
	}
	end_write(w, q, slot, error);
}

void event_read_ends(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	w->queue[q].reads--;
}

void event_sync_ends(struct world *w, unsigned q, unsigned arg)
{
	bool gathers;

	oracle_end_sync(w, arg & FAILS);
	gathers = order_synced(&w->order, q, arg & FAILS ? -EIO : 0, arg & GATHERS);
	CHECK(gathers == (w->order.gather_left > 0));
	CHECK(!gathers || arg == GATHERS);
	unlock(w, q);
}

/* The queue whose fdatasync is put off has waited long enough. */
void event_gathered(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	order_gathered(&w->order, q);
	CHECK(w->order.gather_left == 0);
	unlock(w, q);
}

/* ---- queues come and go ---- */

bool event_may_leave(const struct queue *queue)
{
	return queue->port.writes == 0 && queue->reads == 0 &&
	       queue->port.held.head == ORDER_NO_REF;
}

/* At any moment when the port runs and holds no write: the disk must know of all the rest. */
void event_leave(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	if (order_leave(&w->order, q)) {
		CHECK(w->queue[q].nr_live == 0);
		CHECK(!w->sync_running || w->sync_queue != q);
		w->queue[q] = (struct queue){0};
		order_port_init(&w->queue[q].port);
		unlock(w, q);
	}
}

void event_join(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	w->queue[q].member = 1;
	w->queue[q].knows_fault = w->sync_failed;
	w->queue[q].held_up = w->order.gate & TAKES_NOTHING;
	order_join(&w->order, q, OPS_MAX);
	order_port_see(&w->queue[q].port, w->order.gate);
}

/* ---- a stop, and a change ---- */

void event_stop(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	order_stop(&w->order);
	unlock(w, q);
}

void event_go_on(
	struct world *w, unsigned q __attribute__((unused)), unsigned arg __attribute__((unused)))
{
	order_go_on(&w->order);
	unlock(w, CONTROL);
}

void event_begin(
	struct world *w, unsigned q __attribute__((unused)), unsigned arg __attribute__((unused)))
{
	order_begin_change(&w->order);
	unlock(w, CONTROL);
}

/* At any moment. When all went well the latch may go. */
void event_end(struct world *w, unsigned q __attribute__((unused)), unsigned clear_fault)
{
	if (clear_fault) {
		order_clear_fault(&w->order);
		oracle_clear_fault(w);
	}
	order_end_change(&w->order);
	w->control_told = 0;
	unlock(w, CONTROL);
}

/* ---- asleep ---- */

static bool has_nothing_to_see(const struct world *w, unsigned q)
{
	const struct queue *queue = &w->queue[q];
	const struct order *o = &w->order;
	struct order_port port;

	if (o->outbox[q].head != ORDER_NO_REF ||
		(o->sync_queue == 1u << q && !o->sync_told && o->gather_left == 0))
		return false;
	/* Told for nothing: between its look and its collecting there may be something. */
	if (!plan->in_one && o->wake & (1u << q))
		return false;
	if (!queue->member)
		return true;
	/* There may be requests in its ring. */
	if (queue->held_up != (o->gate & TAKES_NOTHING) || must_heed(w, q) || must_start_kept(w, q))
		return false;
	memcpy(&port, &queue->port, PORT_BYTES);
	order_port_see(&port, o->gate);
	return port.holding == queue->port.holding && port.faulty == queue->port.faulty &&
	       !order_port_must_park(&port) && !order_port_may_resume(&port, o->gate);
}

static bool has_more_to_release(const struct queue *queue)
{
	struct order_port port;
	unsigned slot;

	memcpy(&port, &queue->port, PORT_BYTES);
	return order_port_release(&port, &slot) != ORDER_HELD;
}

void event_settle(struct world *w)
{
	for (unsigned q = 0; q < plan->queues; q++) {
		struct queue *queue = &w->queue[q];

		if (queue->section == RELEASE && !has_more_to_release(queue))
			queue->section = after_section();
		if (queue->section != LOOK)
			continue;
		if (!has_nothing_to_see(w, q)) {
			CHECK(queue->awake);
			continue;
		}
		queue->awake = queue->poked = 0;
		w->order.wake &= ~(1u << q);
		w->told &= ~(1u << q);
	}
}
