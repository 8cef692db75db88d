/*
 * Every interleaving of up to 6 operations on 2 queues, against rules D2, D3 and D5.
 *
 * The model is the code itself (struct order, struct order_port) plus the smallest queues and
 * storage around it. From every state, in every order
 *   - a queue takes a new operation of any kind, without having looked at the gate;
 *   - a queue that is awake looks at the gate, and then enters the section of the lock that what it
 *     saw asks for: it parks, resumes, releases what it held, or collects its actions;
 *   - the storage finishes a write, which may fail for a barrier, or on a write-through disk, or the sync, which may fail;
 *   - a queue leaves, or one that has left joins again; both count as operations.
 * A depth-first search visits every state once. No run without new operations comes back to a state
 * it was in: so every run ends, and where it ends all must be answered. What must hold is written
 * down here independently of order.c; a failure prints the run that led to it.
 *
 * Three things keep the number of states down and lose no interleaving:
 *   1. A queue that has nothing to see sleeps at once, without the look that would find nothing.
 *      Only code that forgets to wake it can tell the difference, and is caught the sooner.
 *   2. In the longest run a look and the section after it are one step. A step of another queue in
 *      between would matter only by changing the gate, but
 *        a queue that parks     held before, or saw a gate that stays closed until it has parked;
 *        a queue that resumes   saw a gate that stays open while it is parked;
 *        a queue that collects  sees the gate as it is then.
 *      In the other runs these are steps of their own, and all of this is seen to hold; so is that a
 *      queue is told once of what it has to see, until it collects. In the longest run it is told
 *      each time, and looks again after it has parked or released.
 *   3. States that differ in names only are one: see order-print.c.
 *
 * ORDER_OPS=1..6 in the environment bounds the operations: slow builds may want less than all 6.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/order-world.h"

#define DEPTH_MAX 200
#define SEEN_MAX  ((size_t)1 << 25)

const struct plan *plan;
static unsigned max_ops;

/* ---- the run that is being looked at: its states, and the step that led to each ---- */

static struct {
	struct world world;
	uint64_t print;
	const char *verb;
	unsigned queue, arg;
} path[DEPTH_MAX];
static unsigned long depth, nr_steps;

static void violated(const char *what, int line)
{
	for (unsigned i = 1; i <= depth; i++) {
		const struct world *w = &path[i].world;

		print_message("# %2u. queue %u: %s(%u) -> gate %u, parked %x, holding %u%u%u\n", i,
			path[i].queue, path[i].verb, path[i].arg, w->order.gate, w->order.parked,
			w->queue[0].port.holding, w->queue[1].port.holding,
			w->queue[2].port.holding);
	}
	fail_msg("line %d, after the steps above: %s", line, what);
}

#define CHECK(condition) ((condition) ? (void)0 : violated(#condition, __LINE__))

/* ---- the oracle ---- */

static bool has_data(unsigned kind)
{
	return kind == ORDER_WRITE || kind == ORDER_FLUSH_WRITE || kind == ORDER_BARRIER_WRITE;
}

#define foreach(w, it)                                                                             \
	for (unsigned q_ = 0; q_ < plan->queues; q_++)                                             \
		for (it = (w)->queue[q_].op; it < (w)->queue[q_].op + OPS_MAX; it++)

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

static void start_data(struct world *w, unsigned q, unsigned slot)
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
		CHECK(!is_barrier(op->kind) || !(other->facts & WRITING));
		if (is_barrier(other->kind) && other->facts & (WRITING | WRITTEN))
			CHECK(other->facts & STABLE || w->sync_failed);
	}
	op->facts |= WRITING;
}

