/*
 * D2, seen by the storage: a barrier stands between what came before and what comes after, with an
 * fdatasync on either side of its data. Every step is held until the test has seen that nothing else
 * happens meanwhile; at the end the whole record is judged.
 */
#include "tests/lib/rig.h"

#include <signal.h>

/*
 * Asked: W1 B W2 W3. Arriving: W1 | sync 1 | B | sync 2 | W2 W3, each only when the one before it
 * was let go. Reads get through at all times.
 */
static void test_data_barrier(void **state)
{
	struct rig *rig = *state;
	struct ask w1, b, w2, w3;

	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_write(rig, &w1, 1);
	rig_barrier_write(rig, &b, 2);
	rig_write(rig, &w2, 3);
	rig_write(rig, &w3, 1);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);
	rig_arrived(rig, "sync", 0);

	rig_tell(rig, "one write");
	rig_arrived(rig, "sync", 1);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);

	rig_tell(rig, "one sync");
	rig_arrived(rig, "write", 2);
	rig_settle(rig);
	rig_arrived(rig, "write", 2);
	rig_arrived(rig, "sync", 1);

	rig_tell(rig, "one write");
	rig_arrived(rig, "sync", 2);
	rig_settle(rig);
	rig_arrived(rig, "write", 2);
	assert_false(rig_answered(&b));

	rig_tell(rig, "one sync");
	rig_arrived(rig, "write", 4);
	assert_int_equal(rig_status(&b), BLKIF_RSP_OKAY);
	assert_false(rig_answered(&w2));
	rig_tell(rig, "pass write");
	assert_int_equal(rig_status(&w1), BLKIF_RSP_OKAY);
	assert_int_equal(rig_status(&w2), BLKIF_RSP_OKAY);
	assert_int_equal(rig_status(&w3), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 2);
	rig_judge(rig);
}

/* Asked: W1 B W2, B without data and with a sector nobody has. One fdatasync is enough. */
static void test_empty_barrier(void **state)
{
	struct rig *rig = *state;
	struct ask w1, b, w2;

	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_write(rig, &w1, 1);
	rig_barrier(rig, &b);
	rig_write(rig, &w2, 2);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);
	rig_arrived(rig, "sync", 0);

	rig_tell(rig, "one write");
	rig_arrived(rig, "sync", 1);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);
	assert_false(rig_answered(&b));

	rig_tell(rig, "one sync");
	rig_arrived(rig, "write", 2);
	assert_int_equal(rig_status(&b), BLKIF_RSP_OKAY);
	rig_tell(rig, "pass write");
	assert_int_equal(rig_status(&w2), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 1);
	rig_judge(rig);
}

/* Asked: W B1 B2 W, B1 and B2 with data. Nothing of B2 happens before B1 is safe. */
static void test_two_barriers(void **state)
{
	struct rig *rig = *state;
	struct ask w1, b1, b2, w2;
	/* What has arrived after each step: W1, sync, B1, sync, sync, B2, sync, W2. */
	static const struct {
		const char *let_go;
		const char *then;
		unsigned writes, syncs;
	} step[] = {
		{"one write", "sync", 1, 1},
		{"one sync", "write", 2, 1},
		{"one write", "sync", 2, 2},
		{"one sync", "sync", 2, 3},
		{"one sync", "write", 3, 3},
		{"one write", "sync", 3, 4},
		{"one sync", "write", 4, 4},
	};

	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_write(rig, &w1, 1);
	rig_barrier_write(rig, &b1, 2);
	rig_barrier_write(rig, &b2, 3);
	rig_write(rig, &w2, 4);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);
	for (unsigned i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		assert_true(rig_tell(rig, "%s", step[i].let_go));
		rig_arrived(
			rig, step[i].then, step[i].then[0] == 'w' ? step[i].writes : step[i].syncs);
		rig_settle(rig);
		rig_arrived(rig, "write", step[i].writes);
		rig_arrived(rig, "sync", step[i].syncs);
	}
	rig_tell(rig, "pass write");
	assert_int_equal(rig_status(&w2), BLKIF_RSP_OKAY);
	rig_judge(rig);
}

