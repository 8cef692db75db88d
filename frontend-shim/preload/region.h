/*
 * The address ranges a grant handle has mapped, so that an unmap finds what a map made. Not
 * thread-safe: the handle's lock is held. Remembers only; maps and unmaps nothing.
 */
#ifndef FRONTEND_SHIM_PRELOAD_REGION_H
#define FRONTEND_SHIM_PRELOAD_REGION_H

#include <stddef.h>
#include <stdint.h>

#define REGION_BUCKETS 1024u

struct region {
	struct region *next;
	void *start;
	uint32_t count; /* pages */
	uint64_t id;    /* xensimd's number of the map or share */
};

struct regions {
	struct region *buckets[REGION_BUCKETS];
};

/* 0 or -ENOMEM. */
int regions_add(struct regions *all, void *start, uint32_t count, uint64_t id)
	__attribute__((nonnull, warn_unused_result));

/* Forgets the region of exactly `count` pages at `start`. -EINVAL if there is none. */
int regions_take(struct regions *all, const void *start, uint32_t count, uint64_t *ret_id)
	__attribute__((nonnull, warn_unused_result));

/* Forgets all, unmapping each from this process if `unmap`. */
void regions_clear(struct regions *all, int unmap) __attribute__((nonnull));

#endif
