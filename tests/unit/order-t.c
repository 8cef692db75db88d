/*
 * Every interleaving of up to 6 operations on 2 queues, against rules D2, D3 and D5.
 *
 * The model is the code itself (struct order, struct order_port) plus the smallest queues and
 * storage around it. In every state and in every order
 *   - a queue takes a new operation of any kind, without having looked at the gate;
 *   - a queue that is awake does its next step: look at the gate, then action after action, then
 *     sleep; it wakes for what is its own and when the disk says so, so a lost wake-up shows as an
 *     operation that is never answered;
 *   - the storage finishes any running write, or the sync, which may fail once.
 * A depth-first search visits every reachable state once. What must hold is written down here
 * independently of order.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/data/order.h"

enum {
	QUEUES = 2,
	OPS_MAX = 6,
	NO_SLOT = 255
};

/* A taken operation, in the slot of its queue with the same index. */
struct op {
	uint8_t live;
	uint8_t kind;
	uint8_t place;       /* its place among the live operations of its ring, from 0 */
	uint8_t asked;       /* the disk knows about it */
	uint8_t asked_first; /* ... before the running sync started */
	uint8_t covered;     /* a sync that started after it asked has ended well */
	uint8_t writing;     /* its data is in the storage */
	uint8_t written;
	uint8_t written_first; /* ... before the running sync started */
	uint8_t stable;        /* a sync that started after it was written has ended well */
};

enum step {
	ASLEEP,
	AT_GATE,
	AT_ACTIONS
};

/* One state: everything that decides the future, as plain bytes. */
struct world {
	struct order order;
	struct order_port port[QUEUES];
	struct op op[QUEUES][OPS_MAX];
	uint8_t nr_live[QUEUES];
	uint8_t nr_taken;
	uint8_t step[QUEUES];
	uint8_t poked[QUEUES]; /* the eventfd: look again before you sleep */
	uint8_t dirty;         /* some finished write is in no sync yet */
	uint8_t dirty_in_sync; /* ... is only in the running one */
	uint8_t sync_running;
	uint8_t sync_queue;
	uint8_t sync_failed;
};

/* What one run explores. */
static unsigned nr_ops;
static bool sync_may_fail;

/* ---- the visited set: 128-bit fingerprints ---- */

struct print {
	uint64_t a, b; /* the lowest byte of a holds 1 + the operations taken so far */
};
static struct print *seen;
static size_t seen_size, seen_count;

static struct print fingerprint(const uint8_t *bytes, size_t n)
{
	struct print f = {0xcbf29ce484222325u, 0x9ae16a3b2f90404fu};

	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, n - i < 8 ? n - i : 8);
		f.a = (f.a ^ word) * 0x9e3779b97f4a7c15u;
		f.a ^= f.a >> 32;
		f.b = (f.b + word) * 0x9fb21c651e98df25u;
		f.b ^= f.b >> 29;
	}
	f.a &= ~(uint64_t)0xff;
	return f;
}

/*
 * True when @f is new or was seen only with more operations taken, which left less to explore.
 */
static bool seen_insert(struct print f)
{
	size_t i = f.b & (seen_size - 1);

	for (; seen[i].a; i = (i + 1) & (seen_size - 1)) {
		if ((seen[i].a ^ f.a) >> 8 || seen[i].b != f.b)
			continue;
		if ((seen[i].a & 0xff) <= (f.a & 0xff))
			return false;
		seen[i] = f;
		return true;
	}
	seen[i] = f;
	seen_count++;
	return true;
}

static bool seen_add(struct print f, unsigned nr_taken)
{
	struct print *old = seen;
	size_t old_size = seen_size;

	f.a |= 1 + nr_taken;
	if (seen_count * 2 >= seen_size) {
		seen_size = old_size ? old_size * 2 : 1 << 16;
		seen = calloc(seen_size, sizeof(*seen));
		assert_non_null(seen);
		seen_count = 0;
		for (size_t i = 0; i < old_size; i++)
			if (old[i].a)
				(void)seen_insert(old[i]);
		free(old);
	}
	return seen_insert(f);
}

static void seen_reset(void)
{
	free(seen);
	seen = NULL;
	seen_size = 0;
	seen_count = 0;
}

/* ---- the oracle ---- */

static bool has_data(unsigned kind)
{
	return kind == ORDER_WRITE || kind == ORDER_FLUSH_WRITE || kind == ORDER_BARRIER_WRITE;
}

static bool is_barrier(unsigned kind)
{
	return kind == ORDER_BARRIER || kind == ORDER_BARRIER_WRITE;
}

