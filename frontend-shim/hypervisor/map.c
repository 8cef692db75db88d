/*
 * Mappings of granted pages, as gntdev makes them: all the pages of one call or none, and whatever
 * Xen's reason to refuse one of them is, the caller sees EINVAL.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "frontend-shim/hypervisor/hv.h"

static int map_check(struct hv *hv, struct hv_handle *h, const struct hv_ref *ref, uint32_t prot,
	struct hv_map_ref *ret_ref)
{
	struct hv_guest *g = hv_guest_find(hv, ref->domid);
	uint64_t word;

	if (!g || g->state == HV_DOMAIN_DYING || ref->ref >= GUEST_GRANTS)
		return -EINVAL;
	word = atomic_load((_Atomic uint64_t *)(void *)g->base + ref->ref);
	if (!(grant_flags(word) & GRANT_PERMIT) || grant_domid(word) != h->domid)
		return -EINVAL;
	if ((prot & PROT_WRITE) && (grant_flags(word) & GRANT_READONLY))
		return -EINVAL;
	*ret_ref = (struct hv_map_ref){.guest = g, .ref = ref->ref};
	return 0;
}

int hv_op_map(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	const struct hv_ref *refs = (const void *)p->data;
	struct hv_mapped *out = (void *)p->out;
	uint32_t count = p->req.count;
	struct hv_map *map;
	int r;

	if (!count || count > HV_MAX_REFS || p->data_size != count * sizeof(*refs))
		return -EINVAL;
	map = calloc(1, sizeof(*map) + count * sizeof(map->refs[0]));
	if (!map)
		return -ENOMEM;
	r = hv_farewell_set(h, p, &map->farewell);
	for (uint32_t i = 0; i < count && !r; i++)
		r = map_check(hv, h, &refs[i], p->req.flags, &map->refs[i]);
	if (r < 0) {
		free(map);
		return r;
	}
	map->id = ++h->next_id;
	map->count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct hv_guest *g = map->refs[i].guest;
		struct hv_grant *gr = &g->grants[map->refs[i].ref];

		gr->nr_maps++;
		g->nr_mapped++;
		out[i] = (struct hv_mapped){.memory = g->memory, .frame = gr->frame};
	}
	map->farewell.frame = out[0].frame;
	map->next = h->maps;
	h->maps = map;
	hv->totals.maps += count;
	p->reply.value = map->id;
	p->out_size = count * sizeof(*out);
	return 0;
}

static void map_end(struct hv *hv, struct hv_map *map)
{
	struct hv_guest *first = map->refs[0].guest;

	if (map->farewell.guest && map->farewell.offset != HV_NO_NOTIFY)
		first->base[(size_t)map->farewell.frame * GUEST_PAGE + map->farewell.offset] = 0;
	/* The last put may free a dead domain, so the event goes first. */
	hv_farewell_send(hv, &map->farewell);
	for (uint32_t i = 0; i < map->count; i++)
		hv_grant_put_map(hv, map->refs[i].guest, map->refs[i].ref);
	hv->totals.unmaps += map->count;
	free(map);
}

int hv_op_unmap(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	for (struct hv_map **pos = &h->maps; *pos; pos = &(*pos)->next) {
		struct hv_map *map = *pos;

		if (map->id != p->req.value)
			continue;
		*pos = map->next;
		map_end(hv, map);
		return 0;
	}
	return -EINVAL;
}

void hv_maps_release(struct hv *hv, struct hv_handle *h)
{
	while (h->maps) {
		struct hv_map *map = h->maps;

		h->maps = map->next;
		hv->totals.unmapped_by_close += map->count;
		map_end(hv, map);
	}
}
