/*
 * Who may write where: two writes never have a block together if one of them writes a part of one; who asked first goes first;
 * nobody is forgotten. Chosen cases, and many at random against the rule itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/data/ranges.h"

static struct ranges ranges;

static int set_up(void **state)
{
	(void)state;
	ranges_init(&ranges);
	return 0;
}

static unsigned next_of(unsigned queue)
{
	unsigned slot;

	return ranges_next(&ranges, queue, &slot) ? slot : UINT32_MAX;
}

static void test_whole_blocks_do_not_wait(void **state)
{
	(void)state;
	assert_true(ranges_take(&ranges, 0, 0, 0, 10, false));
	assert_true(ranges_take(&ranges, 1, 0, 5, 20, false));
	assert_int_equal(ranges_release(&ranges, 0, 0), 0);
	assert_int_equal(ranges_release(&ranges, 1, 0), 0);
	assert_int_equal(ranges.n, 0);
}

static void test_parts_wait(void **state)
{
	(void)state;
	assert_true(ranges_take(&ranges, 0, 3, 7, 8, true));
	assert_true(ranges_take(&ranges, 0, 4, 6, 6, true));
	assert_true(ranges_take(&ranges, 0, 5, 9, 9, true));
	assert_false(ranges_take(&ranges, 2, 6, 8, 8, true));
	assert_int_equal(next_of(2), UINT32_MAX);
	assert_int_equal(ranges_release(&ranges, 0, 4), 0);
	assert_int_equal(ranges_release(&ranges, 0, 3), 1u << 2);
	assert_int_equal(next_of(0), UINT32_MAX);
	assert_int_equal(next_of(2), 6);
	assert_int_equal(next_of(2), UINT32_MAX);
}

/* Both ways: what is written back was read before the other one wrote. */
static void test_a_part_and_the_whole(void **state)
{
	(void)state;
	assert_true(ranges_take(&ranges, 0, 0, 5, 5, false));
	assert_false(ranges_take(&ranges, 0, 1, 5, 5, true));
	assert_false(ranges_take(&ranges, 0, 2, 4, 6, false));
	assert_int_equal(ranges_release(&ranges, 0, 0), 1);
	assert_int_equal(next_of(0), 1);
	assert_int_equal(next_of(0), UINT32_MAX);
	assert_int_equal(ranges_release(&ranges, 0, 1), 1);
	assert_int_equal(next_of(0), 2);
}

/* Behind one who waits, one waits, too: nobody is overtaken for ever. */
static void test_first_come(void **state)
{
	(void)state;
	assert_true(ranges_take(&ranges, 0, 0, 0, 0, true));
	assert_false(ranges_take(&ranges, 1, 0, 0, 9, true));
	assert_false(ranges_take(&ranges, 0, 1, 9, 9, true));
	assert_int_equal(ranges_release(&ranges, 0, 0), 1u << 1);
	assert_int_equal(next_of(1), 0);
	assert_int_equal(ranges_release(&ranges, 1, 0), 1u << 0);
	assert_int_equal(next_of(0), 1);
}

/* ---- at random ---- */

#define NR_QUEUES 3u
#define NR_SLOTS  8u

struct write {
	bool asked, writing, partial;
	uint64_t first, last;
	unsigned turn;
};

static bool share(const struct write *a, const struct write *b)
{
	return (a->partial || b->partial) && a->first <= b->last && b->first <= a->last;
}

/* The rule: who writes shares with nobody who writes, and who waits does so for someone who asked before. */
static void check_rule(struct write all[NR_QUEUES][NR_SLOTS])
{
	struct write *w = &all[0][0];

	for (unsigned i = 0; i < NR_QUEUES * NR_SLOTS; i++) {
		bool has_reason = false;

		if (!w[i].asked)
			continue;
		for (unsigned j = 0; j < NR_QUEUES * NR_SLOTS; j++) {
			if (j == i || !w[j].asked || !share(&w[i], &w[j]))
				continue;
			assert_false(w[i].writing && w[j].writing);
			has_reason |= w[j].turn < w[i].turn;
		}
		assert_true(w[i].writing != has_reason);
	}
}

static void test_random(void **state)
{
	struct write all[NR_QUEUES][NR_SLOTS] = {0};
	unsigned turn = 0, seed = 1;

	(void)state;
	for (unsigned step = 0; step < 100000; step++) {
		unsigned q = (unsigned)rand_r(&seed) % NR_QUEUES,
			 s = (unsigned)rand_r(&seed) % NR_SLOTS;
		struct write *w = &all[q][s];

		if (!w->asked) {
			w->first = (unsigned)rand_r(&seed) % 12;
			w->last = w->first + (unsigned)rand_r(&seed) % 3;
			w->partial = rand_r(&seed) & 1;
			w->asked = true;
			w->turn = ++turn;
			w->writing = ranges_take(&ranges, q, s, w->first, w->last, w->partial);
		} else if (w->writing) {
			unsigned queues = ranges_release(&ranges, q, s), slot;

			w->asked = false;
			w->writing = false;
			for (unsigned k = 0; k < NR_QUEUES; k++) {
				unsigned n = 0;

				for (; ranges_next(&ranges, k, &slot); n++)
					all[k][slot].writing = true;
				assert_int_equal(n > 0, (queues >> k) & 1);
			}
		}
		check_rule(all);
	}
}

#define RANGES_TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RANGES_TEST(test_whole_blocks_do_not_wait),
		RANGES_TEST(test_parts_wait),
		RANGES_TEST(test_a_part_and_the_whole),
		RANGES_TEST(test_first_come),
		RANGES_TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
