#include "backend/data/pcache.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "backend/data/guest.h"
#include "backend/data/stats.h"

static uint16_t *bucket_of(struct pcache *cache, uint32_t ref)
{
	return &cache->bucket[(ref * 2654435761u) >> cache->bucket_shift];
}

int pcache_init(struct pcache *cache, struct guest *guest, unsigned max_pages)
{
	unsigned bits = 1;

	/* At least twice the pages: short chains. */
	while (1u << bits < max_pages * 2)
		bits++;
	*cache = (struct pcache){.guest = guest,
		.max_pages = max_pages,
		.free = PCACHE_NONE,
		.newest = PCACHE_NONE,
		.oldest = PCACHE_NONE,
		.bucket_shift = 32 - bits,
		.bucket = malloc(sizeof(*cache->bucket) << bits),
		.page = malloc(sizeof(*cache->page) * (max_pages + 1))};
	if (cache->bucket == NULL || cache->page == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < 1u << bits; i++)
		cache->bucket[i] = PCACHE_NONE;
	return 0;
}

/* ---- the LRU list: exactly the unpinned pages ---- */

static void lru_remove(struct pcache *cache, uint16_t index)
{
	struct pcache_page *page = &cache->page[index];

	if (page->newer == PCACHE_NONE)
		cache->newest = page->older;
	else
		cache->page[page->newer].older = page->older;
	if (page->older == PCACHE_NONE)
		cache->oldest = page->newer;
	else
		cache->page[page->older].newer = page->newer;
}

static void lru_add_newest(struct pcache *cache, uint16_t index)
{
	struct pcache_page *page = &cache->page[index];

	page->newer = PCACHE_NONE;
	page->older = cache->newest;
	if (cache->newest == PCACHE_NONE)
		cache->oldest = index;
	else
		cache->page[cache->newest].newer = index;
	cache->newest = index;
}

/* ---- the pages ---- */

/* Unmap an unpinned page and make its place free. */
static void forget(struct pcache *cache, uint16_t index)
{
	struct pcache_page *page = &cache->page[index];
	uint16_t *link = bucket_of(cache, page->ref);

	while (*link != index)
		link = &cache->page[*link].chain;
	*link = page->chain;
	lru_remove(cache, index);
	guest_unmap(cache->guest, page->address, 1);
	page->chain = cache->free;
	cache->free = index;
	cache->nr_pages--;
}

/* In seconds, as the clock tells them. */
static uint32_t age_of_oldest(const struct pcache *cache)
{
	return cache->now_s - cache->page[cache->oldest].used_s;
}

/* Make a place by giving up the oldest page, if it is old enough. */
static bool evict(struct pcache *cache)
{
	if (cache->oldest == PCACHE_NONE || age_of_oldest(cache) < LIMIT_GRANT_EVICT_S)
		return false;
	forget(cache, cache->oldest);
	return true;
}

/* A place for one more page: never used, or free again, or the oldest page's. */
static bool make_room(struct pcache *cache)
{
	if (cache->free != PCACHE_NONE)
		return true;
	if (cache->nr_used < cache->max_pages) {
		cache->page[cache->nr_used].chain = PCACHE_NONE;
		cache->free = cache->nr_used++;
		return true;
	}
	return evict(cache);
}

/* Where no more may be mapped at all, for another one of ours. */
static void *map_page(struct pcache *cache, uint32_t ref)
{
	void *address = guest_map(cache->guest, GUEST_READ_WRITE, &ref, 1);

	if (address == NULL && errno == EDQUOT && evict(cache))
		address = guest_map(cache->guest, GUEST_READ_WRITE, &ref, 1);
	return address;
}

static uint16_t map_new(struct pcache *cache, uint32_t ref)
{
	uint16_t index;
	uint16_t *bucket = bucket_of(cache, ref);
	struct pcache_page *page;
	void *address;

	if (!guest_may_map(cache->guest, GUEST_READ_WRITE))
		return PCACHE_NONE;
	if (!make_room(cache)) {
		stat_add(&cache->guest->stats->grants_over_limit, 1);
		return PCACHE_NONE;
	}
	address = map_page(cache, ref);
	if (address == NULL)
		return PCACHE_NONE;
	index = cache->free;
	page = &cache->page[index];
	cache->free = page->chain;
	cache->nr_pages++;
	*page = (struct pcache_page){.ref = ref, .pins = 1, .chain = *bucket, .address = address};
	*bucket = index;
	cache->nr_pinned++;
	return index;
}

uint16_t pcache_get(struct pcache *cache, uint32_t ref)
{
	uint16_t index = *bucket_of(cache, ref);

	while (index != PCACHE_NONE && cache->page[index].ref != ref)
		index = cache->page[index].chain;
	if (index == PCACHE_NONE)
		return map_new(cache, ref);
	if (cache->page[index].pins++ == 0) {
		lru_remove(cache, index);
		cache->nr_pinned++;
	}
	return index;
}

void pcache_put(struct pcache *cache, uint16_t index)
{
	assert(cache->page[index].pins > 0);
	if (--cache->page[index].pins > 0)
		return;
	cache->page[index].used_s = cache->now_s;
	lru_add_newest(cache, index);
	cache->nr_pinned--;
}

int pcache_idle_in(const struct pcache *cache)
{
	uint32_t idle_s;

	if (cache->oldest == PCACHE_NONE)
		return -1;
	idle_s = age_of_oldest(cache);
	return idle_s >= LIMIT_GRANT_IDLE_S ? 0 : (int)(LIMIT_GRANT_IDLE_S - idle_s);
}

unsigned pcache_release_idle(struct pcache *cache)
{
	unsigned n = 0;

	for (; n < LIMIT_GRANT_RELEASE && pcache_idle_in(cache) == 0; n++)
		forget(cache, cache->oldest);
	return n;
}

void pcache_fini(struct pcache *cache)
{
	while (cache->oldest != PCACHE_NONE)
		forget(cache, cache->oldest);
	assert(cache->nr_pages == 0);
	free(cache->bucket);
	free(cache->page);
	cache->bucket = NULL;
	cache->page = NULL;
}
