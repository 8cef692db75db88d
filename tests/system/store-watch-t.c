/* Watches of a live xenstored, as level triggers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xenstore/store.h"

#define DEADLINE_MS 30000

static struct store *store;
static struct store *other; /* somebody else's connection */
static char node[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(node, sizeof(node), "/tool/blkback-test/watch-%d", (int)getpid());
	return store_open(&store) == 0 && store_open(&other) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	int r = other ? store_remove(other, STORE_NO_TXN, node)
		      : 0; /* also called when setup failed */

	(void)state;
	store_close(other);
	store_close(store);
	return r;
}

/* Waits for an event and checks what it says. */
static void expect_event(const char *path, const char *token)
{
	struct pollfd p = {.fd = store_fd(store), .events = POLLIN};
	struct store_event event;
	int r;

	r = store_next_event(store, &event);
	while (r == -EAGAIN) {
		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		r = store_next_event(store, &event);
	}
	assert_int_equal(r, 0);
	assert_string_equal(event.path, path);
	assert_string_equal(event.token, token);
	store_event_fini(&event);
	store_event_fini(&event);
	assert_null(event.path);
}

static void expect_silence(void)
{
	struct store_event event;

	/* A round trip: whatever xenstored sent before its answer has been read by now. */
	assert_int_equal(store_check(store), 0);
	assert_int_equal(store_next_event(store, &event), -EAGAIN);
}

/* One event at once, so that what happened before the watch is not missed; then one per change,
 * of the node or below it, and none for what it does not cover. */
static void test_level_trigger(void **state)
{
	char below[128], beside[128];

	(void)state;
	(void)snprintf(below, sizeof(below), "%s/below", node);
	(void)snprintf(beside, sizeof(beside), "%s-beside", node);
	expect_silence();
	assert_int_equal(store_watch(store, node, "one"), 0);
	expect_event(node, "one");
	expect_silence();
	assert_int_equal(store_watch(store, node, "one"), -EEXIST);
	assert_int_equal(store_write(other, STORE_NO_TXN, node, "1"), 0);
	expect_event(node, "one");
	assert_int_equal(store_write(other, STORE_NO_TXN, below, "1"), 0);
	expect_event(below, "one");
	/* The same value again counts as a change: that is how a resize is announced. */
	assert_int_equal(store_write(other, STORE_NO_TXN, below, "1"), 0);
	expect_event(below, "one");
	assert_int_equal(store_write(other, STORE_NO_TXN, beside, "1"), 0);
	assert_int_equal(store_remove(other, STORE_NO_TXN, beside), 0);
	assert_int_equal(store_remove(other, STORE_NO_TXN, below), 0);
	expect_event(below, "one");
	expect_silence();
	assert_int_equal(store_unwatch(store, node, "one"), 0);
	assert_int_equal(store_unwatch(store, node, "one"), -ENOENT);
	assert_int_equal(store_write(other, STORE_NO_TXN, node, "2"), 0);
	expect_silence();
}

/* Nothing is seen of a transaction until it commits, and nothing of one that is dropped. */
static void test_transactions(void **state)
{
	uint32_t txn;

	(void)state;
	assert_int_equal(store_watch(store, node, "txn"), 0);
	expect_event(node, "txn");
	assert_int_equal(store_txn_begin(other, &txn), 0);
	assert_int_equal(store_write(other, txn, node, "2"), 0);
	expect_silence();
	assert_int_equal(store_txn_commit(other, txn), 0);
	expect_event(node, "txn");
	assert_int_equal(store_txn_begin(other, &txn), 0);
	assert_int_equal(store_write(other, txn, node, "3"), 0);
	store_txn_abort(other, txn);
	expect_silence();
	assert_int_equal(store_unwatch(store, node, "txn"), 0);
}

static void test_descriptor(void **state)
{
	(void)state;
	assert_true(fcntl(store_fd(store), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(store_fd(store), store_fd(store));
	store_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_trigger),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_descriptor),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store watches", tests, setup, teardown);
}
