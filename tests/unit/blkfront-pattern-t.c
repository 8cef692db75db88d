/*
 * The test data of the simulated guest: a tagged pattern tells another place, another seed and a
 * single wrong byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "frontend-shim/clients/pattern.h"

static uint8_t data[8 * 512];

static void what_was_filled_compares_equal(void **state)
{
	static const struct blkfront_pattern patterns[] = {
		{false, 0}, {false, 0x5a}, {true, 0}, {true, UINT64_MAX}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		memset(data, 0xcc, sizeof(data));
		blkfront_pattern_fill(&patterns[i], 100, data, sizeof(data));
		assert_int_equal(blkfront_pattern_compare(&patterns[i], 100, data, sizeof(data)),
			sizeof(data));
		/* A part of it is what that part alone would be. */
		assert_int_equal(
			blkfront_pattern_compare(&patterns[i], 103, data + 3 * 512, 512), 512);
	}
}

static void another_place_or_seed_is_noticed(void **state)
{
	static const struct blkfront_pattern pattern = {true, 7}, other = {true, 8};

	(void)state;
	blkfront_pattern_fill(&pattern, 100, data, sizeof(data));
	assert_true(blkfront_pattern_compare(&pattern, 101, data, 512) < 8);
	assert_true(blkfront_pattern_compare(&other, 100, data, 512) < 8);
	assert_true(blkfront_pattern_compare(&pattern, 100, data + 512, 512) < 8);
}

static void every_wrong_byte_is_found(void **state)
{
	static const struct blkfront_pattern pattern = {true, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		blkfront_pattern_fill(&pattern, 0, data, sizeof(data));
		data[i] ^= 1;
		assert_int_equal(blkfront_pattern_compare(&pattern, 0, data, sizeof(data)), i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_filled_compares_equal),
		cmocka_unit_test(another_place_or_seed_is_noticed),
		cmocka_unit_test(every_wrong_byte_is_found),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
