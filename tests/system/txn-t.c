/* Transactions of a live xenstored: all or nothing, retried on conflict, but not for ever. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "xenstore/store.h"
#include "xenstore/txn.h"

static struct store *store;
static struct store *rival; /* writes the same node in the middle of our transactions */
static char node[64];

/* One transaction's script, and what came of it. */
struct script {
	unsigned conflicts; /* the first so many runs conflict */
	int result;         /* of fn */
	unsigned runs;
};

static int setup(void **state)
{
	(void)state;
	(void)snprintf(node, sizeof(node), "/tool/blkback-test/txn-%d", (int)getpid());
	return store_open(&store) == 0 && store_open(&rival) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	int r = store ? store_remove(store, STORE_NO_TXN, node)
		      : 0; /* also called when setup failed */

	(void)state;
	store_close(rival);
	store_close(store);
	return r;
}

static void assert_node(const char *expected)
{
	char *value;

	assert_int_equal(store_read(rival, STORE_NO_TXN, node, &value, NULL), 0);
	assert_string_equal(value, expected);
	free(value);
}

static int play(struct store *s, uint32_t txn, void *ctx)
{
	struct script *script = ctx;
	int r;

	assert_int_not_equal(txn, STORE_NO_TXN);
	script->runs++;
	r = store_printf(s, txn, node, "ours %u", script->runs);
	assert_int_equal(r, 0);
	if (script->runs <= script->conflicts)
		assert_int_equal(store_write(rival, STORE_NO_TXN, node, "rival"), 0);
	return script->result;
}

static void test_commit(void **state)
{
	struct script script = {0};

	(void)state;
	assert_int_equal(store_write(rival, STORE_NO_TXN, node, "before"), 0);
	assert_int_equal(txn_run(store, play, &script, 5), 0);
	assert_int_equal(script.runs, 1);
	assert_node("ours 1");
}

static void test_conflict_is_retried(void **state)
{
	struct script script = {.conflicts = 4};

	(void)state;
	assert_int_equal(txn_run(store, play, &script, 5), 0);
	assert_int_equal(script.runs, 5);
	assert_node("ours 5");
}

static void test_retries_are_bounded(void **state)
{
	struct script once = {.conflicts = 100};
	struct script none = {.conflicts = 100};
	struct script five = {.conflicts = 5};

	(void)state;
	assert_int_equal(txn_run(store, play, &five, 5), -EAGAIN);
	assert_int_equal(five.runs, 5);
	assert_node("rival");
	assert_int_equal(txn_run(store, play, &once, 1), -EAGAIN);
	assert_int_equal(once.runs, 1);
	assert_int_equal(txn_run(store, play, &none, 0), -EAGAIN);
	assert_int_equal(none.runs, 1);
	assert_node("rival");
}

/* Whatever it is, -EAGAIN included: that is the function's own, not xenstored's. */
static void test_failure_aborts(void **state)
{
	static const int results[] = {-ENOTTY, -EAGAIN, -ENOENT};

	(void)state;
	assert_int_equal(store_write(rival, STORE_NO_TXN, node, "before"), 0);
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct script script = {.result = results[i]};

		assert_int_equal(txn_run(store, play, &script, 5), results[i]);
		assert_int_equal(script.runs, 1);
		assert_node("before");
	}
}

/* An aborted transaction is gone: xenstored allows only a few at once. */
static void test_nothing_is_left_open(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct script script = {.result = i % 2 ? -EIO : 0, .conflicts = i % 3};

		assert_int_equal(txn_run(store, play, &script, 3), script.result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_conflict_is_retried),
		cmocka_unit_test(test_retries_are_bounded),
		cmocka_unit_test(test_failure_aborts),
		cmocka_unit_test(test_nothing_is_left_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("transactions", tests, setup, teardown);
}
