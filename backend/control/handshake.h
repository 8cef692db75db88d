/*
 * What the frontend wrote for us to connect: its protocol keys, and nothing else of its directory.
 *
 * Control thread only. A guest wrote every value here: each is parsed strictly and has a range, and
 * a wrong one names the node, the value and what would be right. Never logs. Source: blkif.h.
 */
#ifndef BACKEND_CONTROL_HANDSHAKE_H
#define BACKEND_CONTROL_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/limits.h"
#include "backend/util/problem.h"

struct store;

struct handshake_queue {
	uint32_t ring_ref[1u << LIMIT_RING_ORDER]; /* as many as a ring has pages, then 0 */
	uint32_t event_channel;
};

/* Comparable with memcmp: no padding is left unset. */
struct handshake {
	uint32_t nr_ring_pages;
	uint32_t abi; /* enum wire_abi */
	uint32_t persistent;
	uint32_t nr_queues;
	struct handshake_queue queue[LIMIT_QUEUES]; /* nr_queues, then 0 */
};

/*
 * Read the keys below @frontend, of @max_queues queues at most. Returns 0; -EPROTO with a sentence when they are malformed, out of
 * range, missing, or ask for what was not offered; -errno when the store could not be read.
 */
int handshake_read(struct store *store, const char *frontend, unsigned max_queues,
	struct handshake *ret_keys, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* The name of the layout, as the `protocol` node has it. */
const char *handshake_protocol(const struct handshake *keys) __attribute__((nonnull));

bool handshake_same(const struct handshake *a, const struct handshake *b) __attribute__((nonnull));

#endif
