/* How long a queue looks for work before it sleeps: by its last waits, its disk's budget, and who else wants the processors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/data/busy.h"
#include "backend/data/poll.h"

#define US 1000u
#define MS 1000000u
#define S  1000000000ull

static struct poll_budget budget;
static struct poller poller;

static void begin(enum poll_mode mode, uint32_t fixed_us, uint32_t percent)
{
	const struct poll_terms terms = {
		.mode = mode, .fixed_us = fixed_us, .budget_percent = percent};

	budget.used_until_ns = 0;
	poller_init(&poller, &terms, &budget);
}

static uint64_t window(unsigned nr_in_flight)
{
	return poller_window(&poller, nr_in_flight, 10 * S);
}

static void test_off(void **state)
{
	(void)state;
	begin(POLL_OFF, 0, 100);
	for (unsigned i = 0; i < 10; i++)
		poller_waited(&poller, 0, 20 * US);
	assert_int_equal(window(0), 0);
}

/* Nothing is known at first; a short wait is worth twice as long, one that is too long none. */
static void test_grows_when_it_pays(void **state)
{
	(void)state;
	begin(POLL_AUTO, 0, 100);
	assert_int_equal(window(0), 0);
	poller_waited(&poller, 0, 20 * US);
	assert_int_equal(window(0), 40 * US);
	/* What was found in time changes nothing. */
	poller_waited(&poller, 0, 30 * US);
	assert_int_equal(window(0), 40 * US);
	poller_waited(&poller, 0, 45 * US);
	assert_int_equal(window(0), 90 * US);
	/* Not without end. */
	poller_waited(&poller, 0, 99 * US);
	assert_int_equal(window(0), POLL_AUTO_NS);
}

static void test_shrinks_to_nothing(void **state)
{
	unsigned n = 0;

	(void)state;
	begin(POLL_AUTO, 0, 100);
	poller_waited(&poller, 0, POLL_AUTO_NS);
	assert_int_equal(window(0), POLL_AUTO_NS);
	poller_waited(&poller, 0, POLL_AUTO_NS + 1);
	assert_int_equal(window(0), POLL_AUTO_NS / 2);
	while (window(0) > 0) {
		poller_waited(&poller, 0, 1 * S);
		assert_in_range(++n, 1, 6);
	}
	/* And comes back. */
	poller_waited(&poller, 0, 3 * US);
	assert_int_equal(window(0), 6 * US);
}

/* A slow disk says nothing of its guest. */
static void test_waits_are_apart(void **state)
{
	(void)state;
	begin(POLL_AUTO, 0, 100);
	for (unsigned i = 0; i < 5; i++) {
		poller_waited(&poller, 0, 10 * US);
		poller_waited(&poller, 1, 5 * MS);
	}
	assert_int_equal(window(0), 20 * US);
	assert_int_equal(window(1), 0);
}

/* Many in flight share a wake-up: it is not worth much to each, and says nothing of what one waits for. */
static void test_many_in_flight(void **state)
{
	(void)state;
	begin(POLL_AUTO, 0, 100);
	poller_waited(&poller, 1, 20 * US);
	assert_int_equal(window(1), 40 * US);
	assert_int_equal(window(POLL_FEW), 40 * US);
	assert_int_equal(window(POLL_FEW + 1), 0);
	poller_waited(&poller, POLL_FEW + 1, 5 * MS);
	assert_int_equal(window(1), 40 * US);
	begin(POLL_FIXED, 50, 100);
	assert_int_equal(window(POLL_FEW + 1), 50 * US);
}

static void test_fixed(void **state)
{
	(void)state;
	begin(POLL_FIXED, 50, 100);
	assert_int_equal(window(0), 50 * US);
	for (unsigned i = 0; i < 20; i++)
		poller_waited(&poller, 0, 1 * S);
	assert_int_equal(window(0), 50 * US);
	/* Whoever else wants the processors: it was asked for. */
	assert_false(poller_spent(&poller, 5 * S, 2 * MS));
	assert_int_equal(window(0), 50 * US);
}

