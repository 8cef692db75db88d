/*
 * The backend's end of a blkif ring.
 *
 * One thread at a time (the queue thread while a queue runs). Owns no memory: the caller maps the
 * pages and keeps them mapped. This is the only shipped file that dereferences shared pages: a slot
 * is copied out exactly once and a response is written exactly once. Never logs, never blocks.
 *
 *            req_cons            req_prod (guest)
 *               v                   v
 *   ---+--------+---------+---------+----   requests:  taken | waiting | free
 *      ^                                    responses: rsp_prod_pvt written, rsp_prod published
 *
 * Rules R4, R6, R13, R15-R18 of PROTOCOL.md; Xen's ring.h.
 */
#ifndef RING_BACKRING_H
#define RING_BACKRING_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/wire.h"

struct backring {
	struct wire_ring_header *shared; /* hostile: may change at any time */
	enum wire_abi abi;
	unsigned nr_slots;     /* power of two */
	uint32_t req_cons;     /* private: next request to take */
	uint32_t rsp_prod_pvt; /* private: next response to write */
	uint32_t rsp_prod_pub; /* private: what the last push published */
	bool broken;           /* the guest overran the ring: never touched again (R16) */
};

/* Attach to @shared, @nr_pages contiguous pages, at the beginning of both index spaces. */
void backring_init(struct backring *ring, enum wire_abi abi, void *shared, unsigned nr_pages)
	__attribute__((nonnull));

/*
 * False when responses were published on this ring before: it belongs to a connection that somebody
 * else served, and taking its requests again would repeat writes the guest has forgotten (R15).
 */
bool backring_is_fresh(const struct backring *ring) __attribute__((nonnull, warn_unused_result));

/*
 * Look at the producer index once and return how many requests may be taken: at most the free
 * capacity. Sets @ring->broken and returns 0 when the index is impossible (R16).
 */
unsigned backring_available(struct backring *ring) __attribute__((nonnull, warn_unused_result));

/*
 * Copy the next request into @ret_slot: the one and only read of that slot (R6). May be called as
 * often as the last backring_available() said.
 */
void backring_take(struct backring *ring, struct wire_slot *ret_slot) __attribute__((nonnull));

/*
 * Write one response with zeroed padding (R13) at the private producer index. Every taken request
 * gets exactly one; the caller counts. Ignored on a broken ring.
 */
void backring_respond(struct backring *ring, uint64_t id, uint8_t op, int16_t status)
	__attribute__((nonnull));

/*
 * Publish all responses written since the last push. Returns true when the frontend asked to be
 * notified about one of them (R17).
 */
bool backring_push(struct backring *ring) __attribute__((nonnull, warn_unused_result));

/*
 * Before sleeping: ask for an event with the next request, then look once more (R18). True when a
 * request came in between and must be taken now.
 */
bool backring_final_check(struct backring *ring) __attribute__((nonnull, warn_unused_result));

/*
 * Awake again, and not by a request: the event that the last final check has asked for is not needed any more. Until the next one there are
 * no events, so there has to be one before sleeping (R18).
 */
void backring_withdraw(struct backring *ring) __attribute__((nonnull));

/* There is one to be taken, or the index is impossible: for who looks again and again, without the barrier. */
bool backring_has_requests(const struct backring *ring) __attribute__((nonnull));

/* Requests taken and not yet answered. */
static inline unsigned backring_outstanding(const struct backring *ring)
{
	return ring->req_cons - ring->rsp_prod_pvt;
}

#endif
