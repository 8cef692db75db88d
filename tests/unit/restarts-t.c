/* Delays double within the window, up to the longest; too many deaths are enough; old ones do not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/supervisor/child.h"
#include "backend/supervisor/ending.h"
#include "backend/supervisor/restarts.h"

static const struct restarts_rules rules = {
	.delay_min_ms = 100, .delay_max_ms = 1000, .limit = 6, .window_ms = 60000};

static void expect(
	struct restarts *r, const struct restarts_rules *by, uint64_t now, uint32_t delay)
{
	uint32_t got = 77;

	assert_true(restarts_again(r, by, now, &got));
	assert_int_equal(got, delay);
}

static void test_doubles_and_ends(void **state)
{
	struct restarts r = {.n = 0};
	uint32_t untouched = 77;

	(void)state;
	expect(&r, &rules, 1000, 100);
	expect(&r, &rules, 1100, 200);
	expect(&r, &rules, 1300, 400);
	expect(&r, &rules, 1700, 800);
	expect(&r, &rules, 2500, 1000);
	assert_false(restarts_again(&r, &rules, 3500, &untouched));
	assert_int_equal(untouched, 77);
}

static void test_old_deaths_do_not_count(void **state)
{
	struct restarts r = {.n = 0};

	(void)state;
	expect(&r, &rules, 1000, 100);
	expect(&r, &rules, 2000, 200);
	expect(&r, &rules, 61000, 400); /* the first is 60 s old: still within */
	expect(&r, &rules, 62001, 200); /* only the third is */
	for (uint64_t now = 200000; now < 2000000; now += 60001)
		expect(&r, &rules, now, 100);
}

static void test_without_limit(void **state)
{
	struct restarts_rules endless = rules;
	struct restarts r = {.n = 0};
	uint32_t delay;

	(void)state;
	endless.limit = 0;
	for (uint64_t now = 0; now < 10 * RESTARTS_LIMIT_MAX; now++)
		assert_true(restarts_again(&r, &endless, now, &delay));
	assert_int_equal(delay, 1000);
	assert_int_equal(r.n, RESTARTS_LIMIT_MAX);
}

static void test_one_is_too_many(void **state)
{
	struct restarts_rules strict = rules;
	struct restarts r = {.n = 0};
	uint32_t delay;

	(void)state;
	strict.limit = 1;
	assert_false(restarts_again(&r, &strict, 5, &delay));
}

/* The exit codes of blkback-vbd(8). */
static void test_endings(void **state)
{
	static const enum disk_event of_code[] = {DISK_EV_ENDED, DISK_EV_FAILED, DISK_EV_HOPELESS,
		DISK_EV_FAILED, DISK_EV_FAILED, DISK_EV_HOPELESS, DISK_EV_FAILED, DISK_EV_ENDED,
		DISK_EV_HOPELESS, DISK_EV_FAILED};
	char text[80];

	(void)state;
	for (int code = 0; code < (int)(sizeof(of_code) / sizeof(of_code[0])); code++)
		assert_int_equal(ending_event(CHILD_EXITED, code, false), of_code[code]);
	assert_int_equal(ending_event(CHILD_KILLED, 9, true), DISK_EV_FAILED);
	assert_int_equal(ending_event(CHILD_KILLED, 11, false), DISK_EV_FAILED);
	assert_int_equal(ending_event(CHILD_KILLED, 15, false), DISK_EV_ENDED);
	assert_int_equal(ending_event(CHILD_UNKNOWN, 0, true), DISK_EV_ENDED);
	assert_int_equal(ending_event(CHILD_UNKNOWN, 0, false), DISK_EV_FAILED);
	ending_describe(CHILD_EXITED, 3, text, sizeof(text));
	assert_string_equal(text, "exited with code 3 (no such disk)");
	ending_describe(CHILD_EXITED, 99, text, sizeof(text));
	assert_string_equal(text, "exited with code 99 (unknown)");
	ending_describe(CHILD_KILLED, 9, text, sizeof(text));
	assert_string_equal(text, "was killed by signal 9 (Killed)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_and_ends),
		cmocka_unit_test(test_old_deaths_do_not_count),
		cmocka_unit_test(test_without_limit),
		cmocka_unit_test(test_one_is_too_many),
		cmocka_unit_test(test_endings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
