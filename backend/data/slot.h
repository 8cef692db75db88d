/*
 * A request that was taken from the ring and is not answered yet.
 *
 * Queue thread only. Plain data without pointers, in one array per queue, so that the table can
 * live in memory that outlives the process. The index of a slot names everything that belongs to
 * it: its iovecs, its I/O, its place in the ordering object.
 *
 *   FREE -> [INDIRECT ->] TAKEN -> [HELD | ORDERED] -> IO -> DONE -> FREE
 */
#ifndef BACKEND_DATA_SLOT_H
#define BACKEND_DATA_SLOT_H

#include <stdint.h>

#include "backend/data/buffers.h"
#include "backend/data/edges.h"
#include "backend/util/limits.h"
#include "ring/request.h"

enum slot_state {
	SLOT_FREE = 0,
	SLOT_INDIRECT, /* copied; its segments are still in the guest's pages */
	SLOT_TAKEN,   /* copied and checked; move_in() gets at its pages, or it waits for buffers */
	SLOT_HELD,    /* behind a closed gate */
	SLOT_ORDERED, /* the ordering object decides when */
	SLOT_IO,      /* the engine has it, or it waits for the blocks it writes */
	SLOT_KEPT,    /* the storage could not do it: until an operator says go on (D9) */
	SLOT_DONE,    /* status is final; the answer is written in this pass */
};

/* What of a write's blocks is being read before it can be written (D1). */
enum slot_edge {
	EDGE_NONE,
	EDGE_HEAD,
	EDGE_TAIL,
};

/* How the data gets between guest and storage. */
enum slot_way {
	SLOT_NO_DATA,
	SLOT_DIRECT, /* I/O on the guest's own pages, which stay mapped */
	SLOT_MAPPED, /* the same, mapped for this request */
	SLOT_COPY,   /* grant copy to and from buffers of ours */
};

struct slot {
	uint8_t state;
	uint8_t way;
	uint8_t ordered;    /* the ordering port counts it: order_port_done() is due */
	uint8_t refused;    /* a bad request, counted by its reason */
	uint8_t edge;       /* enum slot_edge */
	uint8_t has_range;  /* it has the blocks it writes to itself, or waits for them: disk.h */
	struct edges edges; /* zeros where it begins and ends with a block */
	int16_t status;     /* BLKIF_RSP_*, valid when DONE */
	uint16_t nr_chunks; /* COPY */
	uint16_t next;      /* IO: behind it in the same I/O, or SLOT_NONE */
	uint16_t chunk[BUFFERS_REQUEST_MAX];
	uint16_t page[LIMIT_SEGMENTS]; /* DIRECT: indexes in the persistent cache */
	uint64_t taken_ns;             /* CLOCK_MONOTONIC */
	uint64_t
		started_ns; /* ... when it was started, waiting for the blocks it writes included */
	struct blk_request req;
};

#define SLOT_NONE UINT16_MAX

static inline bool slot_needs_edges(const struct slot *slot)
{
	return slot->req.op != BLKIF_OP_READ && edges_any(slot->edges);
}

/* @next reads or writes what lies right behind what @slot does: one I/O may do both. */
static inline bool slot_continues(const struct slot *slot, const struct slot *next)
{
	return (next->req.op == BLKIF_OP_READ || next->req.op == BLKIF_OP_WRITE) &&
	       next->req.op == slot->req.op && !edges_any(slot->edges) && !edges_any(next->edges) &&
	       next->req.sector == slot->req.sector + slot->req.nr_sectors;
}

_Static_assert(LIMIT_SEGMENTS == BLK_SEGMENTS_MAX, "a slot holds every segment of a request");

#endif