static void answer(struct world *w, unsigned q, unsigned slot, int error)
{
	struct queue *queue = &w->queue[q];
	struct op *op = &queue->op[slot];

	CHECK(op->live && !(op->facts & WRITING));
	if (error) {
		CHECK(w->sync_failed || op->facts & FAILED);
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

/*
 * The gate closes for w->order.active, or opens behind w->active: then all there was is stable. It
 * closes in turn, and when all who were parked have resumed or wait for a barrier of their own.
 */
static void check_gate(const struct world *w)
{
	const struct op *op, *barrier;

	if (w->first != ORDER_NO_REF && w->first != w->order.active)
		CHECK(w->first == w->order.barriers.head || w->sync_failed);
	if (w->active == w->order.active)
		return;
	for (unsigned q = 0; q < plan->queues && w->order.active != ORDER_NO_REF; q++)
		CHECK(!(w->order.parked & (1u << q)) || w->queue[q].port.barrier);
	CHECK(w->order.active == ORDER_NO_REF || !w->sync_failed);
	if (w->active == ORDER_NO_REF)
		return;
	foreach (w, op)
		CHECK(!(op->facts & WRITING));
	barrier = &w->queue[ORDER_REF_QUEUE(w->active)].op[ORDER_REF_SLOT(w->active)];
	CHECK((!w->dirty && !w->dirty_in_sync) || w->sync_failed || barrier->facts & FAILED);
}

/* ---- the smallest queue ---- */

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
	w->told = plan->split ? w->order.wake : 0;
	w->order.wake = w->told;
	check_gate(w);
	w->active = w->order.active;
	w->first = w->order.barriers.head;
}

static void obey(struct world *w, unsigned q, unsigned slot, enum order_verdict verdict)
{
	if (verdict == ORDER_START) {
		start_data(w, q, slot);
	} else if (verdict == ORDER_REFUSE) {
		answer(w, q, slot, -1);
	} else if (verdict == ORDER_ASK) {
		w->queue[q].op[slot].facts |= ASKED;
		order_submit(&w->order, q, slot, w->queue[q].op[slot].kind);
		unlock(w, q);
	}
}

static void take(struct world *w, unsigned q, unsigned kind)
{
	struct queue *queue = &w->queue[q];
	unsigned slot = 0;

	while (queue->op[slot].live)
		slot++;
	queue->op[slot] = (struct op){.live = 1, .kind = (uint8_t)kind, .place = queue->nr_live++};
	obey(w, q, slot, order_port_take(&queue->port, slot, kind));
}

static void look(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];
	struct order_port *port = &queue->port;

	queue->poked = 0;
	queue->knows_fault = w->sync_failed;
	order_port_see(port, w->order.gate);
	if (order_port_must_park(port)) {
		queue->section = PARK;
	} else if (!order_port_may_resume(port, w->order.gate)) {
		queue->section = COLLECT;
	} else if (port->parked) {
		queue->section = RESUME;
	} else {
		order_port_resume(port);
		queue->section = RELEASE;
	}
}

