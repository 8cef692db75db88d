#include "frontend-shim/preload/region.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "frontend-shim/machine/layout.h"

static struct region **regions_bucket(struct regions *all, const void *start)
{
	return &all->buckets[(uintptr_t)start / GUEST_PAGE % REGION_BUCKETS];
}

int regions_add(struct regions *all, void *start, uint32_t count, uint64_t id)
{
	struct region **bucket = regions_bucket(all, start), *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct region){.next = *bucket, .start = start, .count = count, .id = id};
	*bucket = r;
	return 0;
}

int regions_take(struct regions *all, const void *start, uint32_t count, uint64_t *ret_id)
{
	for (struct region **pos = regions_bucket(all, start); *pos; pos = &(*pos)->next) {
		struct region *r = *pos;

		if (r->start != start)
			continue;
		if (r->count != count)
			return -EINVAL;
		*pos = r->next;
		*ret_id = r->id;
		free(r);
		return 0;
	}
	return -EINVAL;
}

void regions_clear(struct regions *all, int unmap)
{
	for (unsigned i = 0; i < REGION_BUCKETS; i++) {
		while (all->buckets[i]) {
			struct region *r = all->buckets[i];

			all->buckets[i] = r->next;
			if (unmap)
				(void)munmap(r->start, (size_t)r->count * GUEST_PAGE);
			free(r);
		}
	}
}
