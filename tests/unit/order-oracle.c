/*
 * What must hold, written down independently of order.c: rules D2, D3, D5, D7 and D9.
 */
#include "tests/unit/order-world.h"

#include <string.h>

static bool has_data(unsigned kind)
{
	return kind == ORDER_WRITE || kind == ORDER_FLUSH_WRITE || kind == ORDER_BARRIER_WRITE;
}

#define foreach(w, it)                                                                             \
	for (unsigned q_ = 0; q_ < plan->queues; q_++)                                             \
		for (it = (w)->queue[q_].op; it < (w)->queue[q_].op + OPS_MAX; it++)

static bool is_taken(const struct world *w)
{
	return w->order.change == ORDER_CHANGE_READY || w->order.change == ORDER_CHANGE_FAILED;
}

/* D7: from the moment all were quiet until control has ended the change nobody takes anything. */
void oracle_take(const struct world *w)
{
	CHECK(w->order.change != ORDER_CHANGE_SYNC && !is_taken(w));
}

/* D2 within one ring: no barrier before @op may be unanswered, and before a barrier no write. */
static void check_own_ring(const struct queue *queue, const struct op *op)
{
	for (const struct op *other = queue->op; other < queue->op + OPS_MAX; other++) {
		if (!other->live || other->place >= op->place)
			continue;
		CHECK(!is_barrier(other->kind));
		CHECK(!is_barrier(op->kind) || !has_data(other->kind));
	}
}

void oracle_start_write(struct world *w, unsigned q, unsigned slot)
{
	struct op *op = &w->queue[q].op[slot];
	const struct op *other;

	CHECK(op->live && has_data(op->kind));
	CHECK(!(op->facts & (WRITING | WRITTEN)));
	check_own_ring(&w->queue[q], op);
	if (op->kind == ORDER_WRITE)
		CHECK(!w->queue[q].knows_fault); /* D5 */
	else
		CHECK(op->facts & COVERED); /* the sync before the data */
	if (is_barrier(op->kind))
		CHECK(!w->dirty && !w->dirty_in_sync); /* all that was written is stable */
	/* D2 across rings: the data of a barrier is alone, from its start until it is stable. */
	foreach (w, other) {
		CHECK(!is_barrier(op->kind) || other == op || !(other->facts & (WRITING | KEPT)));
		if (is_barrier(other->kind) && other != op &&
			other->facts & (WRITING | WRITTEN | KEPT))
			CHECK(other->facts & (STABLE | DOUBTED) || w->sync_failed);
	}
	op->facts &= (uint16_t)~KEPT;
	op->facts |= WRITING;
}

void oracle_start_sync(struct world *w, unsigned q, bool is_needed)
{
	struct op *op;

	CHECK(!w->sync_running); /* D3: at most one runs */
	/*
	 * D5: nothing is asked of a latched disk, but what is to be tried to get it back. If a lost write has latched it, what had
	 * been asked before may go its way: all that was answered was stable then.
	 */
	CHECK(!w->sync_failed || is_needed || plan->write_through);
	w->sync_running = 1;
	w->sync_queue = (uint8_t)q;
	w->dirty_in_sync = w->dirty;
	w->dirty = 0;
	if (is_needed) {
		w->loose_in_sync = w->loose;
		w->loose = 0;
	}
	foreach (w, op) {
		op->facts |= op->facts & ASKED ? ASKED_FIRST : 0;
		op->facts |= op->facts & WRITTEN ? WRITTEN_FIRST : 0;
	}
}

void oracle_end_sync(struct world *w, bool fails)
{
	struct op *op;

	foreach (w, op) {
		if (op->facts & ASKED_FIRST && !fails)
			op->facts |= COVERED;
		if (op->facts & WRITTEN_FIRST && !fails)
			op->facts |= STABLE;
		op->facts &= (uint16_t) ~(ASKED_FIRST | WRITTEN_FIRST);
	}
	w->sync_failed |= fails;
	w->dirty_in_sync = 0;
	w->loose_in_sync = 0;
	w->sync_running = 0;
}

void oracle_answer(struct world *w, unsigned q, unsigned slot, int error)
{
	struct queue *queue = &w->queue[q];
	struct op *op = &queue->op[slot];

	CHECK(op->live && !(op->facts & (WRITING | KEPT)));
	if (error) {
		CHECK(w->sync_failed || op->facts & (FAILED | DOUBTED));
	} else {
		CHECK(!(op->facts & FAILED));
		if (has_data(op->kind))
			CHECK(op->facts & WRITTEN);
		if (op->kind != ORDER_WRITE)
			CHECK(op->facts & COVERED); /* D3: by no sync that began before it asked */
		if (op->kind == ORDER_BARRIER_WRITE)
			CHECK(op->facts & STABLE);
		if (is_barrier(op->kind))
			check_own_ring(queue, op);
	}
	for (unsigned i = 0; i < OPS_MAX; i++)
		queue->op[i].place -= queue->op[i].place > op->place;
	*op = (struct op){0};
	queue->nr_live--;
}

