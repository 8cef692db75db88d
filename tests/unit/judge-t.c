/*
 * The judge of the order tests is right: it accepts what is allowed and names each broken promise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/lib/judge.h"

/* W: a write, arriving and done. S: an fdatasync. Q and A: asked, answered with success. */
#define W_(n, serial)                                                                              \
	"begin write " #n " 0 4096 " #serial "\n"                                                  \
	"end write " #n " 0\n"
#define S_(n)                                                                                      \
	"begin sync " #n "\n"                                                                      \
	"end sync " #n " 0\n"
#define S_BAD(n)                                                                                   \
	"begin sync " #n "\n"                                                                      \
	"end sync " #n " 5\n"
#define Q_(serial, kind)   "mark ask " #serial " " kind "\n"
#define A_(serial)         "mark answer " #serial " 0\n"
#define FAILED(serial, st) "mark answer " #serial " " #st "\n"
#define ASK_WBW            Q_(1, "write") Q_(2, "barrier-write") Q_(3, "write")
#define ASK_WEW            Q_(1, "write") Q_(2, "barrier") Q_(3, "write")

struct sample {
	const char *record;
	unsigned nr_broken;
};

static void judge_each(const struct sample *sample, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (judge(sample[i].record) != sample[i].nr_broken)
			fail_msg("sample %u: %u broken promises, not %u", i,
				judge(sample[i].record), sample[i].nr_broken);
}

static void test_writes(void **state)
{
	static const struct sample samples[] = {
		{"", 0},
		{Q_(1, "write") W_(1, 1) A_(1), 0},
		{Q_(1, "write") FAILED(1, -1), 0},
		/* never answered; answered twice; before it is written; never written; written twice */
		{Q_(1, "write") W_(1, 1), 1},
		{Q_(1, "write") W_(1, 1) A_(1) A_(1), 1},
		{Q_(1, "write") A_(1) W_(1, 1), 1},
		{Q_(1, "write") A_(1), 1},
		{Q_(1, "write") W_(1, 1) W_(2, 1) A_(1), 1},
		/* nobody's */
		{W_(1, 7), 1},
		{"nonsense\n", 1},
	};

	(void)state;
	judge_each(samples, sizeof(samples) / sizeof(samples[0]));
}

static void test_flushes(void **state)
{
	static const struct sample samples[] = {
		{Q_(1, "flush") S_(1) A_(1), 0},
		{Q_(1, "flush") Q_(2, "flush") S_(1) A_(1) A_(2), 0},
		{Q_(1, "flush-write") S_(1) W_(1, 1) A_(1), 0},
		/* without; too early; begun before; answered before it ended; failed */
		{Q_(1, "flush") A_(1), 1},
		{S_(1) Q_(1, "flush") A_(1), 1},
		{"begin sync 1\n" Q_(1, "flush") "end sync 1 0\n" A_(1), 1},
		{Q_(1, "flush") "begin sync 1\n" A_(1) "end sync 1 0\n", 1},
		{Q_(1, "flush") S_BAD(1) A_(1), 1},
		/* data before the fdatasync */
		{Q_(1, "flush-write") W_(1, 1) S_(1) A_(1), 1},
		/* two at once */
		{Q_(1, "flush") "begin sync 1\n" S_(2) "end sync 1 0\n" A_(1), 1},
	};

	(void)state;
	judge_each(samples, sizeof(samples) / sizeof(samples[0]));
}

static void test_barriers(void **state)
{
	static const struct sample samples[] = {
		{ASK_WBW W_(1, 1) A_(1) S_(1) W_(2, 2) S_(2) A_(2) W_(3, 3) A_(3), 0},
		{ASK_WEW W_(1, 1) A_(1) S_(1) W_(2, 3) A_(2) A_(3), 0},
		/* no fdatasync before the data; none after; a later write before the data, before the
		 * last fdatasync; answered too early */
		{ASK_WBW W_(1, 1) A_(1) W_(2, 2) S_(1) A_(2) W_(3, 3) A_(3), 1},
		{ASK_WBW W_(1, 1) A_(1) S_(1) W_(2, 2) A_(2) W_(3, 3) A_(3), 1},
		{ASK_WBW W_(1, 1) A_(1) S_(1) W_(2, 3) A_(3) W_(3, 2) S_(2) A_(2), 1},
		{ASK_WBW W_(1, 1) A_(1) S_(1) W_(2, 2) W_(3, 3) S_(2) A_(2) A_(3), 1},
		{ASK_WBW W_(1, 1) A_(1) S_(1) W_(2, 2) A_(2) S_(2) W_(3, 3) A_(3), 1},
		/* an earlier write after the data */
		{ASK_WBW S_(1) W_(1, 2) S_(2) A_(2) W_(2, 1) W_(3, 3) A_(1) A_(3), 1},
		/* empty: an earlier write after the fdatasync; a later one before it */
		{ASK_WEW S_(1) W_(1, 1) A_(1) A_(2) W_(2, 3) A_(3), 1},
		{ASK_WEW W_(1, 1) A_(1) W_(2, 3) S_(1) A_(2) A_(3), 1},
	};

	(void)state;
	judge_each(samples, sizeof(samples) / sizeof(samples[0]));
}

static void test_faults(void **state)
{
	static const struct sample samples[] = {
		{Q_(1, "flush") S_BAD(1) FAILED(1, -5) Q_(2, "write") FAILED(2, -1), 0},
		/* a later write works; a later flush does */
		{Q_(1, "flush") S_BAD(1) FAILED(1, -5) Q_(2, "write") W_(1, 2) A_(2), 2},
		{Q_(1, "flush") S_BAD(1) FAILED(1, -5) Q_(2, "flush") S_(2) A_(2), 1},
	};

	(void)state;
	judge_each(samples, sizeof(samples) / sizeof(samples[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_flushes),
		cmocka_unit_test(test_barriers),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
