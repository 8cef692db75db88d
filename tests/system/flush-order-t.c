/*
 * D3, seen by the storage: a flush is answered after an fdatasync that began after the flush was
 * taken; flushes share; a flush waits for no write and no more than its turn.
 */
#include "tests/lib/rig.h"

/*
 * While the fdatasync of F1 runs, F2 and F3 are asked. Its end answers F1 alone; the second one
 * answers both others. The storage sees two.
 */
static void test_flush_of_its_own_time(void **state)
{
	struct rig *rig = *state;
	struct ask w, f1, f2, f3;

	rig_write(rig, &w, 1);
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	rig_tell(rig, "hold sync");
	rig_flush(rig, &f1);
	rig_arrived(rig, "sync", 1);
	rig_settle(rig);
	assert_false(rig_answered(&f1));
	rig_flush(rig, &f2);
	rig_flush(rig, &f3);
	rig_settle(rig);
	rig_arrived(rig, "sync", 1);

	rig_tell(rig, "one sync");
	assert_int_equal(rig_status(&f1), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 2);
	rig_settle(rig);
	assert_false(rig_answered(&f2));
	assert_false(rig_answered(&f3));

	rig_tell(rig, "one sync");
	assert_int_equal(rig_status(&f2), BLKIF_RSP_OKAY);
	assert_int_equal(rig_status(&f3), BLKIF_RSP_OKAY);
	rig_settle(rig);
	rig_arrived(rig, "sync", 2);
	rig_judge(rig);
}

/* A write that is still running holds up no flush. */
static void test_flush_waits_for_no_write(void **state)
{
	struct rig *rig = *state;
	struct ask w, f;

	rig_tell(rig, "hold write");
	rig_write(rig, &w, 1);
	rig_arrived(rig, "write", 1);
	rig_flush(rig, &f);
	assert_int_equal(rig_status(&f), BLKIF_RSP_OKAY);
	assert_false(rig_answered(&w));
	rig_arrived(rig, "sync", 1);
	rig_tell(rig, "pass write");
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	rig_judge(rig);
}

/* A flush with data flushes what was answered before, then writes. */
static void test_flush_with_data(void **state)
{
	struct rig *rig = *state;
	struct ask w, f;

	rig_write(rig, &w, 1);
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_ask(rig, &f, BLKIF_OP_FLUSH_DISKCACHE, 16, RIG_BLOCK);
	rig_arrived(rig, "sync", 1);
	rig_settle(rig);
	rig_arrived(rig, "write", 1);

	rig_tell(rig, "one sync");
	rig_arrived(rig, "write", 2);
	rig_settle(rig);
	assert_false(rig_answered(&f));

	rig_tell(rig, "one write");
	assert_int_equal(rig_status(&f), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 1);
	rig_judge(rig);
}

/* A ring full of flushes behind a running one costs one fdatasync more, not a ring full. */
static void test_flushes_share(void **state)
{
	struct rig *rig = *state;
	struct ask f[24];

	rig_tell(rig, "hold sync");
	for (unsigned i = 0; i < 24; i++) {
		rig_flush(rig, &f[i]);
		if (i == 0)
			rig_arrived(rig, "sync", 1);
	}
	rig_settle(rig);
	rig_tell(rig, "pass sync");
	for (unsigned i = 0; i < 24; i++)
		assert_int_equal(rig_status(&f[i]), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 2);
	rig_judge(rig);
}

/* One after the other, each has its own. */
static void test_each_flush_reaches_the_storage(void **state)
{
	struct rig *rig = *state;
	struct ask w, f;

	for (unsigned i = 1; i <= 8; i++) {
		rig_write(rig, &w, i);
		assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
		rig_flush(rig, &f);
		assert_int_equal(rig_status(&f), BLKIF_RSP_OKAY);
		rig_arrived(rig, "sync", i);
	}
	rig_judge(rig);
}

/* The end of a connection makes everything durable, whether the guest asked or not (D6). */
static void test_close_flushes(void **state)
{
	struct rig *rig = *state;
	struct ask w;

	rig_write(rig, &w, 1);
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	rig_arrived(rig, "sync", 0);
	rig_close(rig);
	rig_arrived(rig, "sync", 1);
	rig_judge(rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_flush_of_its_own_time, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_flush_waits_for_no_write, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_flush_with_data, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_flushes_share, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_each_flush_reaches_the_storage, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_close_flushes, rig_setup, rig_teardown),
	};

	(void)argc;
	rig_enter(argv);
	return rig_leave(cmocka_run_group_tests(tests, NULL, NULL));
}
