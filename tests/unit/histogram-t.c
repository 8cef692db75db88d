/*
 * Histograms of times: every time has its bucket, none is further off than a fifth, quantiles are those of a sorted list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend/data/histogram.h"

/* The buckets follow each other without a gap: a bucket's limit is the first time of the next. */
static void test_no_gaps(void **state)
{
	(void)state;
	assert_int_equal(histogram_bucket(0), 0);
	for (unsigned i = 0; i + 2 < HISTOGRAM_BUCKETS; i++) {
		assert_int_equal(histogram_bucket(histogram_limit(i) - 1), i);
		assert_int_equal(histogram_bucket(histogram_limit(i)), i + 1);
		assert_true(histogram_limit(i) < histogram_limit(i + 1));
	}
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	assert_true(histogram_limit(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
	/* More than half an hour is told apart. */
	assert_true(histogram_limit(HISTOGRAM_BUCKETS - 2) > 30ull * 60 * 1000000000);
}

static void test_to_a_fifth(void **state)
{
	(void)state;
	for (uint64_t ns = 1024; ns < 30ull * 60 * 1000000000; ns += ns / 1000 + 1) {
		uint64_t limit = histogram_limit(histogram_bucket(ns));

		assert_true(ns < limit && limit - ns <= ns / 4 + 1);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void test_quantiles(void **state)
{
	static const unsigned permilles[] = {0, 1, 500, 900, 990, 999, 1000};
	static uint64_t ns[5000];
	struct histogram histogram = {0};
	uint64_t random = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		ns[i] = random >> (24 + random % 30);
		histogram_count(&histogram, ns[i]);
	}
	qsort(ns, 5000, sizeof(ns[0]), compare);
	assert_int_equal(histogram_total(&histogram), 5000);
	for (unsigned i = 0; i < 7; i++) {
		unsigned rank = (5000 * permilles[i] + 999) / 1000;
		uint64_t exact = ns[rank ? rank - 1 : 0];

		assert_true(histogram_quantile(&histogram, permilles[i]) ==
			    histogram_limit(histogram_bucket(exact)));
	}
}

static void test_few(void **state)
{
	struct histogram one = {0}, sum = {0};

	(void)state;
	assert_true(histogram_quantile(&one, 500) == 0);
	histogram_count(&one, 5000);
	assert_true(histogram_quantile(&one, 0) == histogram_limit(histogram_bucket(5000)));
	assert_true(histogram_quantile(&one, 999) == histogram_limit(histogram_bucket(5000)));
	histogram_add(&sum, &one);
	histogram_add(&sum, &one);
	assert_int_equal(histogram_total(&sum), 2);
	assert_int_equal(histogram_total(&one), 1);
	histogram_count(&sum, UINT64_MAX);
	assert_true(histogram_quantile(&sum, 1000) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_gaps),
		cmocka_unit_test(test_to_a_fifth),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_few),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
