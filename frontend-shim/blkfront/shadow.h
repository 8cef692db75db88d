/*
 * The requests a frontend has on the ring, by id: what Linux's blkfront calls its shadow.
 *
 * One thread at a time. Pure: no Xen library, no shared memory. A response is believed only if an
 * entry expects exactly it; ids carry a generation, so a response sent twice is noticed even when
 * its slot has been used again.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_SHADOW_H
#define FRONTEND_SHIM_BLKFRONT_SHADOW_H

#include <stdint.h>

struct blkfront_request;

struct blkfront_shadow_entry {
	struct blkfront_request *req; /* NULL: free */
	uint64_t id;
	uint8_t op;
};

struct blkfront_shadow {
	struct blkfront_shadow_entry *entry;
	unsigned *free; /* a stack of indexes */
	unsigned nr_slots, nr_free;
	uint32_t generation;
};

/* For @nr_slots requests at a time, a power of two. -ENOMEM. */
int blkfront_shadow_init(struct blkfront_shadow *shadow, unsigned nr_slots)
	__attribute__((nonnull, warn_unused_result));
void blkfront_shadow_fini(struct blkfront_shadow *shadow) __attribute__((nonnull));

/* Expect a response for @req and make up its id. The caller knows that an entry is free. */
uint64_t blkfront_shadow_add(struct blkfront_shadow *shadow, struct blkfront_request *req,
	uint8_t op) __attribute__((nonnull));

/* The same with an id of the caller's making, which need not be unique. */
void blkfront_shadow_add_foreign(struct blkfront_shadow *shadow, struct blkfront_request *req,
	uint8_t op, uint64_t id) __attribute__((nonnull));

/*
 * Who waits for this response? Forgets the entry. -ENOENT: nobody does; -EPROTO: somebody does, but
 * asked for another operation.
 */
int blkfront_shadow_match(struct blkfront_shadow *shadow, uint64_t id, uint8_t op,
	struct blkfront_request **ret_req) __attribute__((nonnull, warn_unused_result));

/* Forget any one entry and return its request; NULL when there are no more. */
struct blkfront_request *blkfront_shadow_pop(struct blkfront_shadow *shadow)
	__attribute__((nonnull));

static inline unsigned blkfront_shadow_outstanding(const struct blkfront_shadow *shadow)
{
	return shadow->nr_slots - shadow->nr_free;
}

#endif
