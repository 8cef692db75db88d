/*
 * Two queues of one disk, scheduled by the test: barriers of one reach the other, nobody sleeps through
 * what it was to do, and a barrier's data is alone with the storage.
 *
 * The queues are the shipped ones without their threads, on engines that end what and when the test
 * says. A queue that has nothing to do sleeps, and wakes up for what its thread would wake up for:
 * new requests, ended I/O, its eventfd. When all sleep and nothing is in flight, all is answered.
 */
#include "tests/lib/pass.h"

#include <stdlib.h>

#include "backend/data/queue_impl.h"

#define QUEUES   2u
#define SEEDS    40u
#define REQUESTS 400u

static struct {
	struct loop loop;
	struct fake_engine fake;
	bool awake;
	unsigned nr_asked, nr_answered;
	uint8_t op[REQUESTS];
	bool answered[REQUESTS];
} ring[QUEUES];

/* ---- setting up -------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < QUEUES; i++) {
		if (i == 0)
			loop_init(&ring[i].loop, true);
		else
			loop_init_beside(&ring[i].loop, &ring[0].loop);
		loop_connect(&ring[i].loop);
		fake_engine_install(&ring[i].fake, ring[i].loop.queue);
		ring[i].awake = true;
		ring[i].nr_asked = ring[i].nr_answered = 0;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = QUEUES; i-- > 0;) {
		loop_disconnect(&ring[i].loop);
		loop_fini(&ring[i].loop);
	}
	return 0;
}

/* ---- the guest --------------------------------------------------------------------------------- */

/* The id is the request's number in its ring. Every request has its own block and page. */
static void ask(unsigned i, uint8_t op, bool has_data)
{
	unsigned id = ring[i].nr_asked++;
	unsigned block = i * REQUESTS / 2 + id % (REQUESTS / 2);

	ring[i].op[id] = op;
	ring[i].answered[id] = false;
	loop_put(&ring[i].loop, id, op, block * 8u % LOOP_DISK_SECTORS, id % LOOP_PAGES, has_data);
	loop_push(&ring[i].loop);
	ring[i].awake = true;
}

static bool is_barrier(unsigned i, uint64_t id)
{
	return ring[i].op[id] == BLKIF_OP_WRITE_BARRIER;
}

static void take_answers(unsigned i)
{
	struct frontring_response rsp;

	while (loop_get(&ring[i].loop, &rsp)) {
		assert_in_range(rsp.id, 0, ring[i].nr_asked - 1);
		assert_false(ring[i].answered[rsp.id]);
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		ring[i].answered[rsp.id] = true;
		ring[i].nr_answered++;
		/* In its own ring no write passes a barrier, in either direction. */
		for (unsigned id = 0; id < rsp.id; id++)
			assert_true(ring[i].answered[id] || ring[i].op[id] == BLKIF_OP_READ ||
				    ring[i].op[rsp.id] == BLKIF_OP_READ ||
				    ring[i].op[rsp.id] == BLKIF_OP_FLUSH_DISKCACHE ||
				    (!is_barrier(i, id) && !is_barrier(i, rsp.id)) ||
				    ring[i].op[id] == BLKIF_OP_FLUSH_DISKCACHE);
	}
}

/* ---- the storage ------------------------------------------------------------------------------- */

static unsigned count_flying(enum engine_verb verb)
{
	unsigned n = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		for (unsigned k = 0; k < ring[i].fake.nr_flying; k++)
			n += ring[i].fake.flying[k].verb == verb;
	return n;
}

/* D2: while a barrier's data is written nothing else is. D3: one fdatasync at a time. */
static void check_storage(void)
{
	assert_in_range(count_flying(ENGINE_SYNC), 0, 1);
	for (unsigned i = 0; i < QUEUES; i++)
		for (unsigned k = 0; k < ring[i].fake.nr_flying; k++) {
			const struct engine_io *io = &ring[i].fake.flying[k];
			const struct slot *slot = &ring[i].loop.queue->slot[io->tag % LIMIT_SLOTS];

			if (io->verb == ENGINE_WRITE && slot->req.op == BLKIF_OP_WRITE_BARRIER)
				assert_int_equal(count_flying(ENGINE_WRITE), 1);
		}
}

/* ---- the threads ------------------------------------------------------------------------------- */

