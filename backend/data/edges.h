/*
 * Where a request ends in the middle of a block, on storage whose blocks are larger than a guest's sectors (D1).
 *
 * Queue thread; pure. The I/O is made larger, to whole blocks: *head* bytes before the request's data and *tail* bytes behind
 * them. Of a write these are read first: edge by edge, into memory beside its own.
 */
#ifndef BACKEND_DATA_EDGES_H
#define BACKEND_DATA_EDGES_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/wire.h"

struct edges {
	uint16_t head_bytes;
	uint16_t tail_bytes;
};

/* @unit bytes, a power of two, 512 to 4096. */
static inline struct edges edges_of(uint64_t sector, uint64_t nr_sectors, unsigned unit)
{
	uint64_t first = sector << WIRE_SECTOR_SHIFT, end = (sector + nr_sectors)
							    << WIRE_SECTOR_SHIFT;

	return (struct edges){.head_bytes = (uint16_t)(first & (unit - 1)),
		.tail_bytes = (uint16_t)(-end & (unit - 1))};
}

static inline bool edges_any(struct edges edges)
{
	return edges.head_bytes > 0 || edges.tail_bytes > 0;
}

#endif
