/*
 * Persistent grants: pages the frontend promised to use again, kept mapped.
 *
 * Thread: as struct guest, one cache per queue. A page is found by its grant reference; while a
 * request uses it, it is pinned. The cache has room for so many pages: when it is full, or no more pages may be mapped at
 * all, the page unused for the longest time is unmapped, if that is LIMIT_GRANT_EVICT_S at least: of pages that come and go faster,
 * mapping costs more than copying does, and it is a system call for each. When all are pinned or too young, or the guest's
 * grant does not allow it, the caller copies instead. Pages unused for LIMIT_GRANT_IDLE_S are let go in any case, so that
 * the guest gets them back.
 * Source: blkif.h, feature-persistent.
 */
#ifndef BACKEND_DATA_PCACHE_H
#define BACKEND_DATA_PCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/limits.h"

struct guest;

#define PCACHE_NONE UINT16_MAX

_Static_assert((uint64_t)LIMIT_SLOTS *LIMIT_SEGMENTS <= UINT32_MAX, "pins can be counted");
_Static_assert(LIMIT_PERSISTENT_GRANTS < PCACHE_NONE, "every page has a number");

struct pcache_page {
	uint32_t ref;
	uint32_t pins;  /* one request may name a page as often as it has segments */
	uint16_t chain; /* next in the bucket, or next free */
	uint16_t newer; /* LRU list of unpinned pages */
	uint16_t older;
	uint32_t used_s; /* when it was unpinned */
	void *address;
};

struct pcache {
	struct guest *guest;
	uint32_t now_s; /* the owner says so: CLOCK_MONOTONIC, as of the last time it looked */
	unsigned max_pages;
	uint16_t nr_pages;
	uint16_t nr_pinned;
	uint16_t nr_used; /* places that ever had a page: the others are no memory yet */
	uint16_t free;    /* of them, those that have none now */
	uint16_t newest;
	uint16_t oldest;
	unsigned bucket_shift; /* from the hash to its bucket */
	uint16_t *bucket;
	struct pcache_page *page;
};

/* Empty, for @max_pages pages, 0 up to LIMIT_PERSISTENT_GRANTS. @guest stays open until pcache_fini(). -ENOMEM. */
int pcache_init(struct pcache *cache, struct guest *guest, unsigned max_pages)
	__attribute__((nonnull, warn_unused_result));

/* Unmap everything. No page may be pinned. May be called twice, and after pcache_init() has failed. */
void pcache_fini(struct pcache *cache) __attribute__((nonnull));

/*
 * The page of @ref, mapped if it was not, and pinned once more. Returns its index, or PCACHE_NONE
 * when the caller has to copy: no place, no grant, or another attempt of this pass has failed.
 */
uint16_t pcache_get(struct pcache *cache, uint32_t ref)
	__attribute__((nonnull, warn_unused_result));

/* Undo one pcache_get(). */
void pcache_put(struct pcache *cache, uint16_t index) __attribute__((nonnull));

/*
 * Let go of pages that have not been used for long, of a few at a time: how many. And in how many seconds there will be one;
 * 0: there is, -1: never, if none is used meanwhile.
 */
unsigned pcache_release_idle(struct pcache *cache) __attribute__((nonnull));
int pcache_idle_in(const struct pcache *cache) __attribute__((nonnull));

/* So many pages could be pinned beside those that are: a request of more would map and unmap for nothing. */
static inline unsigned pcache_room(const struct pcache *cache)
{
	return cache->max_pages - cache->nr_pinned;
}

static inline void *pcache_address(const struct pcache *cache, uint16_t index)
{
	return cache->page[index].address;
}

#endif
