#include "backend/data/order.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Where a submitted request stands. */
enum stage {
	STAGE_IDLE,
	STAGE_PENDING, /* a barrier waiting for its turn */
	STAGE_DRAIN,   /* the active barrier: waiting for all queues to park */
	STAGE_SYNC,    /* waiting for the fdatasync before the data */
	STAGE_DATA,    /* the data may be written, or is being written */
	STAGE_POST,    /* a barrier waiting for the fdatasync after its data */
	STAGE_ANSWER,  /* finished with node.error */
};

static uint32_t bit(unsigned queue)
{
	return 1u << queue;
}

/* ---- lists: of slots in a port, of refs in the disk; one link per element, so one list each ---- */

static void list_init(struct order_list *list)
{
	list->head = ORDER_NO_REF;
	list->tail = ORDER_NO_REF;
}

static bool list_is_empty(const struct order_list *list)
{
	return list->head == ORDER_NO_REF;
}

static void port_append(struct order_port *port, uint16_t slot)
{
	port->slot[slot].next = ORDER_NO_REF;
	if (list_is_empty(&port->held))
		port->held.head = slot;
	else
		port->slot[port->held.tail].next = slot;
	port->held.tail = slot;
}

static void append(struct order *o, struct order_list *list, uint16_t ref)
{
	o->node[ref].next = ORDER_NO_REF;
	if (list_is_empty(list))
		list->head = ref;
	else
		o->node[list->tail].next = ref;
	list->tail = ref;
}

static uint16_t pop(struct order *o, struct order_list *list)
{
	uint16_t ref = list->head;

	if (ref == ORDER_NO_REF)
		return ref;
	list->head = o->node[ref].next;
	if (list->head == ORDER_NO_REF)
		list->tail = ORDER_NO_REF;
	o->node[ref].next = ORDER_NO_REF;
	return ref;
}

static bool is_barrier(unsigned kind)
{
	return kind == ORDER_BARRIER || kind == ORDER_BARRIER_WRITE;
}

/* ---- the port ---- */

void order_port_init(struct order_port *port)
{
	/* A slot's link is written before it is read. */
	memset(port, 0, offsetof(struct order_port, slot));
	list_init(&port->held);
}

void order_port_see(struct order_port *port, uint32_t gate)
{
	port->faulty = (gate & ORDER_GATE_FAULT) != 0;
	if (gate & ORDER_GATE_CLOSED)
		port->holding = true;
}

/* Decide about a request that nothing holds. */
static enum order_verdict decide(struct order_port *port, enum order_kind kind)
{
	if (port->faulty && kind == ORDER_WRITE)
		return ORDER_REFUSE;
	if (is_barrier(kind)) {
		port->barrier = true;
		port->holding = true;
		return ORDER_ASK;
	}
	port->writes++;
	return kind == ORDER_FLUSH_WRITE ? ORDER_ASK : ORDER_START;
}

enum order_verdict order_port_take(struct order_port *port, unsigned slot, enum order_kind kind)
{
	port->slot[slot].kind = (uint8_t)kind;
	/* A flush covers answered writes only: nothing held is its concern (D3). */
	if (kind == ORDER_FLUSH)
		return ORDER_ASK;
	/* Behind held requests even if the gate is open again: they go first. */
	if (port->holding || !list_is_empty(&port->held)) {
		port_append(port, (uint16_t)slot);
		return ORDER_HELD;
	}
	return decide(port, kind);
}

enum order_verdict order_port_release(struct order_port *port, unsigned *ret_slot)
{
	uint16_t slot = port->held.head;

	if (port->holding || slot == ORDER_NO_REF)
		return ORDER_HELD;
	port->held.head = port->slot[slot].next;
	if (port->held.head == ORDER_NO_REF)
		port->held.tail = ORDER_NO_REF;
	*ret_slot = slot;
	return decide(port, port->slot[slot].kind);
}

void order_port_done(struct order_port *port, unsigned slot)
{
	if (is_barrier(port->slot[slot].kind))
		port->barrier = false;
	else if (port->slot[slot].kind != ORDER_FLUSH)
		port->writes--;
}

bool order_port_must_park(const struct order_port *port)
{
	return port->holding && !port->parked && port->writes == 0;
}

bool order_port_may_resume(const struct order_port *port, uint32_t gate)
{
	return port->holding && !port->barrier && !(gate & ORDER_GATE_CLOSED);
}

bool order_port_must_be_quiet(const struct order_port *port, uint32_t gate, bool is_idle)
{
	return (gate & ORDER_GATE_QUIET) && !port->quiet && port->writes == 0 && is_idle;
}

bool order_port_must_stir(const struct order_port *port, uint32_t gate)
{
	return port->quiet && !(gate & ORDER_GATE_QUIET);
}