/* Of a second, so much is looked at so many percent; by @nr_queues at a time. */
static uint64_t looked_in_a_second(uint32_t percent, unsigned nr_queues)
{
	struct poller queue[4];
	uint64_t looked_ns = 0;

	begin(POLL_FIXED, 50, percent);
	for (unsigned i = 0; i < nr_queues; i++)
		queue[i] = poller;
	for (uint64_t now_ns = 10 * S; now_ns < 11 * S; now_ns += 50 * US) {
		uint64_t spent_ns[4];

		/* They begin at the same time, and end so. */
		for (unsigned i = 0; i < nr_queues; i++)
			spent_ns[i] = poller_window(&queue[i], 0, now_ns);
		for (unsigned i = 0; i < nr_queues; i++) {
			if (spent_ns[i] > 0)
				assert_false(
					poller_spent(&queue[i], now_ns + 50 * US, spent_ns[i]));
			looked_ns += spent_ns[i];
		}
	}
	return looked_ns;
}

static void test_budget(void **state)
{
	(void)state;
	/* What was not used just before comes on top of it: 10 ms, at so many percent. */
	assert_in_range(looked_in_a_second(10, 1), 100 * MS, 103 * MS);
	assert_in_range(looked_in_a_second(50, 1), 500 * MS, 510 * MS);
	assert_int_equal(looked_in_a_second(100, 1), 1 * S);
	assert_in_range(looked_in_a_second(100, 4), 1 * S, 1 * S + 12 * MS);
	assert_int_equal(looked_in_a_second(400, 4), 4 * S);
	assert_in_range(looked_in_a_second(1, 4), 10 * MS, 13 * MS);
}

/* Asked after each millisecond of looking; told so, it lets the processors be, longer each time, up to 256 ms. */
static void test_lets_others_be(void **state)
{
	uint64_t now_ns = 10 * S;

	(void)state;
	begin(POLL_AUTO, 0, 100);
	poller_waited(&poller, 0, 20 * US);
	assert_false(poller_spent(&poller, now_ns, MS - 1));
	assert_true(poller_spent(&poller, now_ns, 1));
	for (uint64_t rest_ns = MS; rest_ns <= 256 * MS; rest_ns *= 2) {
		poller_told(&poller, now_ns, true);
		assert_int_equal(poller_window(&poller, 0, now_ns + rest_ns - 1), 0);
		assert_int_equal(poller_window(&poller, 0, now_ns + rest_ns), 40 * US);
		now_ns += 2 * rest_ns;
	}
	poller_told(&poller, now_ns, true);
	assert_int_equal(poller_window(&poller, 0, now_ns + 256 * MS), 40 * US);
	/* As they are left alone, the next time is a shorter one. */
	for (unsigned i = 0; i < 20; i++)
		poller_told(&poller, now_ns, false);
	now_ns += 1 * S;
	poller_told(&poller, now_ns, true);
	assert_int_equal(poller_window(&poller, 0, now_ns + MS - 1), 0);
	assert_int_equal(poller_window(&poller, 0, now_ns + MS), 40 * US);
}

static void test_busy(void **state)
{
	struct busy busy;

	(void)state;
	assert_false(busy_by("0.20 0.18 0.12 1/80 11206\n", 2));
	assert_false(busy_by("9.20 8.18 0.12 2/80 11206\n", 2));
	assert_true(busy_by("0.00 0.00 0.00 3/80 11206\n", 2));
	assert_true(busy_by("0.00 0.00 0.00 65/1180 11206\n", 64));
	/* Where it does not say. */
	assert_true(busy_by("", 2));
	assert_true(busy_by("/80", 2));
	assert_true(busy_by("0.00 0.00 0.00 x/80 11206\n", 2));
	busy_open(&busy);
	assert_true(busy.fd >= 0);
	assert_in_range(busy.nr_processors, 1, 100000);
	busy.nr_processors = 100000;
	assert_false(busy_now(&busy));
	busy.nr_processors = 0;
	assert_true(busy_now(&busy));
	busy_close(&busy);
	assert_true(busy_now(&busy));
	busy_close(&busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_grows_when_it_pays),
		cmocka_unit_test(test_shrinks_to_nothing),
		cmocka_unit_test(test_waits_are_apart),
		cmocka_unit_test(test_many_in_flight),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_lets_others_be),
		cmocka_unit_test(test_busy),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
