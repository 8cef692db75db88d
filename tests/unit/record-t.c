/*
 * What xentop reads, byte for byte: version 1, then the words in tapdisk's order; and several queues
 * and connections add up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/data/record.h"

/* Each word of the record, by its place, from counters that differ from each other. */
static void test_layout(void **state)
{
	const struct queue_stats stats = {
		.reads_taken = 11,
		.reads_answered = 12,
		.read_sectors = 13,
		.reads_ns = 14999,
		.writes_taken = 15,
		.writes_answered = 16,
		.write_sectors = 17,
		.writes_ns = 18000,
		.failed = 19,
	};
	const uint64_t words[] = {1, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0};
	struct record record = {.version = RECORD_VERSION}, told = {0};

	(void)state;
	assert_int_equal(sizeof(record), sizeof(words));
	record_add(&record, &told, &stats);
	assert_memory_equal(&record, words, sizeof(words));
}

/* Two queues take turns; the second leaves, and a new one starts from nothing. */
static void test_adds_up(void **state)
{
	struct record record = {.version = RECORD_VERSION};
	struct record told[3] = {0};
	struct queue_stats a = {.reads_taken = 5, .reads_ns = 1500};
	struct queue_stats b = {.reads_taken = 7};
	struct queue_stats c = {.reads_taken = 1};

	(void)state;
	record_add(&record, &told[0], &a);
	record_add(&record, &told[1], &b);
	record_add(&record, &told[0], &a);
	assert_int_equal(record.reads_taken, 12);
	a.reads_taken = 6;
	a.reads_ns = 2400;
	record_add(&record, &told[0], &a);
	record_add(&record, &told[2], &c);
	assert_int_equal(record.reads_taken, 14);
	assert_int_equal(record.reads_us, 2);
	assert_int_equal(record.writes_taken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
