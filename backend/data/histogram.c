#include "backend/data/histogram.h"

void histogram_add(struct histogram *sum, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->count[i] += __atomic_load_n(&from->count[i], __ATOMIC_RELAXED);
}

uint64_t histogram_total(const struct histogram *histogram)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += histogram->count[i];
	return total;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned permille)
{
	uint64_t total = histogram_total(histogram), seen = 0;
	/* Rounded up: of one, the median is that one. Counts do not come near 2^64 / 1000. */
	uint64_t wanted = (total * permille + 999) / 1000;

	if (total == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->count[i];
		if (seen >= wanted && histogram->count[i] > 0)
			return histogram_limit(i);
	}
	return UINT64_MAX;
}