void order_port_resume(struct order_port *port)
{
	port->parked = false;
	port->holding = false;
}

/* ---- the disk ---- */

void order_init(struct order *o)
{
	memset(o, 0, offsetof(struct order, node));
	o->active = ORDER_NO_REF;
	list_init(&o->barriers);
	list_init(&o->covered);
	list_init(&o->waiting);
	for (unsigned i = 0; i < ORDER_QUEUES; i++)
		list_init(&o->outbox[i]);
}

void order_latch(struct order *o, int error)
{
	o->fault = error;
	o->gate |= ORDER_GATE_FAULT;
}

void order_join(struct order *o, unsigned queue, unsigned nr_slots)
{
	for (unsigned slot = 0; slot < nr_slots; slot++)
		o->node[ORDER_REF(queue, slot)] =
			(struct order_node){.stage = STAGE_IDLE, .next = ORDER_NO_REF};
	o->nr_slots[queue] = (uint16_t)nr_slots;
	o->members |= bit(queue);
}

/* Give @ref back to its queue: to write its data, or to be answered. */
static void hand_over(struct order *o, uint16_t ref, enum stage stage, int error)
{
	unsigned queue = ORDER_REF_QUEUE(ref);

	o->node[ref].stage = (uint8_t)stage;
	o->node[ref].error = error;
	append(o, &o->outbox[queue], ref);
	o->wake |= bit(queue);
}

static void start_sync(struct order *o, unsigned queue)
{
	o->covered = o->waiting;
	list_init(&o->waiting);
	o->sync_queue = bit(queue);
	o->sync_told = false;
	o->gather_left = 0;
	o->wake |= bit(queue);
}

/* Whoever was waited for: the fdatasync may be told now. */
static void end_gather(struct order *o)
{
	if (o->gather_left == 0)
		return;
	o->gather_left = 0;
	o->wake |= o->sync_queue;
}

/*
 * @ref needs an fdatasync that starts after this moment; @queue is the one that is awake. One that
 * was decided upon, but that no queue has been told to start, is as good as one that comes.
 */
static void want_sync(struct order *o, uint16_t ref, unsigned queue)
{
	append(o, o->sync_queue && !o->sync_told ? &o->covered : &o->waiting, ref);
	if (!o->sync_queue)
		start_sync(o, queue);
	/* For a barrier all others wait: nobody else is going to come. */
	if (o->gather_left == 1 || is_barrier(o->node[ref].kind))
		end_gather(o);
	else if (o->gather_left > 0)
		o->gather_left--;
}

/*
 * Answer the active barrier and open the gate behind it. The next one cannot close it yet: the
 * queues that are parked have to resume first. A change can, and does as soon as the caller calls close_gate().
 */
static void finish_barrier(struct order *o, int error)
{
	uint16_t ref = o->active;

	o->active = ORDER_NO_REF;
	o->own_barrier &= ~bit(ORDER_REF_QUEUE(ref));
	o->gate &= ~ORDER_GATE_CLOSED;
	o->wake |= o->members;
	hand_over(o, ref, STAGE_ANSWER, error);
}

/* The active barrier may run when every member has parked. */
static void check_drained(struct order *o, unsigned queue)
{
	struct order_node *node;

	if (o->active == ORDER_NO_REF || (o->parked & o->members) != o->members)
		return;
	node = &o->node[o->active];
	if (node->stage != STAGE_DRAIN)
		return;
	if (o->fault) {
		finish_barrier(o, -EIO);
		return;
	}
	node->stage = STAGE_SYNC;
	/* A queue that has just left cannot start it; the barrier's own is here until the answer. */
	want_sync(o, o->active, o->members & bit(queue) ? queue : ORDER_REF_QUEUE(o->active));
}

/* A change may have the storage when every member is quiet, and the fdatasync it needs begins after that. */
static void check_quiet(struct order *o)
{
	if (o->change != ORDER_CHANGE_DRAIN || o->members == 0 || o->sync_queue)
		return;
	if ((o->quiet & o->members) != o->members)
		return;
	o->change = ORDER_CHANGE_SYNC;
	o->sync_is_needed = true;
	start_sync(o, (unsigned)__builtin_ctz(o->members));
}

/*
 * Let a change, or the next pending barrier, close the gate: a change once all have stirred since the last one, a barrier once
 * all who may resume have resumed, too.
 */
