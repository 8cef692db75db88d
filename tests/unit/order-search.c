/*
 * Every interleaving of a few operations on 2 or 3 queues: what tests/unit/order-t and order-change-t have in common.
 *
 * The model is the code itself (struct order, struct order_port) plus the smallest queues, storage and control
 * around it: order-events.c. From every state, in every order
 *   - a queue takes a new operation of any kind, without having looked at the gate again;
 *   - a queue that is awake looks at the gate, and then enters the section of the lock that what it
 *     saw asks for: it says that it is quiet or no longer so, parks, resumes, releases what it held, or collects its
 *     actions;
 *   - the storage finishes a read, a write, which may fail for a barrier, or on a write-through disk, or the sync, which
 *     may fail;
 *   - a write fails and is kept, and stops the disk, or a queue does so without one; and it goes on;
 *   - control begins a change, and ends it when it is ready or has failed, or at any time before;
 *   - a queue leaves, or one that has left joins again.
 * What is begun from outside counts as an operation: taking, leaving, joining, stopping, a change. A depth-first search
 * visits every state once. No run without new operations comes back to a state
 * it was in: so every run ends, and where it ends all must be answered. What must hold is written
 * down in order-oracle.c independently of order.c; a failure prints the run that led to it.
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
 *      each time, and looks again after it has parked or released. With changes it would not be true.
 *   3. States that differ in names only are one: see order-print.c. A change has its fdatasync run by the first of the
 *      queues, so the runs with changes on 2 queues keep the names.
 *
 * ORDER_OPS=1..6 in the environment bounds the operations: slow builds may want less than all 6.
 */
#include "tests/unit/order-world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

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

void violated(const char *what, const char *file, int line)
{
	for (unsigned i = 1; i <= depth; i++) {
		const struct world *w = &path[i].world;

		print_message(
			"# %2u. queue %u: %s(%u) -> gate %x, parked %x, quiet %x, change %u, holding %u%u%u\n",
			i, path[i].queue, path[i].verb, path[i].arg, w->order.gate, w->order.parked,
			w->order.quiet, w->order.change, w->queue[0].port.holding,
			w->queue[1].port.holding, w->queue[2].port.holding);
	}
	fail_msg("%s, line %d, after the steps above: %s", file, line, what);
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

/* One step on from path[depth], and all that may follow. It counts as @cost operations. */
static void step(event *act, const char *verb, unsigned q, unsigned arg, unsigned cost)
{
	const struct world *from = &path[depth].world;
	struct world *w = &path[++depth].world;

	CHECK(depth + 1 < DEPTH_MAX);
	nr_steps++;
	memcpy(w, from, offsetof(struct world, queue));
	for (unsigned i = 0; i < plan->queues; i++)
		memcpy(&w->queue[i], &from->queue[i], QUEUE_BYTES);
	memcpy(&w->order, &from->order, ORDER_BYTES);
	path[depth].verb = verb;
	path[depth].queue = q;
	path[depth].arg = arg;
	if (q != CONTROL) {
		w->queue[q].awake = 1;
		w->queue[q].poked |= act != event_pass;
	}
	w->nr_taken = (uint8_t)(w->nr_taken + cost);
	act(w, q, arg);
	event_settle(w);
	oracle_state(w);
	explore();
	depth--;
}

#define STEP(act, q, arg) step(event_##act, #act, q, arg, 0)
#define OP(act, q, arg)   step(event_##act, #act, q, arg, 1)

static bool may_fail(unsigned kind)
{
	return !plan->well && (plan->write_through || is_barrier(kind));
}

/* What comes by itself. */
static void explore_events(const struct world *w)
{
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct queue *queue = &w->queue[q];

		if (queue->awake)
			STEP(pass, q, 0);
		for (unsigned slot = 0; slot < OPS_MAX; slot++) {
			if (!(queue->op[slot].facts & WRITING))
				continue;
			STEP(write_ends, q, slot);
			if (may_fail(queue->op[slot].kind))
				STEP(write_ends, q, slot + FAILS);
		}
		if (queue->reads > 0)
			STEP(read_ends, q, 0);
	}
	if (w->sync_running) {
		STEP(sync_ends, w->sync_queue, 0);
		if (plan->gathers)
			STEP(sync_ends, w->sync_queue, GATHERS);
		if (!plan->well)
			STEP(sync_ends, w->sync_queue, FAILS);
	}
	if (w->order.gather_left > 0)
		STEP(gathered, (unsigned)__builtin_ctz(w->order.sync_queue), 0);
	if (w->control_told) {
		STEP(end, CONTROL, 0);
		if (w->order.change == ORDER_CHANGE_READY && w->sync_failed)
			STEP(end, CONTROL, 1);
	}
}

/* What may come, and need not for what was begun to come to an end. */
static void explore_control(const struct world *w)
{
	if (w->order.change != ORDER_CHANGE_NONE && !w->control_told)
		STEP(end, CONTROL, 0);
	if (w->order.gate & ORDER_GATE_STOPPED)
		STEP(go_on, CONTROL, 0);
}

static void explore_stops(const struct queue *queue, unsigned q)
{
	if (!plan->stops)
		return;
	for (unsigned slot = 0; slot < OPS_MAX; slot++)
		if (queue->op[slot].facts & WRITING)
			OP(write_ends, q, slot + STAYS);
	if (queue->member)
		OP(stop, q, 0);
}

/* What is begun from outside. */
static void explore_operations(const struct world *w)
{
	for (unsigned q = 0; q < plan->queues; q++) {
		const struct queue *queue = &w->queue[q];

		for (unsigned kind = 0; kind <= READ && event_may_take(queue); kind++)
			if (plan->kinds >> kind & 1)
				OP(take, q, kind);
		explore_stops(queue, q);
		if (plan->stays)
			continue;
		if (!queue->member)
			OP(join, q, 0);
		else if (event_may_leave(queue))
			OP(leave, q, 0);
	}
	if (plan->changes && w->order.change == ORDER_CHANGE_NONE && w->order.members != 0)
		OP(begin, CONTROL, 0);
}

static void explore(void)
{
	const struct world *w = &path[depth].world;
	uint64_t print = path[depth].print = print_of(w);
	unsigned long before = nr_steps;

	if (!seen_insert(print)) {
		/* If this very run had been here before, it could go on like this for ever. */
		for (unsigned long i = depth; i-- > 0 && path[i].world.nr_taken == w->nr_taken;)
			CHECK(path[i].print != print);
		return;
	}
	explore_events(w);
	if (nr_steps == before)
		oracle_end(w);
	explore_control(w);
	if (w->nr_taken < plan->ops && w->nr_taken < max_ops)
		explore_operations(w);
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
		event_join(w, q, 0);
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

int search_main(const struct plan *plans, unsigned nr_plans)
{
	/* Those without a name are passed over. */
	struct CMUnitTest tests[PLANS_MAX] = {{0}};
	const char *ops = getenv("ORDER_OPS");

	if (ops == NULL)
		ops = "6";
	if (strlen(ops) != 1 || *ops < '1' || *ops > '6') {
		print_error("ORDER_OPS must be 1 to 6, not '%s'\n", ops);
		return 2;
	}
	max_ops = (unsigned)(*ops - '0');
	for (unsigned i = 0; i < nr_plans && i < PLANS_MAX; i++)
		tests[i] = (struct CMUnitTest){
			plans[i].name, run, NULL, NULL, (void *)(uintptr_t)&plans[i]};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	print_message("# no more than ORDER_OPS=%u operations\n", max_ops);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
