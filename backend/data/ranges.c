#include "backend/data/ranges.h"

#include <assert.h>
#include <string.h>

void ranges_init(struct ranges *ranges)
{
	ranges->n = 0;
	ranges->nr_partial = 0;
}

static bool collide(const struct range *a, const struct range *b)
{
	return (a->partial || b->partial) && a->first <= b->last && b->first <= a->last;
}

/* Does the @i-th have to wait for one that asked before? */
static bool must_wait(const struct ranges *ranges, unsigned i)
{
	if (ranges->nr_partial == 0)
		return false;
	for (unsigned j = 0; j < i; j++)
		if (collide(&ranges->range[j], &ranges->range[i]))
			return true;
	return false;
}

bool ranges_take(struct ranges *ranges, unsigned queue, unsigned slot, uint64_t first,
	uint64_t last, bool partial)
{
	struct range *range = &ranges->range[ranges->n];

	assert(ranges->n < RANGES_MAX);
	*range = (struct range){.first = first,
		.last = last,
		.slot = (uint16_t)slot,
		.queue = (uint8_t)queue,
		.partial = partial};
	ranges->nr_partial += partial;
	range->waits = must_wait(ranges, ranges->n);
	ranges->n++;
	return !range->waits;
}

static unsigned find(const struct ranges *ranges, unsigned queue, unsigned slot)
{
	unsigned i = 0;

	while (i < ranges->n && (ranges->range[i].queue != queue || ranges->range[i].slot != slot))
		i++;
	assert(i < ranges->n);
	return i;
}

unsigned ranges_release(struct ranges *ranges, unsigned queue, unsigned slot)
{
	unsigned i = find(ranges, queue, slot), queues = 0;
	struct range gone = ranges->range[i];

	ranges->nr_partial -= gone.partial;
	ranges->n--;
	memmove(&ranges->range[i], &ranges->range[i + 1],
		(ranges->n - i) * sizeof(ranges->range[0]));
	for (; i < ranges->n; i++) {
		struct range *range = &ranges->range[i];

		/* Only who waited for this one can be free now. */
		if (!range->waits || !collide(&gone, range) || must_wait(ranges, i))
			continue;
		range->waits = false;
		range->granted = true;
		queues |= 1u << range->queue;
	}
	return queues;
}

bool ranges_next(struct ranges *ranges, unsigned queue, unsigned *ret_slot)
{
	for (unsigned i = 0; i < ranges->n; i++) {
		struct range *range = &ranges->range[i];

		if (range->queue != queue || !range->granted)
			continue;
		range->granted = false;
		*ret_slot = range->slot;
		return true;
	}
	return false;
}
