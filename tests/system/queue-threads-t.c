/*
 * Four queues of one disk, each a thread: writes, flushes, barriers, discards and indirect requests of all of them at
 * once, and the end in the middle of it; on storage of larger blocks, where they write beside each other in the same ones. For
 * the thread sanitizer, too.
 */
#include "backend/data/queue_impl.h"
#include "tests/lib/loop.h"

#include <stdlib.h>

#define QUEUES 4u
#define ROUNDS 60u

/* Pages that hold the segments of indirect requests. They are the same each time: the guest does not cheat here. */
#define DESCRIPTOR 1000u

struct kind {
	bool persistent;
	unsigned unit;
};

static struct loop ring[QUEUES];
static bool beside_each_other;
static unsigned nr_asked[QUEUES], nr_answered[QUEUES];

static int set_up(void **state)
{
	const struct kind *kind = *state;

	beside_each_other = kind->unit > STORAGE_SECTOR_SIZE;

	for (unsigned i = 0; i < QUEUES; i++) {
		if (i == 0)
			loop_init_unit(&ring[i], kind->persistent, kind->unit);
		else
			loop_init_beside(&ring[i], &ring[i - 1]);
		loop_connect(&ring[i]);
		ring[i].queue->cfg.gather = true;
		nr_asked[i] = nr_answered[i] = 0;
	}
	/* All take part before the first one runs. */
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(queue_start(ring[i].queue), 0);
	return 0;
}

static void stop_all(void)
{
	for (unsigned i = 0; i < QUEUES; i++)
		queue_begin_stop(ring[i].queue);
	for (unsigned i = 0; i < QUEUES; i++)
		queue_stop(ring[i].queue);
}

static int tear_down(void **state)
{
	(void)state;
	stop_all();
	for (unsigned i = QUEUES; i-- > 0;) {
		loop_disconnect(&ring[i]);
		loop_fini(&ring[i]);
	}
	return 0;
}

static void take_answers(unsigned i)
{
	nr_answered[i] += loop_take_answers(&ring[i], BLKIF_RSP_OKAY);
}

/* Far from what others write; or, in odd sectors, within a few blocks with them. */
static uint64_t place(unsigned i, unsigned k)
{
	return beside_each_other ? i * 3 + k * 7 + 1 : (i * 100 + k) * 8;
}

/* A few requests of every kind, other ones in each ring. */
static void ask(unsigned i, unsigned round, bool may_discard)
{
	static const uint8_t ops[] = {BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_READ,
		BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE, BLKIF_OP_DISCARD, BLKIF_OP_WRITE_BARRIER};

	for (unsigned k = 0; k < 5 && frontring_free(&ring[i].ring) > 0; k++) {
		uint8_t op = ops[(round + i * 2 + k) % sizeof(ops)];
		bool is_empty;

		if (op == BLKIF_OP_DISCARD && !may_discard)
			op = BLKIF_OP_WRITE;
		is_empty = op == BLKIF_OP_FLUSH_DISKCACHE ||
			   (op == BLKIF_OP_WRITE_BARRIER && round % 2);

		if (op == BLKIF_OP_DISCARD)
			loop_put_discard(&ring[i], nr_asked[i]++, (i * 100 + k) * 8, 8);
		else if (op == BLKIF_OP_WRITE && round % 3 == 0)
			loop_put_indirect(
				&ring[i], nr_asked[i]++, op, place(i, 0), k, 20, DESCRIPTOR + k);
		else
			loop_put(&ring[i], nr_asked[i]++, op, place(i, k), k, is_empty ? 0 : 1);
	}
	loop_push(&ring[i]);
}

static void test_all_at_once(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < QUEUES; i++) {
			ask(i, round, true);
			take_answers(i);
		}
	for (unsigned i = 0; i < QUEUES; i++)
		while (nr_answered[i] < nr_asked[i]) {
			assert_int_equal(loop_wait(&ring[i]).status, BLKIF_RSP_OKAY);
			nr_answered[i]++;
		}
}

/*
 * What was taken is answered, held writes and barriers included; what was not stays in the ring. Discards are cut short
 * then, with an error: discard-pass-t.
 */
static void test_stopped_at_work(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < QUEUES; i++) {
			ask(i, round, false);
			take_answers(i);
		}
	stop_all();
	for (unsigned i = 0; i < QUEUES; i++) {
		struct queue_stats stats = queue_stats(ring[i].queue);

		take_answers(i);
		assert_in_range(nr_answered[i], 0, nr_asked[i]);
		assert_int_equal(stats.reads_taken, stats.reads_answered);
		assert_int_equal(stats.writes_taken, stats.writes_answered);
		assert_int_equal(stats.failed, 0);
	}
}

/* A queue that was never started leaves, and the others' barriers go on without it. */
static void test_one_without_a_thread(void **state)
{
	(void)state;
	stop_all();
	for (unsigned i = 0; i < QUEUES; i++) {
		loop_disconnect(&ring[i]);
		loop_connect(&ring[i]);
		ring[i].queue->cfg.gather = true;
		nr_asked[i] = nr_answered[i] = 0;
	}
	for (unsigned i = 0; i + 1 < QUEUES; i++)
		assert_int_equal(queue_start(ring[i].queue), 0);
	loop_put(&ring[0], 0, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	loop_push(&ring[0]);
	loop_disconnect(&ring[QUEUES - 1]);
	assert_int_equal(loop_wait(&ring[0]).status, BLKIF_RSP_OKAY);
	loop_connect(&ring[QUEUES - 1]);
	ring[QUEUES - 1].queue->cfg.gather = true;
}

int main(void)
{
	static struct kind persistent = {true, 512}, copy = {false, 512}, blocks = {true, 4096},
			   blocks_copy = {false, 4096};
	const struct CMUnitTest tests[] = {
		{"all at once", test_all_at_once, set_up, tear_down, &persistent},
		{"all at once, copied", test_all_at_once, set_up, tear_down, &copy},
		{"stopped at work", test_stopped_at_work, set_up, tear_down, &persistent},
		{"stopped at work, copied", test_stopped_at_work, set_up, tear_down, &copy},
		{"all at once, blocks", test_all_at_once, set_up, tear_down, &blocks},
		{"all at once, blocks, copied", test_all_at_once, set_up, tear_down, &blocks_copy},
		{"stopped at work, blocks", test_stopped_at_work, set_up, tear_down, &blocks},
		{"one without a thread", test_one_without_a_thread, set_up, tear_down, &persistent},
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
