/*
 * D5, seen by guest and storage: an fdatasync that failed never looks like success, then or later,
 * until the disk is attached anew; a write that failed is that write's matter alone.
 */
#include "tests/lib/rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

/* Reached only by a test that fails. */
#define NODE_DEADLINE_MS 60000

/* The value of a node of the backend directory. NULL: there is none, and nothing else was wrong. */
static char *node(const char *name)
{
	char path[256];
	struct xs_handle *xs = xs_open(0);
	char *value;

	assert_non_null(xs);
	(void)snprintf(path, sizeof(path), "%s/%s", RIG_BACKEND, name);
	value = xs_read(xs, XBT_NULL, path, NULL);
	if (value == NULL)
		assert_int_equal(errno, ENOENT);
	xs_close(xs);
	return value;
}

/* hotplug-error is written by another thread than the one that answers: wait for it. */
static char *await_node(const char *name)
{
	struct xs_handle *xs = xs_open(0);
	char *value;
	unsigned n;

	assert_non_null(xs);
	assert_true(xs_watch(xs, RIG_BACKEND, "x"));
	while ((value = node(name)) == NULL) {
		struct pollfd pfd = {.fd = xs_fileno(xs), .events = POLLIN};

		if (poll(&pfd, 1, NODE_DEADLINE_MS) != 1)
			fail_msg("there is no %s/%s", RIG_BACKEND, name);
		free(xs_read_watch(xs, &n));
	}
	xs_close(xs);
	return value;
}

static void assert_write_status(struct rig *rig, unsigned block, int status)
{
	struct ask ask;

	rig_write(rig, &ask, block);
	assert_int_equal(rig_status(&ask), status);
}

static void assert_flush_status(struct rig *rig, int status)
{
	struct ask ask;

	rig_flush(rig, &ask);
	assert_int_equal(rig_status(&ask), status);
}

static void assert_latched(struct rig *rig)
{
	struct ask ask;

	assert_write_status(rig, 2, BLKIF_RSP_ERROR);
	assert_flush_status(rig, WIRE_RSP_FLUSH_FAILED);
	rig_barrier(rig, &ask);
	assert_int_equal(rig_status(&ask), WIRE_RSP_FLUSH_FAILED);
	rig_barrier_write(rig, &ask, 3);
	assert_int_equal(rig_status(&ask), BLKIF_RSP_ERROR);
	rig_ask(rig, &ask, BLKIF_OP_FLUSH_DISKCACHE, 32, RIG_BLOCK);
	assert_int_equal(rig_status(&ask), BLKIF_RSP_ERROR);
	rig_settle(rig);
}

static void test_failed_fdatasync_latches(void **state)
{
	struct rig *rig = *state;
	char *text;

	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	rig_tell(rig, "fail sync %d 1", EIO);
	assert_flush_status(rig, WIRE_RSP_FLUSH_FAILED);
	assert_latched(rig);
	rig_arrived(rig, "write", 1);
	rig_arrived(rig, "sync", 1);
	text = await_node("hotplug-error");
	assert_non_null(strstr(text, "fdatasync failed"));
	free(text);

	/* A new connection sees the same disk, although the fdatasync at its start works. */
	rig_close(rig);
	rig_connect(rig);
	assert_latched(rig);
	rig_arrived(rig, "write", 1);
	rig_judge(rig);
}

static void test_attaching_anew_clears_the_latch(void **state)
{
	struct rig *rig = *state;
	char *text;

	rig_tell(rig, "fail sync %d 1", EIO);
	assert_flush_status(rig, WIRE_RSP_FLUSH_FAILED);
	rig_close(rig);
	blkfront_destroy(rig->front);
	assert_int_equal(rig_detach(rig), 0);
	assert_int_equal(rig_attach(rig), 0);
	text = node("state");
	assert_non_null(text);
	free(text);
	assert_null(node("hotplug-error"));
	{
		struct blkfront_options options;

		blkfront_options_init(&options);
		assert_int_equal(blkfront_create(&options, &rig->front, NULL), 0);
	}
	rig_connect(rig);
	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	assert_flush_status(rig, BLKIF_RSP_OKAY);
}

/* Both flushes that share the failed fdatasync fail, and so does the one that waits for the next. */
static void test_waiting_flushes_fail_too(void **state)
{
	struct rig *rig = *state;
	struct ask f1, f2, w;

	rig_tell(rig, "fail sync %d 1", EIO);
	rig_tell(rig, "hold sync");
	rig_flush(rig, &f1);
	rig_arrived(rig, "sync", 1);
	rig_flush(rig, &f2);
	rig_settle(rig);
	rig_tell(rig, "pass sync");
	assert_int_equal(rig_status(&f1), WIRE_RSP_FLUSH_FAILED);
	assert_int_equal(rig_status(&f2), WIRE_RSP_FLUSH_FAILED);
	rig_write(rig, &w, 1);
	assert_int_equal(rig_status(&w), BLKIF_RSP_ERROR);
	rig_arrived(rig, "sync", 1);
	rig_judge(rig);
}

/* An fdatasync that fails when the connection ends counts for the next one. */
static void test_failure_at_close_latches(void **state)
{
	struct rig *rig = *state;

	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	rig_tell(rig, "fail sync %d 1", EIO);
	rig_close(rig);
	rig_connect(rig);
	assert_latched(rig);
}

