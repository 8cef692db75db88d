#include "backend/data/pcache.h"

#include <assert.h>
#include <stddef.h>

#include "backend/data/guest.h"

static uint16_t *bucket_of(struct pcache *cache, uint32_t ref)
{
	return &cache->bucket[(ref * 2654435761u) >> 20 & (PCACHE_BUCKETS - 1)];
}

void pcache_init(struct pcache *cache, struct guest *guest)
{
	*cache = (struct pcache){
		.guest = guest, .free = 0, .newest = PCACHE_NONE, .oldest = PCACHE_NONE};
	for (unsigned i = 0; i < PCACHE_BUCKETS; i++)
		cache->bucket[i] = PCACHE_NONE;
	for (unsigned i = 0; i < LIMIT_PERSISTENT_GRANTS; i++)
		cache->page[i].chain = (uint16_t)(i + 1);
	cache->page[LIMIT_PERSISTENT_GRANTS - 1].chain = PCACHE_NONE;
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

static uint16_t map_new(struct pcache *cache, uint32_t ref)
{
	uint16_t index;
	uint16_t *bucket = bucket_of(cache, ref);
	struct pcache_page *page;
	void *address;

	if (cache->free == PCACHE_NONE) {
		if (cache->oldest == PCACHE_NONE)
			return PCACHE_NONE;
		forget(cache, cache->oldest);
	}
	address = guest_map(cache->guest, &ref, 1);
	if (address == NULL)
		return PCACHE_NONE;
	index = cache->free;
	page = &cache->page[index];
	cache->free = page->chain;
	cache->nr_pages++;
	*page = (struct pcache_page){.ref = ref, .pins = 1, .chain = *bucket, .address = address};
	*bucket = index;
	return index;
}

uint16_t pcache_get(struct pcache *cache, uint32_t ref)
{
	uint16_t index = *bucket_of(cache, ref);

	while (index != PCACHE_NONE && cache->page[index].ref != ref)
		index = cache->page[index].chain;
	if (index == PCACHE_NONE)
		return map_new(cache, ref);
	if (cache->page[index].pins++ == 0)
		lru_remove(cache, index);
	return index;
}

void pcache_put(struct pcache *cache, uint16_t index)
{
	assert(cache->page[index].pins > 0);
	if (--cache->page[index].pins == 0)
		lru_add_newest(cache, index);
}

void pcache_fini(struct pcache *cache)
{
	while (cache->oldest != PCACHE_NONE)
		forget(cache, cache->oldest);
	assert(cache->nr_pages == 0);
}
