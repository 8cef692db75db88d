/* Nodes of a live xenstored: what is written comes back, and each kind of failure has its own
 * name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <xenstore.h>

#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"
#include "xenstore/txn.h"

static struct store *store;
static char dir[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tool/blkback-test/values-%d", (int)getpid());
	return store_open(&store);
}

static int teardown(void **state)
{
	int r = store ? store_remove(store, STORE_NO_TXN, dir)
		      : 0; /* also called when setup failed */

	(void)state;
	store_close(store);
	return r;
}

/* Writes any bytes, as a hostile frontend can. */
static void write_raw(const char *name, const void *data, unsigned len)
{
	struct xs_handle *xs = xs_open(0);
	char path[128];

	assert_non_null(xs);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true(xs_write(xs, XBT_NULL, path, data, len));
	xs_close(xs);
}

static void test_read_back(void **state)
{
	char longest[STORE_VALUE_MAX + 2];
	char path[128];
	char *value;
	size_t len = 77;
	bool exists;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(store_exists(store, STORE_NO_TXN, path, &exists), 0);
	assert_false(exists);
	assert_int_equal(store_read(store, STORE_NO_TXN, path, &value, &len), -ENOENT);
	assert_int_equal(len, 77);
	assert_int_equal(store_write(store, STORE_NO_TXN, path, ""), 0);
	assert_int_equal(store_read(store, STORE_NO_TXN, path, &value, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(value, "");
	free(value);
	assert_int_equal(store_printf(store, STORE_NO_TXN, path, "%d:%s", 42, "x"), 0);
	assert_int_equal(store_read(store, STORE_NO_TXN, path, &value, NULL), 0);
	assert_string_equal(value, "42:x");
	free(value);

	memset(longest, 'v', sizeof(longest));
	longest[STORE_VALUE_MAX + 1] = '\0';
	assert_int_equal(store_write(store, STORE_NO_TXN, path, longest), -E2BIG);
	assert_int_equal(store_printf(store, STORE_NO_TXN, path, "%s", longest), -E2BIG);
	longest[STORE_VALUE_MAX] = '\0';
	assert_int_equal(store_printf(store, STORE_NO_TXN, path, "%s", longest), 0);
	assert_int_equal(store_read(store, STORE_NO_TXN, path, &value, &len), 0);
	assert_int_equal(len, STORE_VALUE_MAX);
	assert_string_equal(value, longest);
	free(value);

	/* Removing what is not there is no failure, neither with nor without a parent. */
	assert_int_equal(store_remove(store, STORE_NO_TXN, path), 0);
	assert_int_equal(store_remove(store, STORE_NO_TXN, path), 0);
	(void)snprintf(path, sizeof(path), "%s/no/such/parent", dir);
	assert_int_equal(store_remove(store, STORE_NO_TXN, path), 0);
	/* xenstored's own EINVAL does not pass for a lost connection. */
	assert_int_equal(store_read(store, STORE_NO_TXN, "/bad path", &value, NULL), -EINVAL);
	assert_int_equal(store_check(store), 0);
}

static void test_list(void **state)
{
	struct node_dir d = {.store = store, .path = dir};
	char path[128];
	char **names;
	unsigned n;

	(void)state;
	assert_int_equal(node_printf(&d, "list/one", "%u", 1), 0);
	assert_int_equal(node_printf(&d, "list/two", "%u", 2), 0);
	(void)snprintf(path, sizeof(path), "%s/list", dir);
	assert_int_equal(store_list(store, STORE_NO_TXN, path, &names, &n), 0);
	assert_int_equal(n, 2);
	assert_int_not_equal(strcmp(names[0], names[1]), 0);
	for (unsigned i = 0; i < n; i++)
		assert_true(strcmp(names[i], "one") == 0 || strcmp(names[i], "two") == 0);
	free(names);
	assert_int_equal(node_remove(&d, "list/one"), 0);
	assert_int_equal(node_remove(&d, "list/two"), 0);
	assert_int_equal(store_list(store, STORE_NO_TXN, path, &names, &n), 0);
	assert_int_equal(n, 0);
	free(names);
	assert_int_equal(node_remove(&d, "list"), 0);
	assert_int_equal(store_list(store, STORE_NO_TXN, path, &names, &n), -ENOENT);
}

/* Value, absent, malformed and error are four things. */
static void test_typed(void **state)
{
	static const char *const modes[] = {"r", "w"};
	struct node_dir d = {.store = store, .path = dir, .error = 77};
	struct node_dir no_dir = {.store = store, .path = "/bad path", .error = 0};
	uint64_t u64 = 0;
	uint32_t u32 = 0;
	unsigned index = 0;
	bool truth = false;
	char *text;

	(void)state;
	assert_int_equal(node_u32(&d, "none", 0, 9, &u32), NODE_ABSENT);
	assert_int_equal(node_string(&d, "none", 9, NULL, &text), NODE_ABSENT);
	assert_int_equal(node_printf(&d, "n", "%u", 9u), 0);
	assert_int_equal(node_u32(&d, "n", 0, 9, &u32), NODE_VALUE);
	assert_int_equal(u32, 9);
	assert_int_equal(node_u32(&d, "n", 0, 8, &u32), NODE_MALFORMED);
	assert_int_equal(node_u64(&d, "n", 0, 9, &u64), NODE_VALUE);
	assert_int_equal(node_domid(&d, "n", &u32), NODE_VALUE);
	assert_int_equal(node_bool(&d, "n", &truth), NODE_MALFORMED);
	assert_int_equal(node_enum(&d, "n", modes, 2, &index), NODE_MALFORMED);
	assert_int_equal(node_string(&d, "n", 1, "0123456789", &text), NODE_VALUE);
	assert_string_equal(text, "9");
	free(text);
	assert_int_equal(node_string(&d, "n", 0, NULL, &text), NODE_MALFORMED);
	assert_int_equal(node_printf(&d, "n", "1"), 0);
	assert_int_equal(node_bool(&d, "n", &truth), NODE_VALUE);
	assert_true(truth);
	assert_int_equal(node_printf(&d, "n", "w"), 0);
	assert_int_equal(node_enum(&d, "n", modes, 2, &index), NODE_VALUE);
	assert_int_equal(index, 1);

	write_raw("nul", "1\0", 2);
	assert_int_equal(node_u32(&d, "nul", 0, 9, &u32), NODE_MALFORMED);
	assert_int_equal(node_string(&d, "nul", 9, NULL, &text), NODE_MALFORMED);
	write_raw("nul", "\0", 1);
	assert_int_equal(node_string(&d, "nul", 9, NULL, &text), NODE_MALFORMED);
	assert_int_equal(d.error, 77);
	assert_int_equal(node_u32(&no_dir, "n", 0, 9, &u32), NODE_ERROR);
	assert_int_equal(no_dir.error, -EINVAL);
}

struct switch_ctx {
	enum xenbus_state seen, next;
};

static int switch_state(struct store *s, uint32_t txn, void *ctx)
{
	const struct switch_ctx *c = ctx;
	struct node_dir d = {.store = s, .txn = txn, .path = dir};

	return state_switch(&d, c->seen, c->next);
}

/* The toolstack's Closing, or its removal, that came meanwhile is not overwritten. */
static void test_state_switch(void **state)
{
	struct switch_ctx connect = {XENBUS_INITWAIT, XENBUS_CONNECTED};
	struct node_dir d = {.store = store, .path = dir};
	enum xenbus_state now;

	(void)state;
	assert_int_equal(node_remove(&d, "state"), 0);
	assert_int_equal(state_read(&d, &now), 0);
	assert_int_equal(now, XENBUS_ABSENT);
	assert_int_equal(txn_run(store, switch_state, &connect, TXN_TRIES), -ENOENT);
	assert_int_equal(state_read(&d, &now), 0);
	assert_int_equal(now, XENBUS_ABSENT);

	assert_int_equal(node_printf(&d, "state", "2"), 0);
	assert_int_equal(txn_run(store, switch_state, &connect, TXN_TRIES), 0);
	assert_int_equal(state_read(&d, &now), 0);
	assert_int_equal(now, XENBUS_CONNECTED);

	assert_int_equal(node_printf(&d, "state", "5"), 0);
	assert_int_equal(txn_run(store, switch_state, &connect, TXN_TRIES), -ESTALE);
	assert_int_equal(state_read(&d, &now), 0);
	assert_int_equal(now, XENBUS_CLOSING);

	write_raw("state", "4\0", 2);
	assert_int_equal(state_read(&d, &now), 0);
	assert_int_equal(now, XENBUS_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_state_switch),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store values", tests, setup, teardown);
}