/* D2 within one ring: no barrier before @op may be unanswered, and before a barrier no write. */
static void check_own_ring(const struct world *w, unsigned q, const struct op *op)
{
	for (unsigned i = 0; i < OPS_MAX; i++) {
		const struct op *other = &w->op[q][i];

		if (!other->live || other->place >= op->place)
			continue;
		assert_false(is_barrier(other->kind));
		if (is_barrier(op->kind))
			assert_false(has_data(other->kind));
	}
}

/* D2 across rings: what runs together with @op. */
static void check_all_rings(const struct world *w, const struct op *op)
{
	for (unsigned i = 0; i < QUEUES * OPS_MAX; i++) {
		const struct op *other = &w->op[i / OPS_MAX][i % OPS_MAX];

		if (!other->live || other == op)
			continue;
		/* Nothing else is written while the data of a barrier is. */
		if (is_barrier(op->kind))
			assert_false(other->writing);
		/* Nothing starts before the data of a running barrier is stable. */
		if (is_barrier(other->kind) && (other->writing || other->written))
			assert_true(other->stable || w->sync_failed);
	}
}

static void check_write_starts(const struct world *w, unsigned q, const struct op *op)
{
	assert_true(op->live && has_data(op->kind));
	assert_false(op->writing || op->written);
	check_own_ring(w, q, op);
	check_all_rings(w, op);
	if (op->kind != ORDER_WRITE)
		assert_true(op->covered); /* the sync before the data */
	if (is_barrier(op->kind))
		assert_false(w->dirty || w->dirty_in_sync); /* everything earlier is stable */
}

static void check_answer(const struct world *w, unsigned q, const struct op *op, int error)
{
	assert_true(op->live);
	assert_false(op->writing);
	if (error) {
		assert_true(w->sync_failed); /* D5: nothing else fails in this storage */
		return;
	}
	if (op->kind != ORDER_WRITE)
		assert_true(op->covered); /* D3: never a sync that began before it was taken */
	if (has_data(op->kind))
		assert_true(op->written);
	if (op->kind == ORDER_BARRIER_WRITE)
		assert_true(op->stable);
	if (is_barrier(op->kind))
		check_own_ring(w, q, op);
}

/* ---- the smallest queue ---- */

/* The eventfd. */
static void poke(struct world *w, unsigned q)
{
	if (w->step[q] == ASLEEP)
		w->step[q] = AT_GATE;
	else
		w->poked[q] = 1;
}

/* What the lock's holder does last: wake the others. */
static void unlock(struct world *w, unsigned self)
{
	for (unsigned q = 0; q < QUEUES; q++)
		if (q != self && (w->order.wake & (1u << q)))
			poke(w, q);
	w->order.wake &= 1u << self;
}

static void answer(struct world *w, unsigned q, unsigned slot, int error)
{
	struct op *op = &w->op[q][slot];

	check_answer(w, q, op, error);
	for (unsigned i = 0; i < OPS_MAX; i++)
		if (w->op[q][i].live && w->op[q][i].place > op->place)
			w->op[q][i].place--;
	memset(op, 0, sizeof(*op));
	w->nr_live[q]--;
}

static void start_data(struct world *w, unsigned q, unsigned slot)
{
	check_write_starts(w, q, &w->op[q][slot]);
	w->op[q][slot].writing = 1;
}

static void obey(struct world *w, unsigned q, unsigned slot, enum order_verdict verdict)
{
	struct op *op = &w->op[q][slot];

	switch (verdict) {
	case ORDER_START:
		start_data(w, q, slot);
		break;
	case ORDER_ASK:
		op->asked = 1;
		order_submit(&w->order, q, slot, op->kind);
		unlock(w, q);
		break;
	case ORDER_REFUSE:
		answer(w, q, slot, -1);
		break;
	case ORDER_HELD:
		break;
	}
}

static void step_take(struct world *w, unsigned q, unsigned kind)
{
	unsigned slot = 0;

	while (w->op[q][slot].live)
		slot++;
	w->op[q][slot] = (struct op){.live = 1, .kind = (uint8_t)kind, .place = w->nr_live[q]++};
	w->nr_taken++;
	obey(w, q, slot, order_port_take(&w->port[q], slot, kind));
	w->step[q] = AT_GATE;
}

/*
 * What a pass does around the gate, one section of the lock per step: see it; park; resume; release
 * held requests up to one that asks.
 */
static void step_gate(struct world *w, unsigned q)
{
	struct order_port *port = &w->port[q];
	enum order_verdict verdict;
	unsigned slot;

	order_port_see(port, w->order.gate);
	if (order_port_must_park(port)) {
		port->parked = true;
		order_park(&w->order, q);
		unlock(w, q);
		return;
	}
	if (order_port_may_resume(port, w->order.gate)) {
		bool may = !port->parked || order_resume(&w->order, q);

		unlock(w, q);
		assert_true(may);
		order_port_resume(port);
		return;
	}
	do {
		verdict = order_port_release(port, &slot);
		if (verdict == ORDER_HELD) {
			w->step[q] = AT_ACTIONS;
			return;
		}
		obey(w, q, slot, verdict);
	} while (verdict != ORDER_ASK);
}

