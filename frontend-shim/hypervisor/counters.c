#include <errno.h>

#include "frontend-shim/hypervisor/hv.h"

static void counters_add(struct hv_counters *sum, const struct machine_handle *mh)
{
	sum->notifies_sent += atomic_load(&mh->nr_sent);
	sum->notifies_delivered += atomic_load(&mh->nr_delivered);
	sum->copies += atomic_load(&mh->nr_copied_segments);
	sum->copied_bytes += atomic_load(&mh->nr_copied_bytes);
}

void hv_counters_retire(struct hv *hv, struct hv_handle *h)
{
	counters_add(&hv->totals, &hv->machine->handles[h->index]);
}

static void guest_usage(const struct hv_guest *g, struct hv_domain_usage *u)
{
	*u = (struct hv_domain_usage){
		.domid = g->domid, .state = g->state, .nr_frames = g->nr_frames};
	for (uint32_t port = 1; port < MACHINE_PORTS; port++) {
		u->ports_unbound += g->channels[port].state == CHANNEL_UNBOUND;
		u->ports_interdomain += g->channels[port].state == CHANNEL_INTERDOMAIN;
		u->ports_virq += g->channels[port].state == CHANNEL_VIRQ;
	}
	for (uint32_t ref = 0; ref < GUEST_GRANTS; ref++) {
		u->grants_shared += g->grants[ref].used;
		u->grants_mapped += g->grants[ref].nr_maps;
		u->grants_deferred += g->grants[ref].deferred;
	}
}

static void handle_usage(const struct hv *hv, const struct hv_handle *h, struct hv_handle_usage *u)
{
	*u = (struct hv_handle_usage){
		.kind = h->kind, .domid = h->domid, .pid = h->pid, .own = hv_child_is(hv, h->pid)};
	for (uint32_t port = 1; h->guest && port < MACHINE_PORTS; port++)
		u->ports += h->guest->channels[port].owner == h;
	for (const struct hv_map *m = h->maps; m; m = m->next)
		u->maps += m->count;
	for (const struct hv_share *s = h->shares; s; s = s->next)
		u->shared += s->count;
}

int hv_op_counters(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_counters *c = (void *)p->out;
	struct hv_domain_usage *du = (void *)(c + 1);
	struct hv_handle_usage *hu;

	(void)h;
	*c = hv->totals;
	counters_add(c, hv->self);
	for (struct hv_guest *g = hv->guests; g; g = g->next) {
		hv_frames_reclaim(hv, g);
		guest_usage(g, &du[c->nr_domains++]);
	}
	hu = (void *)(du + c->nr_domains);
	for (uint32_t i = 1; i < hv->handle_top; i++) {
		/* What fits is told; a host with thousands of handles is counted, not listed. */
		if (!hv->handles[i] || (uint8_t *)(hu + 1) > hv->out + sizeof(hv->out))
			continue;
		counters_add(c, &hv->machine->handles[i]);
		handle_usage(hv, hv->handles[i], hu++);
		c->nr_handles++;
	}
	p->out_size = (size_t)((uint8_t *)hu - p->out);
	return 0;
}
