/*
 * Who may write where, on storage whose blocks are larger than a guest's sectors: a part of a block is written by reading the
 * block, changing it and writing it back, and whoever else writes there meanwhile would be undone.
 *
 * Pure: no locks, no I/O. A write asks for the blocks it touches. A *partial* one gets them when no write that asked before
 * has any of them; one of whole blocks waits for partial ones only. Who asked first goes first, so nobody waits for ever: writes
 * wait for earlier ones only.
 */
#ifndef BACKEND_DATA_RANGES_H
#define BACKEND_DATA_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/limits.h"

/* Every write there can be. */
#define RANGES_MAX (LIMIT_QUEUES * LIMIT_SLOTS)

struct range {
	uint64_t first; /* blocks */
	uint64_t last;  /* inclusive */
	uint16_t slot;
	uint8_t queue;
	bool partial;
	bool waits;
	bool granted; /* ... no more, but its queue has not been told yet */
};

struct ranges {
	unsigned n;
	unsigned nr_partial;
	struct range range[RANGES_MAX]; /* as they asked */
};

void ranges_init(struct ranges *ranges) __attribute__((nonnull));

/* @slot of @queue asks for the blocks from @first to @last. False: it has to wait until ranges_next() names it. */
bool ranges_take(struct ranges *ranges, unsigned queue, unsigned slot, uint64_t first,
	uint64_t last, bool partial) __attribute__((nonnull, warn_unused_result));

/* It has written. Returns the queues, as bits, for which ranges_next() has something. */
unsigned ranges_release(struct ranges *ranges, unsigned queue, unsigned slot)
	__attribute__((nonnull, warn_unused_result));

/* A slot of @queue that has waited and may go on. Each is named once. */
bool ranges_next(struct ranges *ranges, unsigned queue, unsigned *ret_slot)
	__attribute__((nonnull, warn_unused_result));

#endif