static void start_sync(struct world *w, unsigned q)
{
	assert_false(w->sync_running); /* at most one runs */
	assert_false(w->sync_failed);  /* nothing is asked of a latched disk */
	w->sync_running = 1;
	w->sync_queue = (uint8_t)q;
	w->dirty_in_sync = w->dirty;
	w->dirty = 0;
	for (unsigned i = 0; i < QUEUES * OPS_MAX; i++) {
		struct op *op = &w->op[i / OPS_MAX][i % OPS_MAX];

		op->asked_first = op->asked;
		op->written_first = op->written;
	}
}

static void act(struct world *w, unsigned q, const struct order_action *action)
{
	if (action->verb == ORDER_DO_SYNC) {
		start_sync(w, q);
	} else if (action->verb == ORDER_DO_WRITE) {
		start_data(w, q, action->slot);
	} else {
		assert_int_equal(action->verb, ORDER_DO_ANSWER);
		answer(w, q, action->slot, action->error);
		order_port_done(&w->port[q], action->slot);
	}
}

/* Collect all actions in one section of the lock, do them, go round again; or else sleep. */
static void step_actions(struct world *w, unsigned q)
{
	struct order_action action[2 * OPS_MAX];
	unsigned n = 0;

	while (order_next(&w->order, q, &action[n]))
		n++;
	for (unsigned i = 0; i < n; i++)
		act(w, q, &action[i]);
	w->step[q] = n > 0 || w->poked[q] ? AT_GATE : ASLEEP;
	w->poked[q] = 0;
}

static void step_written(struct world *w, unsigned q, unsigned slot)
{
	struct op *op = &w->op[q][slot];

	op->writing = 0;
	op->written = 1;
	w->dirty = 1;
	w->step[q] = AT_GATE;
	if (is_barrier(op->kind)) {
		order_written(&w->order, q, slot, 0);
		unlock(w, q);
		return;
	}
	answer(w, q, slot, 0);
	order_port_done(&w->port[q], slot);
}

static void step_synced(struct world *w, int error)
{
	unsigned q = w->sync_queue;

	for (unsigned i = 0; i < QUEUES * OPS_MAX; i++) {
		struct op *op = &w->op[i / OPS_MAX][i % OPS_MAX];

		op->covered |= !error && op->asked_first;
		op->stable |= !error && op->written_first;
		op->asked_first = 0;
		op->written_first = 0;
	}
	w->sync_failed |= error != 0;
	w->dirty_in_sync = 0;
	w->sync_running = 0;
	w->sync_queue = 0;
	order_synced(&w->order, q, error);
	unlock(w, q);
	w->step[q] = AT_GATE;
}

/* ---- the search ---- */

/*
 * The part of a state that decides the future. Operations are named by their place in their ring,
 * so that states which differ only in the slots used are one; what free slots left behind is no
 * part of it, nor is the number of operations so far (see seen_add).
 */
struct key {
	uint8_t bytes[256];
	size_t n;
};

static void put(struct key *key, unsigned byte)
{
	assert_true(key->n < sizeof(key->bytes));
	key->bytes[key->n++] = (uint8_t)byte;
}

/* With @flip the queues' names are exchanged. */
static unsigned name_of(const struct world *w, uint16_t ref, unsigned flip)
{
	unsigned q = ref / ORDER_SLOTS;

	return ref == ORDER_NO_REF ? 0xff : (q ^ flip) * 16 + w->op[q][ref % ORDER_SLOTS].place;
}

static void put_list(
	struct key *key, const struct world *w, const struct order_list *list, unsigned flip)
{
	for (uint16_t ref = list->head; ref != ORDER_NO_REF; ref = w->order.node[ref].next)
		put(key, name_of(w, ref, flip));
	put(key, 0xff);
}

static unsigned set_of(uint32_t queues, unsigned flip)
{
	return flip ? (queues & 1) << 1 | (queues & 2) >> 1 : queues;
}

static void put_order(struct key *key, const struct world *w, unsigned flip)
{
	const struct order *o = &w->order;

	put(key, o->gate | set_of(o->parked, flip) << 2 | set_of(o->own_barrier, flip) << 4 |
			 set_of(o->wake, flip) << 6);
	put(key, set_of(o->sync_queue, flip) | (unsigned)o->sync_running << 2 |
			 (o->fault != 0) << 3);
	put(key, name_of(w, o->active, flip));
	put_list(key, w, &o->barriers, flip);
	put_list(key, w, &o->covered, flip);
	put_list(key, w, &o->waiting, flip);
	for (unsigned q = 0; q < QUEUES; q++)
		put_list(key, w, &o->outbox[q ^ flip], flip);
}

