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
static unsigned max_queues = LIMIT_QUEUES;

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
	if (handshake_read(store, dir, max_queues, &keys, &problem))
		fail_msg("%s", problem.text);
}

/* Refused; the sentence names @node and what @about is told of it. */
static void refuses(const char *node, const char *about)
{
	struct handshake before = keys;

	problem.text[0] = '\0';
	assert_int_equal(handshake_read(store, dir, max_queues, &keys, &problem), -EPROTO);
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

static void write_queue(unsigned queue, unsigned nr_pages, unsigned first, unsigned port)
{
	char name[40], text[16];

	for (unsigned i = 0; i < nr_pages; i++) {
		if (nr_pages == 1)
			(void)snprintf(name, sizeof(name), "queue-%u/ring-ref", queue);
		else
			(void)snprintf(name, sizeof(name), "queue-%u/ring-ref%u", queue, i);
		(void)snprintf(text, sizeof(text), "%u", first + i);
		write_node(name, text);
	}
	(void)snprintf(name, sizeof(name), "queue-%u/event-channel", queue);
	(void)snprintf(text, sizeof(text), "%u", port);
	write_node(name, text);
}

/* Several queues: each in its own directory, and nothing of the flat keys counts. */
static void test_queues(void **state)
{
	(void)state;
	for (unsigned q = 0; q < LIMIT_QUEUES; q++)
		write_queue(q, 1, 1000 + q * 10, 50 + q);
	write_node("ring-ref", "stale");
	write_node("event-channel", "stale");
	for (unsigned n = 2; n <= LIMIT_QUEUES; n++) {
		char text[] = {(char)('0' + n), '\0'};

		write_node("multi-queue-num-queues", text);
		reads();
		assert_int_equal(keys.nr_queues, n);
		for (unsigned q = 0; q < LIMIT_QUEUES; q++) {
			assert_int_equal(keys.queue[q].ring_ref[0], q < n ? 1000 + q * 10 : 0);
			assert_int_equal(keys.queue[q].event_channel, q < n ? 50 + q : 0);
		}
	}
	remove_node("queue-5/ring-ref");
	refuses("/queue-5/ring-ref'", "missing");
	write_queue(5, 1, 1050, 55);
	reads();
	remove_node("queue-7/event-channel");
	refuses("/queue-7/event-channel'", "missing");
	write_node("queue-7/event-channel", "131072");
	refuses("/queue-7/event-channel'", "131072");
}

/* The order is one node for all. */
static void test_large_queues(void **state)
{
	(void)state;
	for (unsigned q = 0; q < 3; q++)
		write_queue(q, 16, 1000 + q * 100, 50 + q);
	write_node("multi-queue-num-queues", "3");
	write_node("ring-page-order", "4");
	reads();
	assert_int_equal(keys.nr_ring_pages, 16);
	for (unsigned q = 0; q < 3; q++)
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(keys.queue[q].ring_ref[i], 1000 + q * 100 + i);
	remove_node("queue-2/ring-ref15");
	refuses("/queue-2/ring-ref15'", "missing");
	/* One in the directory of a queue is none of ours. */
	write_node("queue-2/ring-ref15", "1215");
	remove_node("ring-page-order");
	write_node("queue-0/ring-page-order", "4");
	refuses("/queue-0/ring-ref'", "missing");
}

/* One, or no word of it: flat, whatever there is in queue-0. */
static void test_one_queue(void **state)
{
	(void)state;
	write_node("ring-ref", "100");
	write_queue(0, 1, 1000, 50);
	reads();
	expect_ring(1, 100);
	write_node("multi-queue-num-queues", "1");
	reads();
	expect_ring(1, 100);
	remove_node("ring-ref");
	refuses("/ring-ref'", "missing");
}

static void test_bad_numbers(void **state)
{
	static const char *const numbers[] = {
		"0", "9", "-1", "4294967297", "two", "", " 2", "2 ", "0x2"};

	(void)state;
	write_node("ring-ref", "100");
	for (unsigned q = 0; q < LIMIT_QUEUES; q++)
		write_queue(q, 1, 1000 + q * 10, 50 + q);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		write_node("multi-queue-num-queues", numbers[i]);
		refuses("/multi-queue-num-queues'", "1 to 8 queues");
	}
	max_queues = 2;
	write_node("multi-queue-num-queues", "3");
	refuses("/multi-queue-num-queues'", "1 to 2 queues");
	write_node("multi-queue-num-queues", "2");
	reads();
	max_queues = LIMIT_QUEUES;
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
	/* ... of every queue. */
	remove_node("ring-page-order");
	write_node("multi-queue-num-queues", "4");
	for (unsigned q = 0; q < 4; q++)
		write_queue(q, 1, 1000 + q * 10, 50 + q);
	reads();
	first = keys;
	for (unsigned q = 0; q < 4; q++) {
		write_queue(q, 1, 999, 50 + q);
		reads();
		assert_false(handshake_same(&first, &keys));
		write_queue(q, 1, 1000 + q * 10, 99);
		reads();
		assert_false(handshake_same(&first, &keys));
		write_queue(q, 1, 1000 + q * 10, 50 + q);
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
		KEYS_TEST(test_queues),
		KEYS_TEST(test_large_queues),
		KEYS_TEST(test_one_queue),
		KEYS_TEST(test_bad_numbers),
		KEYS_TEST(test_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
