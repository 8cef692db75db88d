/*
 * How long things took: a histogram of 32 linear steps per power of two, 3 % wide at most.
 *
 * One thread at a time; plain data, zeroed to begin with. Never logs.
 */
#ifndef FRONTEND_SHIM_CLIENTS_LATENCIES_H
#define FRONTEND_SHIM_CLIENTS_LATENCIES_H

#include <stdint.h>

#define LATENCIES_STEPS   32u
#define LATENCIES_BUCKETS (64 * LATENCIES_STEPS)

struct latencies {
	uint64_t bucket[LATENCIES_BUCKETS];
	uint64_t count, max;
};

void latencies_add(struct latencies *latencies, uint64_t ns) __attribute__((nonnull));

/* What @other has counted, too. */
void latencies_merge(struct latencies *latencies, const struct latencies *other)
	__attribute__((nonnull));

/* The latency that @fraction of all do not exceed, in us; 0 without any. */
double latencies_percentile_us(const struct latencies *latencies, double fraction)
	__attribute__((nonnull));

#endif
