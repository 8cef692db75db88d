/*
 * Barriers, flushes and the latch in every interleaving of up to 6 operations on 2 or 3 queues, against rules D2, D3 and D5. How:
 * order-search.c. Not all of 6 operations of any kind: they take most of a minute.
 */
#include "tests/unit/order-world.h"

#include <errno.h>

static const struct plan plans[] = {
	{.name = "1 operation in small steps", .queues = 2, .ops = 1, .kinds = ORDERED},
	{.name = "2 operations in small steps", .queues = 2, .ops = 2, .kinds = ORDERED},
	{.name = "3 operations in small steps", .queues = 2, .ops = 3, .kinds = ORDERED},
	{.name = "4 operations in small steps", .queues = 2, .ops = 4, .kinds = ORDERED},
	{.name = "3 operations on 3 queues", .queues = 3, .ops = 3, .kinds = ORDERED},
	{.name = "4 operations, latched", .queues = 2, .ops = 4, .kinds = ORDERED, .fault = -EIO},
	{.name = "4 operations, write-through",
		.queues = 2,
		.ops = 4,
		.kinds = WRITES,
		.write_through = true},
	{.name = "4 operations, flushes gather",
		.queues = 2,
		.ops = 4,
		.kinds = ORDERED,
		.gathers = true},
	{.name = "4 flushes on 3 queues gather",
		.queues = 3,
		.ops = 4,
		.kinds = FLUSHES | KIND(ORDER_BARRIER),
		.in_one = true,
		.gathers = true},
	{.name = "5 operations", .queues = 2, .ops = 5, .kinds = ORDERED, .in_one = true},
	{.name = "ORDER_OPS operations of some kinds",
		.queues = 2,
		.ops = OPS_MAX,
		.kinds = WRITES | KIND(ORDER_FLUSH) | KIND(ORDER_BARRIER_WRITE),
		.in_one = true},
};

int main(void)
{
	return search_main(plans, sizeof(plans) / sizeof(plans[0]));
}