/* What was asked of the latched disk may have been refused, and not be known to its queue yet. */
void oracle_clear_fault(struct world *w)
{
	struct op *op;

	foreach (w, op)
		op->facts |= op->facts & ASKED ? DOUBTED : 0;
	w->sync_failed = 0;
}

/*
 * The gate closes for w->order.active, or opens behind w->active: then all there was is stable. It
 * closes in turn, and when all who were parked have resumed or wait for a barrier of their own.
 */
static void check_barriers(const struct world *w)
{
	const struct op *op, *barrier;

	if (w->first != ORDER_NO_REF && w->first != w->order.active)
		CHECK(w->first == w->order.barriers.head || w->sync_failed);
	if (w->active == w->order.active)
		return;
	for (unsigned q = 0; q < plan->queues && w->order.active != ORDER_NO_REF; q++)
		CHECK(!(w->order.parked & (1u << q)) || w->queue[q].port.barrier);
	CHECK(w->order.active == ORDER_NO_REF || !w->sync_failed || plan->write_through);
	if (w->active == ORDER_NO_REF)
		return;
	foreach (w, op)
		CHECK(!(op->facts & (WRITING | KEPT)));
	barrier = &w->queue[ORDER_REF_QUEUE(w->active)].op[ORDER_REF_SLOT(w->active)];
	CHECK((!w->dirty && !w->dirty_in_sync) || w->sync_failed || barrier->facts & FAILED);
}

/*
 * D7. A change and a barrier never have the gate together; control is told once, when the change has come to its end; and then
 * all that was answered is stable, or control is told that it is not.
 */
static void check_change(struct world *w)
{
	const struct order *o = &w->order;
	bool drains = o->change > ORDER_CHANGE_PENDING;

	CHECK(!drains || o->active == ORDER_NO_REF);
	CHECK(drains == ((o->gate & ORDER_GATE_QUIET) != 0));
	CHECK((drains || o->active != ORDER_NO_REF) == ((o->gate & ORDER_GATE_CLOSED) != 0));
	CHECK(!o->wake_control || !w->control_told);
	w->control_told |= o->wake_control;
	CHECK(w->control_told == is_taken(w));
	if (o->change == w->change)
		return;
	if (o->change == ORDER_CHANGE_READY)
		CHECK(!w->loose && !w->loose_in_sync && o->change_error == 0);
	if (o->change == ORDER_CHANGE_FAILED)
		CHECK(w->sync_failed && o->change_error != 0);
	/* Who was told once to let go has to be told again. */
	if (o->change == ORDER_CHANGE_DRAIN)
		for (unsigned q = 0; q < plan->queues; q++)
			CHECK(!w->queue[q].port.quiet);
}

void oracle_unlock(struct world *w)
{
	check_barriers(w);
	check_change(w);
	w->active = w->order.active;
	w->first = w->order.barriers.head;
	w->change = w->order.change;
}

/* D7: while the storage is to be nobody's it is nobody's, but for the one fdatasync on the way. */
void oracle_state(const struct world *w)
{
	const struct op *op;

	/* Put off is what nobody does yet, and not while others are held up for it. */
	if (w->order.gather_left > 0)
		CHECK(!w->sync_running && w->order.sync_queue &&
			w->order.change <= ORDER_CHANGE_PENDING);
	if (w->order.change != ORDER_CHANGE_SYNC && !is_taken(w))
		return;
	CHECK(!is_taken(w) || !w->sync_running);
	foreach (w, op)
		CHECK(!(op->facts & WRITING));
	for (unsigned q = 0; q < plan->queues; q++)
		CHECK(w->queue[q].reads == 0);
}

static bool has_kept(const struct world *w)
{
	const struct op *op;

	foreach (w, op)
		if (op->facts & KEPT)
			return true;
	return false;
}

/* All was answered, all have resumed, no change is left half-way, and everybody may leave. */
void oracle_end(const struct world *w)
{
	static struct order order;
	uint32_t gate = w->sync_failed ? ORDER_GATE_FAULT : 0;

	memcpy(&order, &w->order, ORDER_BYTES);
	/* An operator has to say something first: whatever waits for that write may wait. */
	if (has_kept(w)) {
		CHECK(order.gate & ORDER_GATE_STOPPED);
		return;
	}
	/* Nobody is left to make it ready: control gives it up. */
	if (order.members == 0)
		order_end_change(&order);
	CHECK((order.gate & ~ORDER_GATE_STOPPED) == gate);
	CHECK(!(order.gate & ORDER_GATE_STOPPED) || plan->stops);
	CHECK(order.change == ORDER_CHANGE_NONE && order.quiet == 0);
	CHECK(order.parked == 0 && order.own_barrier == 0);
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct order_port *port = &w->queue[q].port;

		CHECK(w->queue[q].nr_live == 0 && port->held.head == ORDER_NO_REF);
		CHECK(!port->writes && !port->holding && !port->parked && !port->barrier);
		CHECK(!port->quiet && w->queue[q].reads == 0);
		CHECK(!w->queue[q].member || order_leave(&order, q));
	}
}
