/*
 * A guest that asks for events and takes none, and one that does not take its answers: the first is served like any
 * other, the second waits for itself. Neither keeps the queue turning (XSA-331, XSA-332, XSA-423).
 */
#include "tests/lib/pass.h"

#include "backend/data/queue_impl.h"

#define ROUNDS 1000u

static struct loop loop;
static struct fake_engine fake;

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	fake.at_once = true;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

static void test_events_not_taken(void **state)
{
	(void)state;
	(void)loop_take_events(&loop);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_false(frontring_final_check(&loop.ring));
		loop_put(&loop, i, BLKIF_OP_READ, 0, 0, 1);
		pass_push(&loop);
		loop_expect(&loop, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	}
	/* Each was sent, since each was asked for. What was not taken is one, and one more for what came behind it. */
	assert_int_equal(queue_stats(loop.queue).notifications, ROUNDS);
	assert_in_range(loop_take_events(&loop), 1, 2);
}

static void test_answers_not_taken(void **state)
{
	unsigned nr_slots = loop.ring.nr_slots;

	(void)state;
	for (unsigned i = 0; i < nr_slots; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 0, 0, 1);
	pass_push(&loop);
	assert_int_equal(queue_stats(loop.queue).reads, nr_slots);
	assert_true(queue_is_idle(loop.queue));
	/* There is no more than a ring of answers, and so of requests. */
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_false(queue_poll_once(loop.queue));
	for (unsigned i = 0; i < nr_slots; i++)
		loop_expect(&loop, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	loop_put(&loop, 77, BLKIF_OP_READ, 0, 0, 1);
	pass_push(&loop);
	loop_expect(&loop, 77, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(queue_status(loop.queue), QUEUE_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers_not_taken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
