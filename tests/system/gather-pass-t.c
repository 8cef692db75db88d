/*
 * Flushes of two queues that share an fdatasync, though they come one after the other: the next one is put off until those who
 * were answered have asked again, or it has been long enough. The test says when the storage ends, how long it took and
 * when the time is over.
 */
#include "tests/lib/pass.h"

#include <unistd.h>

#include "backend/data/queue_impl.h"

#define QUEUES 2u

static struct loop loop[QUEUES];
static struct fake_engine fake[QUEUES];

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop[0], true);
	loop_init_beside(&loop[1], &loop[0]);
	for (unsigned i = 0; i < QUEUES; i++) {
		loop_connect(&loop[i]);
		loop[i].queue->cfg.gather = true;
		fake_engine_install(&fake[i], loop[i].queue);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = QUEUES; i-- > 0;) {
		loop_disconnect(&loop[i]);
		loop_fini(&loop[i]);
	}
	return 0;
}

/* Nobody has slept: a few passes of each. */
static void run(void)
{
	for (unsigned n = 0; n < 8; n++)
		for (unsigned i = 0; i < QUEUES; i++) {
			uint64_t count;

			if (read(loop[i].queue->wake_fd, &count, sizeof(count)) == sizeof(count))
				loop[i].queue->look = true;
			(void)queue_poll_once(loop[i].queue);
		}
}

static void flush(unsigned i, uint64_t id)
{
	loop_put(&loop[i], id, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	loop_push(&loop[i]);
	run();
}

static unsigned nr_syncs(void)
{
	return fake[0].nr_syncs + fake[1].nr_syncs;
}

/* The one that runs has taken 100 ms; what follows it may be put off for ever. */
static void end_sync(void)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		struct queue *q = loop[i].queue;

		if (fake[i].nr_flying == 0)
			continue;
		q->sync_ns -= 100000000;
		fake_engine_end(&fake[i], ENGINE_SYNC, 0);
		(void)queue_poll_once(q);
		if (q->disk->gather_before_ns)
			q->disk->gather_before_ns = UINT64_MAX;
		if (q->gather_until_ns)
			q->gather_until_ns = UINT64_MAX;
	}
	run();
}

static bool is_put_off(void)
{
	return loop[0].disk->order->gather_left > 0;
}

static void answered(unsigned i, uint64_t id)
{
	struct frontring_response rsp;

	assert_true(loop_get(&loop[i], &rsp));
	assert_int_equal(rsp.id, id);
	assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	assert_false(loop_get(&loop[i], &rsp));
}

/* One waits, one was answered: the fdatasync begins when that one asks again, and serves both. */
static void test_waits_for_the_other(void **state)
{
	(void)state;
	flush(0, 1);
	flush(1, 2);
	assert_int_equal(nr_syncs(), 1);
	end_sync();
	answered(0, 1);
	assert_true(is_put_off());
	assert_int_equal(nr_syncs(), 1);
	flush(0, 3);
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	end_sync();
	answered(0, 3);
	answered(1, 2);
	/* Both were answered together: so the first to come waits for the second. */
	flush(1, 4);
	assert_true(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	flush(0, 5);
	assert_int_equal(nr_syncs(), 3);
	end_sync();
	answered(0, 5);
	answered(1, 4);
}

/* It has been long enough: the fdatasync begins, and the next one is not put off. */
static void test_not_for_ever(void **state)
{
	(void)state;
	flush(0, 1);
	flush(1, 2);
	end_sync();
	answered(0, 1);
	assert_true(is_put_off());
	for (unsigned i = 0; i < QUEUES; i++)
		if (loop[i].queue->gather_until_ns)
			loop[i].queue->gather_until_ns = 1;
	run();
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	flush(0, 3);
	end_sync();
	answered(1, 2);
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 3);
	end_sync();
	answered(0, 3);
}

/* A barrier waits for nobody, and neither does a queue that ends. */
static void test_not_for_a_barrier(void **state)
{
	(void)state;
	flush(0, 1);
	flush(1, 2);
	end_sync();
	answered(0, 1);
	assert_true(is_put_off());
	loop_put(&loop[0], 3, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	loop_push(&loop[0]);
	run();
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	end_sync();
	answered(1, 2);
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 3);
	end_sync();
	answered(0, 3);
}

static void test_not_at_the_end(void **state)
{
	(void)state;
	flush(0, 1);
	flush(1, 2);
	end_sync();
	answered(0, 1);
	assert_true(is_put_off());
	for (unsigned i = 0; i < QUEUES; i++)
		queue_begin_stop(loop[i].queue);
	run();
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	end_sync();
	answered(1, 2);
}

/* A queue that is told to keep nobody waiting does not. */
static void test_not_unless_told(void **state)
{
	(void)state;
	loop[0].queue->cfg.gather = loop[1].queue->cfg.gather = false;
	flush(0, 1);
	flush(1, 2);
	end_sync();
	answered(0, 1);
	assert_false(is_put_off());
	assert_int_equal(nr_syncs(), 2);
	end_sync();
	answered(1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits_for_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_a_barrier, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_unless_told, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
