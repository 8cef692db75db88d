/*
 * The frontend's end of a blkif ring. For frontend-shim and tests; not part of anything installed.
 *
 * One thread at a time. The caller owns the pages. Deliberately able to put any bytes on the ring:
 * hostile tests use the same functions. Never logs, never blocks.
 */
#ifndef RING_FRONTRING_H
#define RING_FRONTRING_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/request.h"
#include "ring/wire.h"

struct frontring {
	struct wire_ring_header *shared;
	enum wire_abi abi;
	unsigned nr_slots;     /* power of two */
	uint32_t req_prod_pvt; /* private: next request to write */
	uint32_t req_prod_pub; /* private: what the last push published */
	uint32_t rsp_cons;     /* private: next response to read */
};

struct frontring_response {
	uint64_t id;
	uint8_t op;
	int16_t status;
	bool padding_is_zero; /* R13, for tests */
};

/* Zero the pages, write the header as Xen's SHARED_RING_INIT does and attach. */
void frontring_init(struct frontring *ring, enum wire_abi abi, void *shared, unsigned nr_pages)
	__attribute__((nonnull));

/* Requests that can be written before responses must be consumed. */
unsigned frontring_free(const struct frontring *ring) __attribute__((nonnull));

/* Copy one slot's bytes onto the ring, unpublished. The caller checked frontring_free(). */
void frontring_put(struct frontring *ring, const struct wire_slot *slot) __attribute__((nonnull));

/* Publish what was put. True when the backend asked to be notified. */
bool frontring_push(struct frontring *ring) __attribute__((nonnull, warn_unused_result));

/* False when the backend published more responses than there are requests (XSA-391). */
bool frontring_is_sane(const struct frontring *ring) __attribute__((nonnull));

/* Take the next response. False when there is none. */
bool frontring_get(struct frontring *ring, struct frontring_response *ret_rsp)
	__attribute__((nonnull, warn_unused_result));

/* Before sleeping: ask for an event with the next response. True when one is there already. */
bool frontring_final_check(struct frontring *ring) __attribute__((nonnull, warn_unused_result));

/*
 * The bytes of @req in @abi; op and segment count are written as they are, valid or not. The segments of
 * an indirect request are left to frontring_encode_page().
 */
void frontring_encode(enum wire_abi abi, const struct blk_request *req, struct wire_slot *ret_slot)
	__attribute__((nonnull));

/* Write @n segments, up to WIRE_SEGMENTS_PER_PAGE, to a page that an indirect request names. */
void frontring_encode_page(const struct blk_segment *seg, unsigned n, void *ret_page)
	__attribute__((nonnull));

#endif