/* Held: W1, and behind the barrier W2. Lets all go, one by one, until @ask is answered. */
static void let_go_until(struct rig *rig, struct ask *ask)
{
	struct rig_deadline deadline = rig_deadline();

	while (!rig_answered(ask)) {
		if (!rig_tell(rig, "any 0"))
			rig_wait(rig, 100);
		rig_in_time(deadline);
	}
}

static void ask_barrier_between_writes(struct rig *rig, struct ask *ask)
{
	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_write(rig, &ask[0], 1);
	rig_barrier_write(rig, &ask[1], 2);
	rig_write(rig, &ask[2], 3);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);
}

/*
 * A worker told to stop while a barrier waits finishes all it has taken, in order, fdatasyncs once
 * more and ends.
 */
static void test_stop_during_barrier(void **state)
{
	struct rig *rig = *state;
	struct ask ask[3];
	pid_t worker = rig_worker(rig);

	ask_barrier_between_writes(rig, ask);
	assert_int_equal(kill(worker, SIGTERM), 0);
	let_go_until(rig, &ask[2]);
	rig_tell(rig, "pass sync");
	rig_worker_gone(rig, worker);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig_status(&ask[i]), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 3);
	rig_judge(rig);
	(void)blkfront_close(rig->front);
	assert_int_equal(rig_detach(rig), 0);
}

/* The same when the toolstack detaches the disk: the frontend closes when all is answered. */
static void test_detach_during_barrier(void **state)
{
	struct rig *rig = *state;
	struct ask ask[3];
	const char *detach[] = {"xensim", "vbd-detach", "5", "xvda", NULL};
	pid_t child;

	ask_barrier_between_writes(rig, ask);
	child = rig_dom0_start(detach);
	assert_true(child > 0);
	rig_await_closing(rig);
	let_go_until(rig, &ask[2]);
	rig_tell(rig, "pass sync");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig_status(&ask[i]), BLKIF_RSP_OKAY);
	(void)blkfront_close(rig->front);
	assert_int_equal(rig_dom0_wait(child), 0);
	rig_arrived(rig, "sync", 3);
	rig_judge(rig);
}

/* Of a guest that knows barriers only, because its disk offers nothing else: a flush is not an operation. */
static int setup_barrier_only(void **state)
{
	return rig_setup_with(state, ",features-off=flush-cache");
}

static void test_barrier_only_refuses_flushes(void **state)
{
	struct rig *rig = *state;
	struct ask w, f, b;

	rig_write(rig, &w, 1);
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	rig_ask(rig, &f, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	assert_int_equal(rig_status(&f), BLKIF_RSP_EOPNOTSUPP);
	rig_ask(rig, &f, BLKIF_OP_FLUSH_DISKCACHE, 32, RIG_BLOCK);
	assert_int_equal(rig_status(&f), BLKIF_RSP_EOPNOTSUPP);
	rig_arrived(rig, "write", 1);
	rig_arrived(rig, "sync", 0);
	rig_barrier(rig, &b);
	assert_int_equal(rig_status(&b), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 1);
	rig_judge(rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_data_barrier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_empty_barrier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_two_barriers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_stop_during_barrier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_detach_during_barrier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_barrier_only_refuses_flushes, setup_barrier_only, rig_teardown),
		{"test_data_barrier, barriers only", test_data_barrier, setup_barrier_only,
			rig_teardown, NULL},
		{"test_empty_barrier, barriers only", test_empty_barrier, setup_barrier_only,
			rig_teardown, NULL},
	};

	(void)argc;
	rig_enter(argv);
	return rig_leave(cmocka_run_group_tests(tests, NULL, NULL));
}
