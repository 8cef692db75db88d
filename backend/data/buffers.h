/*
 * The memory that data copied from and to a guest pass through, in chunks of the largest direct request's size.
 *
 * Thread: as struct guest, one for each queue. All of it is address space from the beginning and becomes memory when it is
 * used; buffers_trim() gives that back. Whoever finds no chunks free waits for those of others.
 */
#ifndef BACKEND_DATA_BUFFERS_H
#define BACKEND_DATA_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/limits.h"
#include "ring/wire.h"

#define BUFFERS_CHUNK (WIRE_SEGMENTS_MAX * WIRE_PAGE_SIZE)

/* What the largest request takes: its data, to whole blocks of the storage; and as a write two of these once more (D1). */
#define BUFFERS_REQUEST_MAX (((LIMIT_SEGMENTS + 1) * WIRE_PAGE_SIZE - 1) / BUFFERS_CHUNK + 1 + 1)

_Static_assert(BUFFERS_REQUEST_MAX <= LIMIT_COPY_CHUNKS, "the largest request can be served");

struct buffers {
	uint8_t *memory;
	unsigned nr_touched; /* since the last trim, of the first so many chunks some were used */
	unsigned nr_free;
	uint16_t free[LIMIT_COPY_CHUNKS]; /* a stack: what was used last is used first */
};

/* -ENOMEM. */
int buffers_init(struct buffers *buffers) __attribute__((nonnull, warn_unused_result));

/* May be called twice, and after buffers_init() has failed, or on zeros. */
void buffers_fini(struct buffers *buffers) __attribute__((nonnull));

/* @n chunks, up to BUFFERS_REQUEST_MAX; or false and none. */
bool buffers_get(struct buffers *buffers, unsigned n, uint16_t *ret_chunks)
	__attribute__((nonnull, warn_unused_result));

/* Undo one buffers_get(). */
void buffers_put(struct buffers *buffers, const uint16_t *chunks, unsigned n)
	__attribute__((nonnull));

/* BUFFERS_CHUNK bytes, page-aligned. */
static inline uint8_t *buffers_chunk(const struct buffers *buffers, uint16_t chunk)
{
	return buffers->memory + (size_t)chunk * BUFFERS_CHUNK;
}

/* More than LIMIT_IDLE_KEEP may be memory. When nobody has any, buffers_trim() changes that. */
bool buffers_may_trim(const struct buffers *buffers) __attribute__((nonnull));
void buffers_trim(struct buffers *buffers) __attribute__((nonnull));

#endif
