/*
 * Arithmetic on numbers that came from a guest. Any thread; pure.
 * Each returns false, and leaves *ret_x alone, when the true result does not fit.
 */
#ifndef RING_CHECKED_H
#define RING_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

__attribute__((nonnull, warn_unused_result)) static inline bool checked_add_u64(
	uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret_sum = sum;
	return true;
}

/* True when [@first, @first + @count) lies inside [0, @limit). */
static inline bool checked_range_u64(uint64_t first, uint64_t count, uint64_t limit)
{
	uint64_t end;

	return checked_add_u64(first, count, &end) && end <= limit;
}

#endif
