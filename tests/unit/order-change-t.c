/*
 * Changes (D7) and stops (D9) in every interleaving with up to 4 operations of all kinds, or of some: order-search.c.
 */
#include "tests/unit/order-world.h"

#include <errno.h>

static const struct plan plans[] = {
	{.name = "3 operations",
		.queues = 2,
		.ops = 3,
		.kinds = ALL,
		.changes = true,
		.named = true},
	{.name = "3 operations, latched",
		.queues = 2,
		.ops = 3,
		.kinds = ALL,
		.fault = -EIO,
		.changes = true,
		.named = true},
	/* A guest that was told of flushes and barriers, and then the disk began to write through. */
	{.name = "3 operations, write-through",
		.queues = 2,
		.ops = 3,
		.kinds = ORDERED,
		.write_through = true,
		.changes = true,
		.named = true},
	{.name = "4 operations of some kinds",
		.queues = 2,
		.ops = 4,
		.kinds = WRITES | KIND(ORDER_BARRIER) | KIND(READ),
		.changes = true,
		.named = true},
	{.name = "5 operations, all goes well",
		.queues = 2,
		.ops = 5,
		.kinds = WRITES | KIND(ORDER_BARRIER),
		.stays = true,
		.well = true,
		.changes = true,
		.named = true},
	{.name = "2 operations on 3 queues", .queues = 3, .ops = 2, .kinds = ALL, .changes = true},
	{.name = "3 operations on 3 queues, all goes well",
		.queues = 3,
		.ops = 3,
		.kinds = WRITES | KIND(ORDER_BARRIER) | KIND(READ),
		.stays = true,
		.well = true,
		.changes = true},
	{.name = "stops: 3 operations", .queues = 2, .ops = 3, .kinds = ALL, .stops = true},
	{.name = "stops: 4 operations of some kinds",
		.queues = 2,
		.ops = 4,
		.kinds = WRITES | KIND(ORDER_FLUSH_WRITE) | KIND(ORDER_BARRIER_WRITE),
		.stays = true,
		.stops = true},
	{.name = "stops: 3 operations on 3 queues",
		.queues = 3,
		.ops = 3,
		.kinds = WRITES | BARRIERS,
		.stays = true,
		.stops = true},
	{.name = "stops and changes: 3 operations",
		.queues = 2,
		.ops = 3,
		.kinds = ALL,
		.changes = true,
		.stops = true,
		.named = true},
};

int main(void)
{
	return search_main(plans, sizeof(plans) / sizeof(plans[0]));
}