/* No latch: the guest was told about this write, and the next one works. */
static void test_failed_write_is_one_error(void **state)
{
	struct rig *rig = *state;

	rig_tell(rig, "fail write %d 1", EIO);
	assert_write_status(rig, 1, BLKIF_RSP_ERROR);
	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	assert_flush_status(rig, BLKIF_RSP_OKAY);
	rig_tell(rig, "fail read %d 1", EIO);
	{
		struct ask r;

		rig_ask(rig, &r, BLKIF_OP_READ, 0, RIG_BLOCK);
		assert_int_equal(rig_status(&r), BLKIF_RSP_ERROR);
	}
	rig_settle(rig);
	rig_judge(rig);
}

/* The barrier fails, the gate opens, the disk goes on. */
static void test_barrier_whose_data_fails(void **state)
{
	struct rig *rig = *state;
	struct ask b, w;

	rig_tell(rig, "fail write %d 1", EIO);
	rig_barrier_write(rig, &b, 1);
	rig_write(rig, &w, 2);
	assert_int_equal(rig_status(&b), BLKIF_RSP_ERROR);
	assert_int_equal(rig_status(&w), BLKIF_RSP_OKAY);
	assert_flush_status(rig, BLKIF_RSP_OKAY);
	rig_judge(rig);
}

/* @nr_good fdatasyncs of the barrier work, the next one does not. */
static void barrier_whose_sync_fails(struct rig *rig, unsigned nr_good)
{
	struct ask b, w;

	rig_tell(rig, "hold sync");
	rig_barrier_write(rig, &b, 1);
	rig_write(rig, &w, 2);
	for (unsigned i = 1; i <= nr_good; i++) {
		rig_arrived(rig, "sync", i);
		rig_tell(rig, "one sync");
	}
	rig_arrived(rig, "sync", nr_good + 1);
	rig_tell(rig, "fail sync %d 1", EIO);
	rig_tell(rig, "pass sync");
	assert_int_equal(rig_status(&b), BLKIF_RSP_ERROR);
	assert_int_equal(rig_status(&w), BLKIF_RSP_ERROR);
	rig_arrived(rig, "write", nr_good);
	assert_latched(rig);
	rig_judge(rig);
}

static void test_barrier_whose_first_sync_fails(void **state)
{
	barrier_whose_sync_fails(*state, 0);
}

static void test_barrier_whose_second_sync_fails(void **state)
{
	barrier_whose_sync_fails(*state, 1);
}

/* A disk without flush and barrier: every answer promises that the write is durable (D4). */
static int setup_write_through(void **state)
{
	return rig_setup_with(state, ",features-off=flush-cache+barrier");
}

/* So one that the storage could not make durable is like an fdatasync that failed. */
static void test_lost_write_latches(void **state)
{
	struct rig *rig = *state;
	char *text;

	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	rig_tell(rig, "fail write %d 1", EIO);
	assert_write_status(rig, 1, BLKIF_RSP_ERROR);
	assert_write_status(rig, 2, BLKIF_RSP_ERROR);
	rig_arrived(rig, "write", 2);
	rig_settle(rig);
	text = await_node("hotplug-error");
	assert_non_null(strstr(text, "a write failed that had to be durable"));
	free(text);
	text = await_node("data-lost");
	assert_string_equal(text, "1");
	free(text);

	rig_close(rig);
	rig_connect(rig);
	assert_write_status(rig, 1, BLKIF_RSP_ERROR);
	rig_arrived(rig, "write", 2);
	rig_settle(rig);
}

/* A write that was on its way when another was lost may have been lost with it, whatever its own end was. */
static void test_lost_write_spoils_others(void **state)
{
	struct rig *rig = *state;
	struct ask lost, other;

	rig_tell(rig, "hold write");
	rig_write(rig, &lost, 1);
	rig_write(rig, &other, 3);
	rig_arrived(rig, "write", 2);
	rig_tell(rig, "fail write %d 1", EIO);
	rig_tell(rig, "pass write");
	assert_int_equal(rig_status(&lost), BLKIF_RSP_ERROR);
	assert_int_equal(rig_status(&other), BLKIF_RSP_ERROR);
	rig_settle(rig);
}

/* For which there is no room: nothing was written, nothing is lost. */
static void test_full_storage_does_not_latch(void **state)
{
	struct rig *rig = *state;

	rig_tell(rig, "fail write %d 1", ENOSPC);
	assert_write_status(rig, 1, BLKIF_RSP_ERROR);
	assert_write_status(rig, 1, BLKIF_RSP_OKAY);
	rig_settle(rig);
	assert_null(node("hotplug-error"));
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_failed_fdatasync_latches),
		RIG_TEST(test_attaching_anew_clears_the_latch),
		RIG_TEST(test_waiting_flushes_fail_too),
		RIG_TEST(test_failure_at_close_latches),
		RIG_TEST(test_failed_write_is_one_error),
		RIG_TEST(test_barrier_whose_data_fails),
		RIG_TEST(test_barrier_whose_first_sync_fails),
		RIG_TEST(test_barrier_whose_second_sync_fails),
		cmocka_unit_test_setup_teardown(
			test_lost_write_latches, setup_write_through, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_lost_write_spoils_others, setup_write_through, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_full_storage_does_not_latch, setup_write_through, rig_teardown),
	};

	(void)argc;
	rig_enter(argv);
	return rig_leave(cmocka_run_group_tests(tests, NULL, NULL));
}