static void put_queue(struct key *key, const struct world *w, unsigned q)
{
	const struct order_port *port = &w->port[q];

	put(key, port->writes | port->holding << 4 | port->parked << 5 | port->barrier << 6 |
			 port->faulty << 7);
	for (uint16_t slot = port->held.head; slot != ORDER_NO_REF; slot = port->next[slot])
		put(key, w->op[q][slot].place);
	put(key, 0xff);
	for (unsigned place = 0; place < w->nr_live[q]; place++) {
		unsigned slot = 0;

		while (!w->op[q][slot].live || w->op[q][slot].place != place)
			slot++;
		for (unsigned i = 1; i < sizeof(struct op); i++)
			put(key, ((const uint8_t *)&w->op[q][slot])[i]);
		if (w->op[q][slot].asked)
			put(key, w->order.node[q * ORDER_SLOTS + slot].stage * 2u +
					 (w->order.node[q * ORDER_SLOTS + slot].error != 0));
	}
	put(key, w->step[q] * 2u + w->poked[q]);
}

static struct key key_of(const struct world *w, unsigned flip)
{
	struct key key = {.n = 0};

	put_order(&key, w, flip);
	for (unsigned q = 0; q < QUEUES; q++)
		put_queue(&key, w, q ^ flip);
	put(&key, w->dirty | w->dirty_in_sync << 1 | w->sync_running << 2 |
			  (w->sync_running ? w->sync_queue ^ flip : 0) << 3 | w->sync_failed << 4);
	return key;
}

/* A state and its mirror image, the queues exchanged, are one. */
static struct print print_of(const struct world *w)
{
	struct key key = key_of(w, 0);
	struct key mirror = key_of(w, 1);

	if (mirror.n < key.n || (mirror.n == key.n && memcmp(mirror.bytes, key.bytes, key.n) < 0))
		key = mirror;
	return fingerprint(key.bytes, key.n);
}

static void explore(const struct world *w);

#define BRANCH(condition, statement)                                                               \
	do {                                                                                       \
		if (condition) {                                                                   \
			struct world next = *w;                                                    \
			moved = true;                                                              \
			statement;                                                                 \
			explore(&next);                                                            \
		}                                                                                  \
	} while (0)

/* Everybody sleeps and the storage is idle: all was answered, all have resumed and may leave. */
static void check_end(const struct world *w)
{
	struct world end = *w;

	assert_int_equal(w->order.gate & ORDER_GATE_CLOSED, 0);
	for (unsigned q = 0; q < QUEUES; q++) {
		assert_int_equal(w->nr_live[q], 0);
		assert_int_equal(w->port[q].writes, 0);
		assert_false(w->port[q].holding);
		assert_true(order_leave(&end.order, q));
	}
}

static void explore(const struct world *w)
{
	bool moved = false;

	if (!seen_add(print_of(w), w->nr_taken))
		return;
	for (unsigned q = 0; q < QUEUES; q++) {
		BRANCH(w->step[q] == AT_GATE, step_gate(&next, q));
		BRANCH(w->step[q] == AT_ACTIONS, step_actions(&next, q));
		for (unsigned i = 0; i < OPS_MAX; i++)
			BRANCH(w->op[q][i].writing, step_written(&next, q, i));
	}
	BRANCH(w->sync_running, step_synced(&next, 0));
	BRANCH(w->sync_running && sync_may_fail && !w->sync_failed, step_synced(&next, -5));
	if (!moved)
		check_end(w);
	if (w->nr_taken == nr_ops)
		return;
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned kind = 0; kind < ORDER_KIND_COUNT; kind++)
			BRANCH(true, step_take(&next, q, kind));
}

static void run(unsigned n, bool may_fail)
{
	struct world w;

	nr_ops = n;
	sync_may_fail = may_fail;
	seen_reset();
	memset(&w, 0, sizeof(w));
	order_init(&w.order);
	for (unsigned q = 0; q < QUEUES; q++) {
		order_port_init(&w.port[q]);
		order_join(&w.order, q);
	}
	explore(&w);
	print_message("# %u operations%s: %lu states\n", n, may_fail ? ", a sync may fail" : "",
		(unsigned long)seen_count);
}

static void all_interleavings(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++)
		run(n, false);
}

static void all_interleavings_with_a_failing_sync(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++)
		run(n, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_interleavings),
		cmocka_unit_test(all_interleavings_with_a_failing_sync),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
