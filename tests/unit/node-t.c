/* What node values are accepted: every boundary of every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "xenstore/node.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* No number of any type and range. */
static const char *const never_numbers[] = {"", " ", "-", "+", "-0", "-1", "+0", "+1", " 1", "1 ",
	"\t1", "1\n", "1\r\n", "\v1", "00", "01", "007", "0x10", "0X1", "x", "a", "1a", "a1", "1.0",
	"1e3", "1,000", "1_000", "0 0", "1 2", "1-2", "\xd9\xa1" /* a digit, but an Arabic one */,
	"\xff", "/", ":", "1:", "(null)", "inf", "nan",
	"99999999999999999999999999999999999999999999999999", "18446744073709551616",
	"18446744073709551620", "36893488147419103232", "184467440737095516150"};

static void test_never_numbers(void **state)
{
	uint32_t u32 = 77;
	uint64_t u64 = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(never_numbers); i++) {
		if (node_parse_u32(never_numbers[i], 0, UINT32_MAX, &u32) ||
			node_parse_u64(never_numbers[i], 0, UINT64_MAX, &u64))
			fail_msg("accepted \"%s\"", never_numbers[i]);
	}
	assert_int_equal(u32, 77);
	assert_int_equal(u64, 77);
}

static const struct {
	const char *text;
	uint64_t min, max;
	bool ok;
	uint64_t value;
} numbers[] = {
	{"0", 0, UINT64_MAX, true, 0}, {"1", 0, UINT64_MAX, true, 1}, {"9", 0, UINT64_MAX, true, 9},
	{"10", 0, UINT64_MAX, true, 10}, {"51712", 0, UINT32_MAX, true, 51712},
	{"4294967294", 0, UINT32_MAX, true, 4294967294},
	{"4294967295", 0, UINT32_MAX, true, UINT32_MAX}, {"4294967296", 0, UINT32_MAX, false, 0},
	{"4294967296", 0, UINT64_MAX, true, UINT64_C(4294967296)},
	{"4294967297", 0, UINT32_MAX, false, 0}, /* 1, if cut to 32 bits */
	{"18446744073709551614", 0, UINT64_MAX, true, UINT64_MAX - 1},
	{"18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX},
	{"18446744073709551615", 0, UINT64_MAX - 1, false, 0}, {"0", 1, 8, false, 0},
	{"1", 1, 8, true, 1}, {"8", 1, 8, true, 8}, {"9", 1, 8, false, 0}, {"3", 3, 3, true, 3},
	{"2", 3, 3, false, 0}, {"4", 3, 3, false, 0}, {"0", 0, 0, true, 0}, {"1", 0, 0, false, 0},
	{"5", 8, 1, false, 0}, /* an empty range */
};

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t u64 = 77;
		uint32_t u32 = 77;

		assert_int_equal(
			node_parse_u64(numbers[i].text, numbers[i].min, numbers[i].max, &u64),
			numbers[i].ok);
		assert_int_equal(u64, numbers[i].ok ? numbers[i].value : 77);
		if (numbers[i].max > UINT32_MAX)
			continue;
		assert_int_equal(node_parse_u32(numbers[i].text, (uint32_t)numbers[i].min,
					 (uint32_t)numbers[i].max, &u32),
			numbers[i].ok);
		assert_int_equal(u32, numbers[i].ok ? numbers[i].value : 77);
	}
}

static void test_bool(void **state)
{
	static const char *const bad[] = {"", "2", "00", "01", "10", "-1", "+1", " 1", "1 ", "1\n",
		"true", "false", "yes", "no", "on", "Y", "\xb1"};
	bool value = true;

	(void)state;
	assert_true(node_parse_bool("0", &value));
	assert_false(value);
	assert_true(node_parse_bool("1", &value));
	assert_true(value);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(node_parse_bool(bad[i], &value));
	assert_true(value);
}

/* Ids from 0x7FF0 on are reserved: "self", "any", "the console" and the like. */
static void test_domid(void **state)
{
	uint32_t domid = 77;

	(void)state;
	assert_true(node_parse_domid("0", &domid));
	assert_int_equal(domid, 0);
	assert_true(node_parse_domid("32751", &domid));
	assert_int_equal(domid, 32751);
	assert_false(node_parse_domid("32752", &domid));
	assert_false(node_parse_domid("65536", &domid));
	assert_false(node_parse_domid("4294967296", &domid));
	assert_false(node_parse_domid("-1", &domid));
	assert_int_equal(domid, 32751);
}

static void test_enum(void **state)
{
	static const char *const modes[] = {"none", NULL, "directsync", ""};
	static const char *const bad[] = {"", "None", "none ", "non", "nonee", "direct", " none"};
	unsigned index = 77;

	(void)state;
	assert_true(node_parse_enum("none", modes, 3, &index));
	assert_int_equal(index, 0);
	assert_true(node_parse_enum("directsync", modes, 3, &index));
	assert_int_equal(index, 2);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(node_parse_enum(bad[i], modes, 3, &index));
	assert_int_equal(index, 2);
	assert_true(node_parse_enum("", modes, 4, &index));
	assert_int_equal(index, 3);
	assert_false(node_parse_enum("none", modes, 0, &index));
}

static void test_string(void **state)
{
	(void)state;
	assert_true(node_string_ok("", 0, NULL));
	assert_true(node_string_ok("", 10, ""));
	assert_true(node_string_ok("/dev/vg/a b~", 12, NULL));
	assert_false(node_string_ok("/dev/vg/a b~", 11, NULL));
	assert_true(node_string_ok("x86_64-abi", 10, "abix_-0123456789"));
	assert_false(node_string_ok("x86_64-abI", 10, "abix_-0123456789"));
	assert_false(node_string_ok("a", 1, ""));
	assert_false(node_string_ok("a\n", 10, NULL));
	assert_false(node_string_ok("\x1b[2J", 10, NULL));
	assert_false(node_string_ok("\x1f", 10, NULL));
	assert_false(node_string_ok("\x7f", 10, NULL));
	assert_false(node_string_ok("\x80", 10, NULL));
	assert_false(node_string_ok("caf\xc3\xa9", 10, NULL));
	/* Not even if the caller's set names it. */
	assert_false(node_string_ok("a\n", 10, "a\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_numbers),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_domid),
		cmocka_unit_test(test_enum),
		cmocka_unit_test(test_string),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("node values", tests, NULL, NULL);
}