static bool step(unsigned i)
{
	if (!pass_step(&ring[i].loop, &ring[i].fake, &ring[i].awake))
		return false;
	take_answers(i);
	check_storage();
	return true;
}

/* Everything ends, until all sleep. */
static void settle(void)
{
	bool any = true;

	for (unsigned n = 0; any; n++) {
		assert_true(n < 100 * REQUESTS); /* or it never comes to rest */
		any = false;
		for (unsigned i = 0; i < QUEUES; i++) {
			fake_engine_end_all(&ring[i].fake);
			any |= step(i);
		}
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_int_equal(ring[i].nr_answered, ring[i].nr_asked);
		assert_true(queue_is_idle(ring[i].loop.queue));
	}
}

/* ---- the tests --------------------------------------------------------------------------------- */

/*
 * The second barrier of ring 0 waits for ring 1 to resume after the first. When it has, the gate
 * closes again at once: ring 1 has to see that before it sleeps.
 */
static void test_barriers_in_a_row(void **state)
{
	(void)state;
	settle();
	for (unsigned n = 0; n < 4; n++)
		ask(0, BLKIF_OP_WRITE_BARRIER, true);
	settle();
}

static void test_barriers_of_both(void **state)
{
	(void)state;
	settle();
	for (unsigned n = 0; n < 4; n++)
		for (unsigned i = 0; i < QUEUES; i++) {
			ask(i, BLKIF_OP_WRITE, true);
			ask(i, BLKIF_OP_WRITE_BARRIER, n % 2);
		}
	settle();
}

static unsigned nr_syncs(void)
{
	return ring[0].fake.nr_syncs + ring[1].fake.nr_syncs;
}

/* D3: flushes that one pass takes share an fdatasync; one that runs covers no flush that comes later. */
static void test_flushes_share(void **state)
{
	(void)state;
	settle();
	for (unsigned n = 0; n < LIMIT_TAKE_FIRST; n++)
		ask(0, BLKIF_OP_FLUSH_DISKCACHE, false);
	settle();
	assert_int_equal(nr_syncs(), 1);

	ask(0, BLKIF_OP_FLUSH_DISKCACHE, false);
	(void)step(0);
	ask(1, BLKIF_OP_FLUSH_DISKCACHE, false);
	(void)step(1);
	assert_int_equal(count_flying(ENGINE_SYNC), 1);
	settle();
	assert_int_equal(nr_syncs(), 3);
}

static void ask_anything(unsigned i)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE,
		BLKIF_OP_WRITE_BARRIER, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_FLUSH_DISKCACHE};
	uint8_t op = ops[random() % 6];

	if (ring[i].nr_asked < REQUESTS && frontring_free(&ring[i].loop.ring) > 0)
		ask(i, op, op == BLKIF_OP_READ || op == BLKIF_OP_WRITE || random() % 2);
}

/* Anything in any order; at times everything is left to end. */
static void test_any_order(void **state)
{
	unsigned seed = *(unsigned *)*state;

	srandom(seed);
	while (ring[0].nr_asked + ring[1].nr_asked < QUEUES * REQUESTS) {
		unsigned i = (unsigned)random() % QUEUES;
		struct fake_engine *fake = &ring[i].fake;

		switch (random() % 8) {
		case 0:
		case 1:
			ask_anything(i);
			break;
		case 2:
		case 3:
			if (fake->nr_flying > 0)
				fake_engine_end(fake,
					fake->flying[(unsigned)random() % fake->nr_flying].verb, 0);
			break;
		default:
			(void)step(i);
			break;
		}
		if (random() % 200 == 0)
			settle();
	}
	settle();
}

static int set_up_seed(void **state)
{
	void *seed = *state;

	(void)set_up(NULL);
	*state = seed;
	return 0;
}

int main(void)
{
	static unsigned seeds[SEEDS];
	struct CMUnitTest tests[3 + SEEDS] = {
		cmocka_unit_test_setup_teardown(test_barriers_in_a_row, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_barriers_of_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flushes_share, set_up, tear_down),
	};

	for (unsigned i = 0; i < SEEDS; i++) {
		seeds[i] = i + 1;
		tests[3 + i] = (struct CMUnitTest){
			"any order", test_any_order, set_up_seed, tear_down, &seeds[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
