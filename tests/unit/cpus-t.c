/* Lists of processors: numbers and ranges with pluses between them, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/util/cpus.h"

/* The set as a list of single numbers. */
static const char *numbers(const cpu_set_t *set)
{
	static char text[256];
	size_t n = 0;

	text[0] = '\0';
	for (int i = 0; i < CPU_SETSIZE && n < sizeof(text); i++)
		if (CPU_ISSET(i, set))
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %d", i);
	return text;
}

static void test_lists(void **state)
{
	static const struct {
		const char *text, *numbers;
	} cases[] = {{"0", " 0"}, {"7", " 7"}, {"0-3", " 0 1 2 3"}, {"0-3+8", " 0 1 2 3 8"},
		{"8+1-2", " 1 2 8"}, {"2+2-3+2", " 2 3"}, {"5-5", " 5"}, {"1023", " 1023"},
		{"007", " 7"}};
	cpu_set_t set;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(cpus_parse(cases[i].text, &set));
		assert_string_equal(numbers(&set), cases[i].numbers);
	}
}

static void test_no_lists(void **state)
{
	static const char *const cases[] = {"", "-", "+", "a", "1-", "-1", "1+", "+1", "1++2",
		"3-1", "1-2-3", "1,2", " 1", "1 ", "1024", "0-1024", "99999999999999999999", "1-+2",
		"0x1", "all"};
	cpu_set_t set;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CPU_ZERO(&set);
		CPU_SET(77, &set);
		assert_false(cpus_parse(cases[i], &set));
		assert_string_equal(numbers(&set), " 77");
	}
}

static void test_usable(void **state)
{
	cpu_set_t own, other;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(own), &own), 0);
	assert_true(cpus_usable(&own));
	CPU_ZERO(&other);
	assert_false(cpus_usable(&other));
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (!CPU_ISSET(i, &own))
			CPU_SET(i, &other);
	assert_false(cpus_usable(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_no_lists),
		cmocka_unit_test(test_usable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