/* A real pass collects what there is, not having looked at the gate again. */
static uint8_t after_section(void)
{
	return plan->split ? COLLECT : LOOK;
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

static void start_sync(struct world *w, unsigned q)
{
	struct op *op;

	CHECK(!w->sync_running); /* D3: at most one runs */
	CHECK(!w->sync_failed);  /* D5: nothing is asked of a latched disk */
	w->sync_running = 1;
	w->sync_queue = (uint8_t)q;
	w->dirty_in_sync = w->dirty;
	w->dirty = 0;
	foreach (w, op) {
		op->facts |= op->facts & ASKED ? ASKED_FIRST : 0;
		op->facts |= op->facts & WRITTEN ? WRITTEN_FIRST : 0;
	}
}

/*
 * Collect all actions in one section of the lock and do them; see the gate in it, too. With nothing
 * to do, fall asleep.
 */
static void collect(struct world *w, unsigned q)
{
	struct queue *queue = &w->queue[q];
	struct order_action action;

	queue->section = LOOK;
	queue->awake = queue->poked;
	while (order_next(&w->order, q, &action)) {
		queue->awake = 1;
		if (action.verb == ORDER_DO_SYNC) {
			start_sync(w, q);
		} else if (action.verb == ORDER_DO_WRITE) {
			start_data(w, q, action.slot);
		} else {
			CHECK(action.verb == ORDER_DO_ANSWER);
			answer(w, q, action.slot, action.error);
			order_port_done(&queue->port, action.slot);
		}
	}
	order_port_see(&queue->port, w->order.gate);
	unlock(w, q);
	CHECK(!(w->order.wake & (1u << q)));
	if (order_port_must_park(&queue->port) ||
		order_port_may_resume(&queue->port, w->order.gate))
		queue->awake = 1;
}

static void pass(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	struct queue *queue = &w->queue[q];

	if (queue->section == LOOK) {
		look(w, q);
		if (plan->split || queue->section == RELEASE)
			return;
	}
	if (queue->section == PARK) {
		queue->port.parked = true;
		order_park(&w->order, q);
		unlock(w, q);
		queue->section = after_section();
	} else if (queue->section == RESUME) {
		/* Nobody can have closed the gate since the look. */
		CHECK(order_resume(&w->order, q));
		unlock(w, q);
		order_port_resume(&queue->port);
		queue->section = RELEASE;
	} else if (queue->section == RELEASE) {
		release(w, q);
	} else {
		collect(w, q);
	}
}

static void write_ends(struct world *w, unsigned q, unsigned arg)
{
	unsigned slot = arg % FAILS;
	int error = arg & FAILS ? -ENOSPC : 0;

	w->queue[q].op[slot].facts ^= WRITING | (error ? FAILED : WRITTEN);
	w->dirty = 1;
	if (is_barrier(w->queue[q].op[slot].kind)) {
		order_written(&w->order, q, slot, error);
		unlock(w, q);
	} else {
		if (error && plan->write_through) {
			w->sync_failed = 1;
			order_write_lost(&w->order, error);
			unlock(w, q);
		}
		answer(w, q, slot, error);
		order_port_done(&w->queue[q].port, slot);
	}
}

static void sync_ends(struct world *w, unsigned q, unsigned fails)
{
	struct op *op;

	foreach (w, op) {
		if (op->facts & ASKED_FIRST && !fails)
			op->facts |= COVERED;
		if (op->facts & WRITTEN_FIRST && !fails)
			op->facts |= STABLE;
		op->facts &= (uint8_t) ~(ASKED_FIRST | WRITTEN_FIRST);
	}
	w->sync_failed |= fails != 0;
	w->dirty_in_sync = 0;
	w->sync_running = 0;
	order_synced(&w->order, q, fails ? -EIO : 0);
	unlock(w, q);
}

/* At any moment when the port runs and holds no write: the disk must know of all the rest. */
static void leave(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	if (order_leave(&w->order, q)) {
		CHECK(w->queue[q].nr_live == 0);
		CHECK(!w->sync_running || w->sync_queue != q);
		w->queue[q] = (struct queue){0};
		order_port_init(&w->queue[q].port);
		unlock(w, q);
	}
}

static void join(struct world *w, unsigned q, unsigned arg __attribute__((unused)))
{
	w->queue[q].member = 1;
	w->queue[q].knows_fault = w->sync_failed;
	order_join(&w->order, q, OPS_MAX);
	order_port_see(&w->queue[q].port, w->order.gate);
}

/* To try something on: of the slots only those of our operations change. */
static void copy_port(struct order_port *to, const struct order_port *from)
{
	memcpy(to, from, offsetof(struct order_port, slot[OPS_MAX]));
}

static bool has_nothing_to_see(const struct world *w, unsigned q)
{
	const struct order *o = &w->order;
	struct order_port port;

	if (o->outbox[q].head != ORDER_NO_REF || (o->sync_queue == 1u << q && !o->sync_told))
		return false;
	/* Told for nothing: between its look and its collecting there may be something. */
	if (plan->split && o->wake & (1u << q))
		return false;
	if (!w->queue[q].member)
		return true;
	copy_port(&port, &w->queue[q].port);
	order_port_see(&port, o->gate);
	return port.holding == w->queue[q].port.holding && port.faulty == w->queue[q].port.faulty &&
	       !order_port_must_park(&port) && !order_port_may_resume(&port, o->gate);
}

static bool has_more_to_release(const struct queue *queue)
{
	struct order_port port;
	unsigned slot;

	copy_port(&port, &queue->port);
	return order_port_release(&port, &slot) != ORDER_HELD;
}

/* Who has nothing to see falls asleep; who sleeps has nothing to see, or was not woken. */
static void settle(struct world *w)
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

/*
 * The visited set. The operations taken so far are in the lowest 3 bits. That two of 2^24 states
 * agree in the other 61 bits has a probability of 1 : 16000.
 */
static uint64_t *seen;
static size_t nr_seen;

/* True when @print is new, or was seen after more operations, which left fewer to explore. */
static bool seen_insert(uint64_t print)
{
	size_t i = print >> 3 & (SEEN_MAX - 1);

	while (seen[i] && (seen[i] ^ print) >> 3)
		i = (i + 1) & (SEEN_MAX - 1);
	if (seen[i] && seen[i] <= print)
		return false;
	nr_seen += seen[i] == 0;
	CHECK(nr_seen < SEEN_MAX);
	seen[i] = print;
	return true;
}

/* ---- the search ---- */

static void explore(void);

static void copy_order(struct order *to, const struct order *from)
{
	memcpy(to, from, offsetof(struct order, node[OPS_MAX * ORDER_QUEUES]));
}

/* One step on from path[depth], and all that may follow. */
static void step(
	void (*act)(struct world *, unsigned, unsigned), const char *verb, unsigned q, unsigned arg)
{
	const struct world *from = &path[depth].world;
	struct world *w = &path[++depth].world;

	CHECK(depth + 1 < DEPTH_MAX);
	nr_steps++;
	/* Of nodes and links only those of our operations change. */
	memcpy(w, from, offsetof(struct world, queue));
	for (unsigned i = 0; i < plan->queues; i++)
		memcpy(&w->queue[i], &from->queue[i], offsetof(struct queue, port.slot[OPS_MAX]));
	copy_order(&w->order, &from->order);
	path[depth].verb = verb;
	path[depth].queue = q;
	path[depth].arg = arg;
	w->queue[q].awake = 1;
	w->queue[q].poked |= act != pass;
	w->nr_taken += act == take || act == leave || act == join;
	act(w, q, arg);
	settle(w);
	explore();
	depth--;
}

#define STEP(act, q, arg) step(act, #act, q, arg)

static void explore_events(const struct world *w)
{
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct queue *queue = &w->queue[q];

		if (queue->awake)
			STEP(pass, q, 0);
		for (unsigned slot = 0; slot < OPS_MAX; slot++) {
			if (queue->op[slot].facts & WRITING)
				STEP(write_ends, q, slot);
			if (queue->op[slot].facts & WRITING &&
				(plan->write_through || is_barrier(queue->op[slot].kind)))
				STEP(write_ends, q, slot + FAILS);
		}
	}
	if (w->sync_running) {
		STEP(sync_ends, w->sync_queue, 0);
		STEP(sync_ends, w->sync_queue, FAILS);
	}
}

