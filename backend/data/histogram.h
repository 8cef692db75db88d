/*
 * How long things took, counted in buckets: four to each doubling, from 1 us to 36 minutes, so that each time is known to a
 * fifth. Any thread; one thread adds, anyone reads at any time.
 */
#ifndef BACKEND_DATA_HISTOGRAM_H
#define BACKEND_DATA_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 126u

/* Bucket 0 has what took less than 2^10 ns, the last what took longer than all others. */
struct histogram {
	uint64_t count[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
	unsigned doubling, bucket;

	if (ns < 1u << 10)
		return 0;
	doubling = 63 - (unsigned)__builtin_clzll(ns);
	bucket = 1 + (doubling - 10) * 4 + (unsigned)(ns >> (doubling - 2) & 3);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* All in @bucket took less, in ns. Of the last nothing is known: UINT64_MAX. */
static inline uint64_t histogram_limit(unsigned bucket)
{
	unsigned doubling = 10 + (bucket - 1) / 4;

	if (bucket == 0)
		return 1u << 10;
	if (bucket >= HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	return (uint64_t)(4 + (bucket - 1) % 4 + 1) << (doubling - 2);
}

/* The one thread. */
static inline void histogram_count(struct histogram *histogram, uint64_t ns)
{
	uint64_t *count = &histogram->count[histogram_bucket(ns)];

	__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* Add what @from has counted so far to @sum, which is the caller's own. */
void histogram_add(struct histogram *sum, const struct histogram *from) __attribute__((nonnull));

uint64_t histogram_total(const struct histogram *histogram) __attribute__((nonnull));

/* So many ns took @permille of all at most, to a fifth. 0 when there are none, UINT64_MAX when it is not known. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned permille)
	__attribute__((nonnull));

#endif
