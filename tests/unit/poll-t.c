/* How long a queue looks for work before it sleeps: by its last waits, its disk's budget, and who else wants the processors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

/* ... of waits that have been short: 20 us for the guest, and with one in flight. */
static void begin_trusting(enum poll_mode mode, uint32_t percent)
{
	begin(mode, 0, percent);
	for (unsigned i = 0; i < 100; i++) {
		poller_waited(&poller, 0, 20 * US);
		poller_waited(&poller, 1, 20 * US);
	}
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

/* Nothing is known at first; then a short wait is worth twice as long. */
static void test_grows_when_it_pays(void **state)
{
	(void)state;
	begin(POLL_AUTO, 0, 100);
	assert_int_equal(window(0), 0);
	begin_trusting(POLL_AUTO, 100);
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

/* A few short ones are chance: so many have to be, one after the other. */
static void test_has_to_be_sure(void **state)
{
	unsigned n = 0;

	(void)state;
	begin(POLL_AUTO, 0, 100);
	while (window(0) == 0) {
		poller_waited(&poller, 0, 20 * US);
		assert_in_range(++n, 1, 40);
	}
	assert_in_range(n, 30, 40);
	/* One that is long now and then is none; two are. */
	poller_waited(&poller, 0, 1 * S);
	poller_waited(&poller, 0, 1 * S);
	assert_int_equal(window(0), 0);
}

/* When one wait in @n is long: whether it is looked, of the times that it could be, mostly. */
static bool looks_when_one_is_long_in(unsigned n)
{
	unsigned looked = 0;

	begin_trusting(POLL_AUTO, 100);
	for (unsigned i = 0; i < 100 * n; i++) {
		poller_waited(&poller, 0, i % n == 0 ? 5 * MS : 20 * US);
		looked += window(0) > 0;
	}
	return looked > 50 * n;
}

static void test_most_have_to_be_short(void **state)
{
	(void)state;
	assert_true(looks_when_one_is_long_in(20));
	assert_false(looks_when_one_is_long_in(4));
	assert_false(looks_when_one_is_long_in(2));
}

static void test_shrinks_to_nothing(void **state)
{
	unsigned n = 0;

	(void)state;
	begin_trusting(POLL_AUTO, 100);
	poller_waited(&poller, 0, POLL_AUTO_NS);
	assert_int_equal(window(0), POLL_AUTO_NS);
	poller_waited(&poller, 0, POLL_AUTO_NS + 1);
	assert_int_equal(window(0), POLL_AUTO_NS / 2);
	while (poller.wait[POLL_FOR_GUEST].window_ns > 0) {
		poller_waited(&poller, 0, 1 * S);
		assert_in_range(++n, 1, 6);
	}
	assert_int_equal(window(0), 0);
	/* And comes back. */
	for (unsigned i = 0; i < 50; i++)
		poller_waited(&poller, 0, 3 * US);
	assert_int_equal(window(0), 6 * US);
}

/* A slow disk says nothing of its guest. */
static void test_waits_are_apart(void **state)
{
	(void)state;
	begin_trusting(POLL_AUTO, 100);
	for (unsigned i = 0; i < 5; i++)
		poller_waited(&poller, 1, 5 * MS);
	assert_int_equal(window(0), 40 * US);
	assert_int_equal(window(1), 0);
}

/* Many in flight share a wake-up: it is not worth much to each, and says nothing of what one waits for. */
static void test_many_in_flight(void **state)
{
	(void)state;
	begin_trusting(POLL_AUTO, 100);
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
				poller_looked(
					&queue[i], now_ns + 50 * US, spent_ns[i], POLL_UNASKED);
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

/* Where others wanted the processor they are let be, longer each time, up to 256 ms. */
static void test_lets_others_be(void **state)
{
	uint64_t now_ns = 10 * S;

	(void)state;
	begin_trusting(POLL_AUTO, 100);
	for (uint64_t rest_ns = MS / 4; rest_ns <= 256 * MS; rest_ns *= 2) {
		poller_looked(&poller, now_ns, 5 * US, POLL_WANTED);
		assert_int_equal(poller_window(&poller, 0, now_ns + rest_ns - 1), 0);
		assert_int_equal(poller_window(&poller, 0, now_ns + rest_ns), 40 * US);
		now_ns += 2 * rest_ns;
	}
	poller_looked(&poller, now_ns, 5 * US, POLL_WANTED);
	assert_int_equal(poller_window(&poller, 0, now_ns + 256 * MS), 40 * US);
	/* As nobody wants it, the next time is a shorter one. */
	for (unsigned i = 0; i < 100; i++)
		poller_looked(&poller, now_ns, 5 * US, POLL_FREE);
	now_ns += 1 * S;
	poller_looked(&poller, now_ns, 5 * US, POLL_WANTED);
	assert_int_equal(poller_window(&poller, 0, now_ns + MS / 4 - 1), 0);
	assert_int_equal(poller_window(&poller, 0, now_ns + MS / 4), 40 * US);
}

/* How long it lets be, when in one of @n looks others want the processor: after many. */
static uint64_t rest_at_one_in(unsigned n)
{
	begin_trusting(POLL_AUTO, 100);
	for (unsigned i = 0; i < 40 * n; i++)
		poller_looked(&poller, 10 * S + i, 0, i % n == 0 ? POLL_WANTED : POLL_FREE);
	return poller.rest_ns;
}

/* An interrupt now and then is nobody; who often is there is somebody. */
static void test_often_is_often(void **state)
{
	(void)state;
	assert_int_equal(rest_at_one_in(10), MS / 4);
	assert_in_range(rest_at_one_in(4), 128 * MS, 256 * MS);
}

/* Many looks that are short ask as often as one that is long. */
static void test_asks_after_so_long(void **state)
{
	(void)state;
	begin_trusting(POLL_AUTO, 100);
	assert_int_equal(poller_yield(&poller, 10 * S), 10 * S + POLL_YIELD_NS);
	poller_looked(&poller, 10 * S, POLL_YIELD_NS / 4, POLL_UNASKED);
	poller_looked(&poller, 10 * S, POLL_YIELD_NS / 4, POLL_UNASKED);
	assert_int_equal(poller_yield(&poller, 10 * S), 10 * S + POLL_YIELD_NS / 2);
	poller_looked(&poller, 10 * S, POLL_YIELD_NS, POLL_UNASKED);
	assert_int_equal(poller_yield(&poller, 10 * S), 10 * S);
	poller_looked(&poller, 10 * S, 0, POLL_FREE);
	assert_int_equal(poller_yield(&poller, 10 * S), 10 * S + POLL_YIELD_NS);
	/* Nobody was asked, so nobody has said that it is free. */
	poller_looked(&poller, 10 * S, 0, POLL_WANTED);
	for (unsigned i = 0; i < 100; i++)
		poller_looked(&poller, 10 * S, 0, POLL_UNASKED);
	assert_int_equal(poller.rest_ns, MS / 2);
	begin(POLL_FIXED, 50, 100);
	assert_true(poller_yield(&poller, 10 * S) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_grows_when_it_pays),
		cmocka_unit_test(test_has_to_be_sure),
		cmocka_unit_test(test_most_have_to_be_short),
		cmocka_unit_test(test_shrinks_to_nothing),
		cmocka_unit_test(test_waits_are_apart),
		cmocka_unit_test(test_many_in_flight),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_lets_others_be),
		cmocka_unit_test(test_often_is_often),
		cmocka_unit_test(test_asks_after_so_long),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