/* Everybody sleeps and the storage is idle: all was answered, all have resumed and may leave. */
static void check_end(const struct world *w)
{
	static struct order order;

	copy_order(&order, &w->order);
	CHECK(order.gate == (w->sync_failed ? ORDER_GATE_FAULT : 0));
	CHECK(order.parked == 0 && order.own_barrier == 0);
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct order_port *port = &w->queue[q].port;

		CHECK(w->queue[q].nr_live == 0 && port->held.head == ORDER_NO_REF);
		CHECK(!port->writes && !port->holding && !port->parked && !port->barrier);
		CHECK(!w->queue[q].member || order_leave(&order, q));
	}
}

static void explore(void)
{
	const struct world *w = &path[depth].world;
	uint64_t print = path[depth].print = print_of(w);
	unsigned long before = nr_steps;
	unsigned nr_kinds = plan->write_through ? ORDER_WRITE + 1 : ORDER_KIND_COUNT;

	if (!seen_insert(print)) {
		/* If this very run had been here before, it could go on like this for ever. */
		for (unsigned long i = depth; i-- > 0 && path[i].world.nr_taken == w->nr_taken;)
			CHECK(path[i].print != print);
		return;
	}
	explore_events(w);
	if (nr_steps == before)
		check_end(w);
	if (w->nr_taken == plan->ops || w->nr_taken == max_ops)
		return;
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct queue *queue = &w->queue[q];

		for (unsigned kind = 0; kind < nr_kinds && queue->member; kind++)
			STEP(take, q, kind);
		if (!queue->member)
			STEP(join, q, 0);
		else if (queue->port.writes == 0 && queue->port.held.head == ORDER_NO_REF)
			STEP(leave, q, 0);
	}
}

static void run(void **state)
{
	struct world *w = &path[0].world;

	plan = *state;
	depth = 0;
	*w = (struct world){.active = ORDER_NO_REF, .first = ORDER_NO_REF};
	order_init(&w->order);
	if (plan->fault)
		order_latch(&w->order, plan->fault);
	w->sync_failed = plan->fault != 0;
	for (unsigned q = 0; q < plan->queues; q++) {
		order_port_init(&w->queue[q].port);
		join(w, q, 0);
	}
	if (seen) /* a run that failed has left it, too */
		(void)munmap(seen, SEEN_MAX * sizeof(*seen));
	seen = mmap(NULL, SEEN_MAX * sizeof(*seen), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	/* Huge pages save a quarter of the time, where the kernel has them. */
	(void)madvise(seen, SEEN_MAX * sizeof(*seen), MADV_HUGEPAGE);
	nr_seen = 0;
	explore();
	print_message("# %zu states\n", nr_seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"1 operation in small steps", run, NULL, NULL,
			&(struct plan){2, 1, true, 0, false}},
		{"2 operations in small steps", run, NULL, NULL,
			&(struct plan){2, 2, true, 0, false}},
		{"3 operations in small steps", run, NULL, NULL,
			&(struct plan){2, 3, true, 0, false}},
		{"4 operations in small steps", run, NULL, NULL,
			&(struct plan){2, 4, true, 0, false}},
		{"3 operations on 3 queues", run, NULL, NULL, &(struct plan){3, 3, true, 0, false}},
		{"4 operations, latched", run, NULL, NULL, &(struct plan){2, 4, true, -EIO, false}},
		{"4 operations, write-through", run, NULL, NULL,
			&(struct plan){2, 4, true, 0, true}},
		{"ORDER_OPS operations", run, NULL, NULL,
			&(struct plan){2, OPS_MAX, false, 0, false}},
	};
	const char *ops = getenv("ORDER_OPS");

	if (ops == NULL)
		ops = "6";
	if (strlen(ops) != 1 || *ops < '1' || *ops > '6') {
		print_error("ORDER_OPS must be 1 to 6, not '%s'\n", ops);
		return 2;
	}
	max_ops = (unsigned)(*ops - '0');
	cmocka_set_message_output(CM_OUTPUT_TAP);
	print_message("# no more than ORDER_OPS=%u operations\n", max_ops);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
