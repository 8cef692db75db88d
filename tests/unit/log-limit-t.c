/*
 * A guest cannot fill the log: so many lines per cause and interval, and then silence until the
 * interval is over (XSA-180).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/util/limits.h"
#include "backend/util/log.h"

static unsigned pass_many(struct log_limit *limit, uint64_t now_ms, unsigned lines)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++)
		n += log_limit_pass(limit, now_ms, lines);
	return n;
}

static void test_so_many_per_interval(void **state)
{
	struct log_limit limit = {0};

	(void)state;
	assert_int_equal(pass_many(&limit, 5, 3), 3);
	assert_int_equal(pass_many(&limit, 5 + LIMIT_LOG_INTERVAL_MS - 1, 3), 0);
	assert_int_equal(pass_many(&limit, 5 + LIMIT_LOG_INTERVAL_MS, 3), 3);
	assert_int_equal(pass_many(&limit, 5 + 9 * LIMIT_LOG_INTERVAL_MS, 1), 1);
}

/* The interval begins with its first line, not with the last one refused: silence ends. */
static void test_refusals_do_not_prolong(void **state)
{
	struct log_limit limit = {0};
	unsigned n = 0;

	(void)state;
	for (uint64_t now = 1; now <= 10 * LIMIT_LOG_INTERVAL_MS; now += 10)
		n += log_limit_pass(&limit, now, 1);
	assert_int_equal(n, 10);
}

static void test_causes_are_separate(void **state)
{
	struct log_limit a = {0}, b = {0};

	(void)state;
	assert_true(log_limit_pass(&a, 0, 1));
	assert_false(log_limit_pass(&a, 0, 1));
	assert_true(log_limit_pass(&b, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_so_many_per_interval),
		cmocka_unit_test(test_refusals_do_not_prolong),
		cmocka_unit_test(test_causes_are_separate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