static void close_gate(struct order *o)
{
	if (o->active != ORDER_NO_REF || o->change > ORDER_CHANGE_PENDING || o->quiet & o->members)
		return;
	if (o->change == ORDER_CHANGE_PENDING) {
		end_gather(o);
		o->change = ORDER_CHANGE_DRAIN;
		o->gate |= ORDER_GATE_CLOSED | ORDER_GATE_QUIET;
		o->wake |= o->members;
		return;
	}
	if (list_is_empty(&o->barriers))
		return;
	if (o->parked & o->members & ~o->own_barrier)
		return;
	/* A flush with data may be among those who wait, and its queue does not park before. */
	end_gather(o);
	o->active = pop(o, &o->barriers);
	o->node[o->active].stage = STAGE_DRAIN;
	o->gate |= ORDER_GATE_CLOSED;
	o->wake |= o->members;
	/* A change had them park, and they all wait for barriers of their own: nobody is going to park once more. */
	check_drained(o, ORDER_REF_QUEUE(o->active));
}

/* The first flush after an fdatasync that several shared: those who were answered with it may be about to ask, too. */
static void want_gathered_sync(struct order *o, uint16_t ref, unsigned queue, bool may_gather)
{
	bool is_first = o->sync_queue == 0;
	uint16_t others = o->gather_next;

	o->gather_next = 0;
	want_sync(o, ref, queue);
	if (is_first && may_gather && others > 0 && o->active == ORDER_NO_REF &&
		o->change == ORDER_CHANGE_NONE)
		o->gather_left = others;
}

bool order_submit(
	struct order *o, unsigned queue, unsigned slot, enum order_kind kind, bool may_gather)
{
	uint16_t ref = ORDER_REF(queue, slot);

	o->node[ref].kind = (uint8_t)kind;
	if (o->fault) {
		hand_over(o, ref, STAGE_ANSWER, -EIO);
	} else if (is_barrier(kind)) {
		o->node[ref].stage = STAGE_PENDING;
		o->own_barrier |= bit(queue);
		append(o, &o->barriers, ref);
		close_gate(o);
	} else {
		o->node[ref].stage = STAGE_SYNC;
		want_gathered_sync(o, ref, queue, may_gather);
	}
	return o->gather_left > 0 && o->sync_queue == bit(queue);
}

void order_park(struct order *o, unsigned queue)
{
	o->parked |= bit(queue);
	check_drained(o, queue);
	close_gate(o);
}

bool order_resume(struct order *o, unsigned queue)
{
	if (o->gate & ORDER_GATE_CLOSED)
		return false;
	o->parked &= ~bit(queue);
	close_gate(o);
	return true;
}

/* Whether a request of @queue has not been handed back for good. */
static bool has_requests(const struct order *o, unsigned queue)
{
	for (unsigned slot = 0; slot < o->nr_slots[queue]; slot++)
		if (o->node[ORDER_REF(queue, slot)].stage != STAGE_IDLE)
			return true;
	return false;
}

bool order_leave(struct order *o, unsigned queue)
{
	if (has_requests(o, queue) || o->sync_queue & bit(queue))
		return false;
	o->members &= ~bit(queue);
	o->parked &= ~bit(queue);
	o->quiet &= ~bit(queue);
	o->wake &= ~bit(queue);
	check_drained(o, queue);
	close_gate(o);
	check_quiet(o);
	return true;
}

/* One request's fdatasync has ended. */
static void advance(struct order *o, uint16_t ref, int error)
{
	struct order_node *node = &o->node[ref];

	if (is_barrier(node->kind)) {
		if (!error && node->stage == STAGE_SYNC && node->kind == ORDER_BARRIER_WRITE)
			hand_over(o, ref, STAGE_DATA, 0);
		else
			finish_barrier(o, error);
	} else if (!error && node->kind == ORDER_FLUSH_WRITE) {
		hand_over(o, ref, STAGE_DATA, 0);
	} else {
		hand_over(o, ref, STAGE_ANSWER, error);
	}
}

static void advance_all(struct order *o, struct order_list *list, int error)
{
	struct order_list taken = *list;
	uint16_t ref;

	list_init(list);
	while ((ref = pop(o, &taken)) != ORDER_NO_REF)
		advance(o, ref, error);
}

/* Barriers that had not begun when the disk was latched fail like everything after it. */
static void refuse_pending(struct order *o)
{
	uint16_t ref;

	while ((ref = pop(o, &o->barriers)) != ORDER_NO_REF) {
		o->own_barrier &= ~bit(ORDER_REF_QUEUE(ref));
		hand_over(o, ref, STAGE_ANSWER, -EIO);
	}
}

static void end_change_sync(struct order *o, int error)
{
	if (o->change != ORDER_CHANGE_SYNC)
		return;
	if (!error && o->fault && !o->change_is_latched)
		error = -EIO;
	o->change = error ? ORDER_CHANGE_FAILED : ORDER_CHANGE_READY;
	o->change_error = error;
	o->wake_control = true;
}

