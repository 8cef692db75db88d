/*
 * A frontend's keys on a live xenstored: which ring nodes are read, and which are not looked at (R20); what
 * each wrong value is told (R25).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <xenstore.h>

#include "backend/control/handshake.h"
#include "xenstore/store.h"

static struct store *store;
static struct xs_handle *xs;
static char dir[64];
static struct handshake keys;
static struct problem problem;

static void write_node(const char *name, const char *value)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true(xs_write(xs, XBT_NULL, path, value, (unsigned)strlen(value)));
}

static void write_ref(unsigned i, unsigned value)
{
	char name[24], text[16];

	(void)snprintf(name, sizeof(name), "ring-ref%u", i);
	(void)snprintf(text, sizeof(text), "%u", value);
	write_node(name, text);
}

static void write_order(unsigned order)
{
	char text[] = {(char)('0' + order), '\0'};

	write_node("ring-page-order", text);
}

static void remove_node(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true(xs_rm(xs, XBT_NULL, path));
}

/* An empty directory with a port. */
static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tool/blkback-test/handshake-%d", (int)getpid());
	xs = xs_open(0);
	assert_non_null(xs);
	assert_int_equal(store_open(&store), 0);
	write_node("event-channel", "7");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)xs_rm(xs, XBT_NULL, dir);
	xs_close(xs);
	store_close(store);
	return 0;
}

static void reads(void)
{
	problem.text[0] = '\0';
	if (handshake_read(store, dir, &keys, &problem))
		fail_msg("%s", problem.text);
}

/* Refused; the sentence names @node and what @about is told of it. */
static void refuses(const char *node, const char *about)
{
	struct handshake before = keys;

	problem.text[0] = '\0';
	assert_int_equal(handshake_read(store, dir, &keys, &problem), -EPROTO);
	if (!strstr(problem.text, node) || !strstr(problem.text, about))
		fail_msg("'%s' names neither '%s' nor '%s'", problem.text, node, about);
	assert_memory_equal(&keys, &before, sizeof(keys));
}

static void expect_ring(unsigned nr_pages, unsigned first)
{
	assert_int_equal(keys.nr_ring_pages, nr_pages);
	for (unsigned i = 0; i < nr_pages; i++)
		assert_int_equal(keys.queue[0].ring_ref[i], first + i);
	for (unsigned i = nr_pages; i < 1u << LIMIT_RING_ORDER; i++)
		assert_int_equal(keys.queue[0].ring_ref[i], 0);
	assert_int_equal(keys.queue[0].event_channel, 7);
	assert_int_equal(keys.nr_queues, 1);
}

/* No ring-page-order: `ring-ref`, whatever else is there. */
static void test_single(void **state)
{
	(void)state;
	write_node("ring-ref", "100");
	reads();
	expect_ring(1, 100);
	for (unsigned i = 0; i < 16; i++)
		write_ref(i, 300 + i);
	reads();
	expect_ring(1, 100);
	/* Not even looked at. */
	write_node("ring-ref0", "nonsense");
	reads();
	expect_ring(1, 100);
	remove_node("ring-ref");
	refuses("/ring-ref'", "missing");
}

/* With it, even if it is 0: the numbered ones, as many as it says, whatever ring-ref is. */
static void test_numbered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++)
		write_ref(i, 300 + i);
	for (unsigned order = 0; order <= 4; order++) {
		write_order(order);
		reads();
		expect_ring(1u << order, 300);
		write_node("ring-ref", "stale");
		reads();
		expect_ring(1u << order, 300);
		remove_node("ring-ref");
	}
}

/* Each of the pages may be missing or wrong, and is named; those behind the ring may be anything. */
static void test_each_page(void **state)
{
	(void)state;
	write_node("ring-ref", "100");
	for (unsigned order = 0; order <= 4; order++) {
		write_order(order);
		for (unsigned i = 0; i < 16; i++)
			write_ref(i, 300 + i);
		for (unsigned i = 0; i < 16; i++) {
			char name[24], quoted[32];
			bool matters = i < 1u << order;

			(void)snprintf(name, sizeof(name), "ring-ref%u", i);
			(void)snprintf(quoted, sizeof(quoted), "/%s'", name);
			remove_node(name);
			if (matters)
				refuses(quoted, "missing");
			else
				reads();
			write_node(name, "0x10");
			if (matters)
				refuses(quoted, "0x10");
			else
				reads();
			write_ref(i, 300 + i);
			reads();
		}
	}
}

static void test_bad_orders(void **state)
{
	static const char *const orders[] = {"5", "-1", "4294967295", "4294967296", "64", "one", "",
		" 1", "1 ", "0x1", "1.0", "+1"};

	(void)state;
	write_node("ring-ref", "100");
	for (unsigned i = 0; i < 16; i++)
		write_ref(i, 300 + i);
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		write_node("ring-page-order", orders[i]);
		refuses("/ring-page-order'", "0 to 4");
	}
	remove_node("ring-page-order");
	reads();
	expect_ring(1, 100);
}

/* Two connections are the same if every page is. */
static void test_same(void **state)
{
	struct handshake first;

	(void)state;
	write_node("ring-ref", "300");
	reads();
	first = keys;
	reads();
	assert_true(handshake_same(&first, &keys));
	for (unsigned i = 0; i < 16; i++)
		write_ref(i, 300 + i);
	write_node("ring-page-order", "4");
	reads();
	assert_false(handshake_same(&first, &keys));
	first = keys;
	for (unsigned i = 0; i < 16; i++) {
		write_ref(i, 900);
		reads();
		assert_false(handshake_same(&first, &keys));
		write_ref(i, 300 + i);
	}
	reads();
	assert_true(handshake_same(&first, &keys));
}

#define KEYS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEYS_TEST(test_single),
		KEYS_TEST(test_numbered),
		KEYS_TEST(test_each_page),
		KEYS_TEST(test_bad_orders),
		KEYS_TEST(test_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
