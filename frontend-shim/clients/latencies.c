#include "frontend-shim/clients/latencies.h"

#define STEPS LATENCIES_STEPS

static unsigned bucket_of(uint64_t value)
{
	unsigned power;

	if (value < STEPS)
		return (unsigned)value;
	power = 63u - (unsigned)__builtin_clzll(value);
	return (power - 4) * STEPS + (unsigned)(value >> (power - 5)) % STEPS;
}

/* The largest value that falls into @bucket. */
static uint64_t bucket_top(unsigned bucket)
{
	unsigned power = bucket / STEPS + 4;

	if (bucket < STEPS)
		return bucket;
	return ((uint64_t)(STEPS + bucket % STEPS + 1) << (power - 5)) - 1;
}

void latencies_add(struct latencies *latencies, uint64_t ns)
{
	latencies->bucket[bucket_of(ns)]++;
	latencies->count++;
	if (ns > latencies->max)
		latencies->max = ns;
}

void latencies_merge(struct latencies *latencies, const struct latencies *other)
{
	for (unsigned i = 0; i < LATENCIES_BUCKETS; i++)
		latencies->bucket[i] += other->bucket[i];
	latencies->count += other->count;
	if (other->max > latencies->max)
		latencies->max = other->max;
}

double latencies_percentile_us(const struct latencies *latencies, double fraction)
{
	uint64_t rank = (uint64_t)((double)latencies->count * fraction);
	uint64_t seen = 0;

	for (unsigned i = 0; i < LATENCIES_BUCKETS; i++) {
		seen += latencies->bucket[i];
		if (seen > rank) {
			uint64_t top = bucket_top(i);

			return (double)(top < latencies->max ? top : latencies->max) / 1000;
		}
	}
	return (double)latencies->max / 1000;
}
