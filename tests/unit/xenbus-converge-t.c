/*
 * What holds from every state of the world, reachable or not: the backend comes to rest, lets go of
 * guest memory when the guest has let go, ends only by the toolstack's will, and can always be
 * brought back to Connected and to Closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/xenbus-world.h"

/* The states we can be in, and whether we hold rings there. */
static const struct {
	enum xenbus_state self;
	bool rings;
} starts[] = {
	{XENBUS_INITIALISING, false},
	{XENBUS_INITWAIT, false},
	{XENBUS_CONNECTED, true},
	{XENBUS_CLOSING, false},
	{XENBUS_CLOSING, true},
	{XENBUS_CLOSED, false},
};
#define STARTS (sizeof(starts) / sizeof(starts[0]))

typedef void (*world_check)(const struct world *before, const struct world *after, unsigned chain);

/* Settles every world and hands it to `check`. */
static void each_world(world_check check)
{
	const unsigned n = STARTS * XENBUS_SEEN * XENBUS_SEEN * 2 * 2;

	for (unsigned i = 0; i < n; i++) {
		struct world before = world_new();
		struct world after;
		unsigned chain;

		before.online = i % 2;
		before.key = i / 2 % 2; /* rings_key is 0: 1 is a frontend that started over */
		before.frontend = (enum xenbus_state)(i / 4 % XENBUS_SEEN);
		before.node = (enum xenbus_state)(i / 4 / XENBUS_SEEN % XENBUS_SEEN);
		before.self = starts[i / 4 / XENBUS_SEEN / XENBUS_SEEN].self;
		before.rings = starts[i / 4 / XENBUS_SEEN / XENBUS_SEEN].rings;
		after = before;
		chain = world_settle(&after);
		check(&before, &after, chain);
	}
}

static void check_rest(const struct world *before, const struct world *after, unsigned chain)
{
	struct world again = *after;

	(void)before;
	assert_in_range(chain, 0, WORLD_CHAIN_MAX);
	assert_int_equal(world_settle(&again), 0);
}

static void test_comes_to_rest(void **state)
{
	(void)state;
	each_world(check_rest);
}

/* Only these frontends may still have I/O in flight. */
static void check_memory(const struct world *before, const struct world *after, unsigned chain)
{
	(void)before;
	(void)chain;
	if (after->rings) {
		assert_true(after->frontend >= XENBUS_INITIALISED);
		assert_true(after->frontend != XENBUS_CLOSED && after->frontend != XENBUS_ABSENT);
	}
	if (after->self == XENBUS_CLOSED || after->self == XENBUS_INITWAIT || after->ended)
		assert_false(after->rings);
}

static void test_guest_memory_released(void **state)
{
	(void)state;
	each_world(check_memory);
}

static void check_end(const struct world *before, const struct world *after, unsigned chain)
{
	bool recreated = before->node == XENBUS_INITIALISING && before->self != XENBUS_INITIALISING;

	(void)chain;
	if (after->ended && before->online)
		assert_true(before->node == XENBUS_ABSENT || recreated);
	if (before->node == XENBUS_ABSENT || recreated) {
		assert_true(after->ended);
		assert_int_equal(after->writes, 0);
	} else if (after->ended) {
		/* The toolstack waits for Closed, and may just have overwritten it. */
		assert_int_equal(after->self, XENBUS_CLOSED);
		assert_int_not_equal(after->node, XENBUS_CLOSING);
	}
}

static void test_ends_by_toolstack_only(void **state)
{
	(void)state;
	each_world(check_end);
}

static void check_offline(const struct world *before, const struct world *after, unsigned chain)
{
	(void)chain;
	if (before->online || after->ended)
		return;
	/* Only a frontend that may still be at work, or has not noticed yet, keeps us. */
	assert_true(after->self == XENBUS_CONNECTED || after->self == XENBUS_CLOSING);
	assert_true(after->frontend >= XENBUS_INITIALISED);
	assert_int_equal(after->connects, 0);
}

static void test_offline_is_the_way_out(void **state)
{
	(void)state;
	each_world(check_offline);
}

/* The toolstack's Closing is never left standing, and never answered by anything but 5 and 6, as
 * long as the disk is on its way out. */
static void check_detach(const struct world *before, const struct world *after, unsigned chain)
{
	(void)chain;
	if (before->online || before->node != XENBUS_CLOSING)
		return;
	assert_true(after->self == XENBUS_CLOSING || after->self == XENBUS_CLOSED);
	assert_int_equal(after->node, after->self);
}

static void test_detach_is_answered(void **state)
{
	(void)state;
	each_world(check_detach);
}

/* True if some sequence of at most `depth` frontend states ends in `goal`. */
static bool reaches(struct world w, enum xenbus_state goal, unsigned depth)
{
	world_settle(&w);
	if (w.ended)
		return false;
	if (w.self == goal)
		return true;
	for (unsigned f = 0; depth > 0 && f < XENBUS_STATES; f++) {
		struct world next = w;

		next.frontend = (enum xenbus_state)f;
		if (reaches(next, goal, depth - 1))
			return true;
	}
	return false;
}

static void check_reach(const struct world *before, const struct world *after, unsigned chain)
{
	(void)chain;
	if (!before->online || after->ended)
		return;
	assert_true(reaches(*after, XENBUS_CONNECTED, 2));
	assert_true(reaches(*after, XENBUS_CLOSED, 1));
}

static void test_frontend_can_reach(void **state)
{
	(void)state;
	each_world(check_reach);
}

/* Nothing a frontend writes ends us while online, however often it writes. */
static void test_frontend_cannot_end_us(void **state)
{
	struct world w = world_new();
	uint32_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		w.frontend = (enum xenbus_state)((random >> 16) % XENBUS_SEEN);
		w.key = random >> 30;
		assert_in_range(world_settle(&w), 0, WORLD_CHAIN_MAX);
		assert_false(w.ended);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_to_rest),
		cmocka_unit_test(test_guest_memory_released),
		cmocka_unit_test(test_ends_by_toolstack_only),
		cmocka_unit_test(test_offline_is_the_way_out),
		cmocka_unit_test(test_detach_is_answered),
		cmocka_unit_test(test_frontend_can_reach),
		cmocka_unit_test(test_frontend_cannot_end_us),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("xenbus convergence", tests, NULL, NULL);
}