/* How many of those whose fdatasync has ended may flush again at once: who has data to write first is not among them. */
static uint16_t nr_flushers(const struct order *o)
{
	uint16_t n = 0;

	for (uint16_t ref = o->covered.head; ref != ORDER_NO_REF; ref = o->node[ref].next)
		if (o->node[ref].kind == ORDER_FLUSH)
			n++;
	return n;
}

/* All who wait for the next one are flushes, and more may come: nobody holds the gate. */
static bool may_be_put_off(const struct order *o)
{
	for (uint16_t ref = o->covered.head; ref != ORDER_NO_REF; ref = o->node[ref].next)
		if (is_barrier(o->node[ref].kind))
			return false;
	return o->active == ORDER_NO_REF && o->change == ORDER_CHANGE_NONE;
}

bool order_synced(struct order *o, unsigned queue, int error, bool may_gather)
{
	uint16_t nr_answered = nr_flushers(o);

	o->sync_queue = 0;
	o->sync_is_needed = false;
	if (error && !o->fault) {
		/* D5: the kernel reports a lost write once; a later success would prove nothing. */
		order_latch(o, error);
		o->wake |= o->members;
		refuse_pending(o);
	}
	advance_all(o, &o->covered, !error && o->fault ? -EIO : error);
	if (o->fault)
		advance_all(o, &o->waiting, -EIO);
	else if (!o->sync_queue && !list_is_empty(&o->waiting))
		start_sync(o, queue);
	end_change_sync(o, error);
	close_gate(o);
	check_quiet(o);
	o->gather_next = 0;
	if (may_gather && !error && o->sync_queue == 0 && nr_answered > 1)
		o->gather_next = (uint16_t)(nr_answered - 1);
	if (may_gather && !error && o->sync_queue & bit(queue) && !o->sync_told &&
		may_be_put_off(o))
		o->gather_left = nr_answered;
	return o->gather_left > 0;
}

void order_gathered(struct order *o, unsigned queue)
{
	if (o->sync_queue & bit(queue))
		end_gather(o);
}

/* ---- a change ---- */

void order_be_quiet(struct order *o, unsigned queue)
{
	o->quiet |= bit(queue);
	check_quiet(o);
}

void order_stir(struct order *o, unsigned queue)
{
	o->quiet &= ~bit(queue);
	close_gate(o);
}

void order_begin_change(struct order *o)
{
	o->change = ORDER_CHANGE_PENDING;
	o->change_error = 0;
	o->change_is_latched = o->fault != 0;
	close_gate(o);
}

void order_end_change(struct order *o)
{
	if (o->change > ORDER_CHANGE_PENDING) {
		o->gate &= ~(ORDER_GATE_CLOSED | ORDER_GATE_QUIET);
		o->wake |= o->members;
	}
	o->change = ORDER_CHANGE_NONE;
	o->wake_control = false;
	close_gate(o);
}

void order_clear_fault(struct order *o)
{
	o->fault = 0;
	o->gate &= ~ORDER_GATE_FAULT;
	o->wake |= o->members;
}

/* ---- a stop ---- */

void order_stop(struct order *o)
{
	o->gate |= ORDER_GATE_STOPPED;
	o->wake |= o->members;
}

void order_go_on(struct order *o)
{
	o->gate &= ~ORDER_GATE_STOPPED;
	o->wake |= o->members;
}

void order_write_lost(struct order *o, int error)
{
	if (o->fault)
		return;
	order_latch(o, error);
	o->wake |= o->members;
}

void order_written(struct order *o, unsigned queue, unsigned slot, int error)
{
	uint16_t ref = ORDER_REF(queue, slot);

	if (error || o->fault) {
		finish_barrier(o, error ? error : -EIO);
		close_gate(o);
		return;
	}
	o->node[ref].stage = STAGE_POST;
	want_sync(o, ref, queue);
}

bool order_next(struct order *o, unsigned queue, struct order_action *ret_action)
{
	uint16_t ref;
	struct order_node *node;

	*ret_action = (struct order_action){.verb = ORDER_DO_NOTHING};
	o->wake &= ~bit(queue);
	if (o->sync_queue & bit(queue) && !o->sync_told && o->gather_left == 0) {
		o->sync_told = true;
		ret_action->verb = ORDER_DO_SYNC;
		ret_action->is_needed = o->sync_is_needed;
		return true;
	}
	ref = pop(o, &o->outbox[queue]);
	if (ref == ORDER_NO_REF)
		return false;
	node = &o->node[ref];
	ret_action->slot = ORDER_REF_SLOT(ref);
	ret_action->error = node->error;
	ret_action->verb = node->stage == STAGE_DATA ? ORDER_DO_WRITE : ORDER_DO_ANSWER;
	/* Only a barrier comes back after its data, see order_written(). */
	if (node->stage == STAGE_ANSWER || !is_barrier(node->kind))
		node->stage = STAGE_IDLE;
	return true;
}
