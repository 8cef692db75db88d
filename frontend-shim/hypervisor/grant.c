/*
 * Grant tables and sharing. The life of one entry:
 *
 *   free --share--> used --unshare, nobody maps it--------------------------> free
 *                    |  ^                                                      ^
 *                 map|  |unmap                                                 |
 *                    v  |                                                      |
 *                   mapped --unshare--> deferred (still granted) --last unmap--+
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/hypervisor/hv.h"

static _Atomic uint64_t *grant_entry(struct hv_guest *g, uint32_t ref)
{
	return (_Atomic uint64_t *)(void *)g->base + ref;
}

void hv_grant_set(struct hv_guest *g, uint32_t ref, uint32_t to, uint32_t frame, bool writable)
{
	g->grants[ref] = (struct hv_grant){.frame = frame, .used = true};
	atomic_store(grant_entry(g, ref),
		grant_word(GRANT_PERMIT | (writable ? 0 : GRANT_READONLY), to, frame));
}

/* Ends the access for good and frees reference and frame. */
static void grant_end(struct hv *hv, struct hv_guest *g, uint32_t ref)
{
	uint32_t frame = g->grants[ref].frame;

	atomic_store(grant_entry(g, ref), 0);
	memset(&g->grants[ref], 0, sizeof(g->grants[ref]));
	if (ref >= GUEST_FIRST_GRANT)
		g->free_refs[g->nr_free_refs++] = ref;
	hv_frame_free(hv, g, frame);
}

void hv_grant_put_map(struct hv *hv, struct hv_guest *g, uint32_t ref)
{
	struct hv_grant *gr = &g->grants[ref];

	gr->nr_maps--;
	if (!gr->nr_maps && gr->deferred)
		grant_end(hv, g, ref);
	hv_guest_put_mapped(hv, g);
}

/* ---- the byte and the event that an unmap or unshare leaves behind ----------------------------- */

int hv_farewell_set(struct hv_handle *h, const struct hv_packet *p, struct hv_farewell *f)
{
	uint64_t offset = p->req.value;
	uint32_t port = p->req.port;

	*f = (struct hv_farewell){.offset = HV_NO_NOTIFY};
	if (offset == HV_NO_NOTIFY && port == HV_NO_NOTIFY)
		return 0;
	if (p->req.count != 1)
		return -EINVAL;
	if (offset != HV_NO_NOTIFY) {
		if (offset >= GUEST_PAGE)
			return -EINVAL;
		f->offset = (uint32_t)offset;
	}
	if (port != HV_NO_NOTIFY) {
		if (!port || port >= MACHINE_PORTS ||
			h->guest->channels[port].state == CHANNEL_FREE)
			return -EINVAL;
		f->port = port;
	}
	f->guest = h->guest;
	return 0;
}

void hv_farewell_send(struct hv *hv, const struct hv_farewell *f)
{
	if (f->guest && f->port)
		port_send(hv->machine, hv->self, (struct port_at){f->guest->slot, f->port},
			&hv->waker);
}

/* ---- sharing ----------------------------------------------------------------------------------- */

int hv_op_share(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t count = p->req.count, *out = (void *)p->out, first;
	struct hv_guest *g = h->guest;
	struct hv_farewell farewell;
	struct hv_share *s;
	int r;

	if (!count || count > HV_MAX_REFS || p->req.domid >= MACHINE_DOMIDS)
		return -EINVAL;
	r = hv_farewell_set(h, p, &farewell);
	if (r < 0)
		return r;
	hv_frames_reclaim(hv, g);
	if (g->nr_free_refs < count)
		return -ENOSPC;
	s = calloc(1, sizeof(*s) + count * sizeof(s->refs[0]));
	if (!s)
		return -ENOMEM;
	r = hv_frames_alloc(g, count, &first);
	if (r < 0) {
		free(s);
		return r;
	}
	s->id = ++h->next_id;
	s->guest = g;
	s->count = count;
	s->farewell = farewell;
	s->farewell.frame = first;
	out[0] = first;
	for (uint32_t i = 0; i < count; i++) {
		s->refs[i] = out[i + 1] = g->free_refs[--g->nr_free_refs];
		hv_grant_set(g, s->refs[i], p->req.domid, first + i, p->req.flags & 1);
	}
	s->next = h->shares;
	h->shares = s;
	p->reply.value = s->id;
	p->out_size = (count + 1) * sizeof(*out);
	p->send_fds[p->nr_send_fds++] = g->memory_fd;
	return 0;
}

static void share_end(struct hv *hv, struct hv_share *s)
{
	struct hv_guest *g = s->guest;

	/* The peer shall find the byte cleared: before the grant ends, not on the page's next life. */
	if (s->farewell.guest && s->farewell.offset != HV_NO_NOTIFY)
		g->base[(size_t)s->farewell.frame * GUEST_PAGE + s->farewell.offset] = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		if (g->grants[s->refs[i]].nr_maps)
			g->grants[s->refs[i]].deferred = true;
		else
			grant_end(hv, g, s->refs[i]);
	}
	hv_farewell_send(hv, &s->farewell);
	free(s);
}

int hv_op_unshare(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	for (struct hv_share **pos = &h->shares; *pos; pos = &(*pos)->next) {
		struct hv_share *s = *pos;

		if (s->id != p->req.value)
			continue;
		*pos = s->next;
		if (h->guest)
			share_end(hv, s);
		else
			free(s); /* the whole domain is gone */
		return 0;
	}
	return -EINVAL;
}

/* A crashed domain's memory stays granted until it is destroyed. */
void hv_shares_release(struct hv *hv, struct hv_handle *h)
{
	while (h->shares) {
		struct hv_share *s = h->shares;

		h->shares = s->next;
		if (h->guest && h->guest->state == HV_DOMAIN_RUNNING)
			share_end(hv, s);
		else
			free(s);
	}
}
