/*
 * Random numbers that a seed repeats on every machine.
 *
 * Any thread; plain data and pure functions (splitmix64).
 */
#ifndef TESTS_LIB_DICE_H
#define TESTS_LIB_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state; /* starts as the seed */
};

static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t x = dice->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* 0..@n-1; @n is not 0. */
static inline uint64_t dice_below(struct dice *dice, uint64_t n)
{
	return dice_roll(dice) % n;
}

/* @first..@last, both of them too. */
static inline unsigned dice_between(struct dice *dice, unsigned first, unsigned last)
{
	return first + (unsigned)dice_below(dice, (uint64_t)last - first + 1);
}

/* True once in @n times. */
static inline bool dice_one_in(struct dice *dice, unsigned n)
{
	return dice_below(dice, n) == 0;
}

#endif
