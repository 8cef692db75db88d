/*
 * What a burst of requests has made memory of, or reserved from others, is given back when it is over.
 */
#include <sys/mman.h>

#include "backend/data/queue_impl.h"

bool trim_is_due(const struct queue *q)
{
	return (q->nr_touched > LIMIT_IDLE_KEEP || buffers_may_trim(&q->buffers) ||
		       guest_may_rest(&q->guest)) &&
	       queue_is_idle(q);
}

/* Of @n things at @table, page-aligned, give back what lies behind those that stay. */
static void give_back(void *table, size_t size_bytes, unsigned n)
{
	size_t mask = WIRE_PAGE_SIZE - 1;
	size_t keep = (LIMIT_IDLE_KEEP * size_bytes + mask) & ~mask;

	if (n * size_bytes > keep)
		(void)madvise((uint8_t *)table + keep, n * size_bytes - keep, MADV_DONTNEED);
}

void trim(struct queue *q)
{
	give_back(q->slot, sizeof(*q->slot), q->nr_slots);
	give_back(q->iov, sizeof(*q->iov), q->nr_slots);
	(void)madvise(q->descriptors, LIMIT_TAKE_PER_PASS * sizeof(*q->descriptors), MADV_DONTNEED);
	q->nr_touched = 0;
	/* So that those that stay are used again. */
	slots_free_all(q);
	buffers_trim(&q->buffers);
	guest_rest(&q->guest);
}

int trim_timeout_ms(const struct queue *q)
{
	int seconds = pcache_idle_in(&q->pcache);

	if (trim_is_due(q))
		return LIMIT_IDLE_MS;
	/* The clock of the pages has no fractions. */
	return seconds > 0 ? (seconds + 1) * 1000 : seconds;
}
