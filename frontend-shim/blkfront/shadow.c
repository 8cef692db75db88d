#include "frontend-shim/blkfront/shadow.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int blkfront_shadow_init(struct blkfront_shadow *shadow, unsigned nr_slots)
{
	*shadow = (struct blkfront_shadow){
		.entry = calloc(nr_slots, sizeof(*shadow->entry)),
		.free = calloc(nr_slots, sizeof(*shadow->free)),
		.nr_slots = nr_slots,
		.nr_free = nr_slots,
	};
	if (!shadow->entry || !shadow->free) {
		blkfront_shadow_fini(shadow);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < nr_slots; i++)
		shadow->free[i] = i;
	return 0;
}

void blkfront_shadow_fini(struct blkfront_shadow *shadow)
{
	free(shadow->entry);
	free(shadow->free);
	*shadow = (struct blkfront_shadow){0};
}

static unsigned take_free(struct blkfront_shadow *shadow)
{
	assert(shadow->nr_free > 0);
	return shadow->free[--shadow->nr_free];
}

/* An id of ours is its index and, above it, the generation. */
static uint64_t own_id(uint32_t generation, unsigned index)
{
	return (uint64_t)generation << 32 | index;
}

uint64_t blkfront_shadow_add(
	struct blkfront_shadow *shadow, struct blkfront_request *req, uint8_t op)
{
	unsigned index = take_free(shadow);
	uint64_t id = own_id(++shadow->generation, index);

	shadow->entry[index] = (struct blkfront_shadow_entry){req, id, op};
	return id;
}

void blkfront_shadow_add_foreign(
	struct blkfront_shadow *shadow, struct blkfront_request *req, uint8_t op, uint64_t id)
{
	shadow->entry[take_free(shadow)] = (struct blkfront_shadow_entry){req, id, op};
}

static struct blkfront_request *forget(struct blkfront_shadow *shadow, unsigned index)
{
	struct blkfront_request *req = shadow->entry[index].req;

	shadow->entry[index].req = NULL;
	shadow->free[shadow->nr_free++] = index;
	return req;
}

static bool expects(const struct blkfront_shadow_entry *entry, uint64_t id, uint8_t op)
{
	return entry->req && entry->id == id && entry->op == op;
}

int blkfront_shadow_match(
	struct blkfront_shadow *shadow, uint64_t id, uint8_t op, struct blkfront_request **ret_req)
{
	unsigned index = (uint32_t)id;
	int r = -ENOENT;

	if (index < shadow->nr_slots && expects(&shadow->entry[index], id, op)) {
		*ret_req = forget(shadow, index);
		return 0;
	}
	/* An id of the caller's making says nothing about its entry; or it is a wrong response. */
	for (index = 0; index < shadow->nr_slots; index++) {
		if (expects(&shadow->entry[index], id, op)) {
			*ret_req = forget(shadow, index);
			return 0;
		}
		if (shadow->entry[index].req && shadow->entry[index].id == id)
			r = -EPROTO;
	}
	return r;
}

struct blkfront_request *blkfront_shadow_pop(struct blkfront_shadow *shadow)
{
	for (unsigned i = 0; i < shadow->nr_slots; i++)
		if (shadow->entry[i].req)
			return forget(shadow, i);
	return NULL;
}
