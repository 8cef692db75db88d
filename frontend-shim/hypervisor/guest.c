#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/grant_table.h>
#include <xen/xen.h>

#include "frontend-shim/hypervisor/hv.h"

struct hv_guest *hv_guest_find(struct hv *hv, uint32_t domid)
{
	for (struct hv_guest *g = hv->guests; g; g = g->next)
		if (g->domid == domid)
			return g;
	return NULL;
}

static void guest_free(struct hv_guest *g)
{
	while (g->limbo) {
		struct hv_limbo *l = g->limbo;

		g->limbo = l->next;
		free(l);
	}
	if (g->base)
		(void)munmap(g->base, GUEST_BYTES);
	if (g->memory_fd >= 0)
		(void)close(g->memory_fd);
	free(g->free_frames);
	free(g->free_refs);
	free(g->grants);
	free(g->channels);
	free(g);
}

static int guest_memory_create(struct hv_guest *g)
{
	void *base;

	g->memory_fd = memfd_create("xensim-guest", MFD_CLOEXEC);
	if (g->memory_fd < 0 || ftruncate(g->memory_fd, (off_t)GUEST_BYTES) < 0)
		return -errno;
	base = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		g->memory_fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	g->base = base;
	(void)madvise(base, GUEST_BYTES, MADV_DONTDUMP); /* only an economy */
	return 0;
}

static int guest_tables_create(struct hv_guest *g)
{
	g->grants = calloc(GUEST_GRANTS, sizeof(g->grants[0]));
	g->channels = calloc(MACHINE_PORTS, sizeof(g->channels[0]));
	g->free_refs = calloc(GUEST_GRANTS, sizeof(g->free_refs[0]));
	if (!g->grants || !g->channels || !g->free_refs)
		return -ENOMEM;
	for (uint32_t ref = GUEST_GRANTS - 1; ref >= GUEST_FIRST_GRANT; ref--)
		g->free_refs[g->nr_free_refs++] = ref;
	return hv_frames_init(g);
}

static int guest_slot_take(struct hv *hv, struct hv_guest *g)
{
	uint32_t slot = 1; /* 0 is MACHINE_NO_SLOT */

	for (struct hv_guest *other = hv->guests; other;) {
		if (other->slot != slot) {
			other = other->next;
			continue;
		}
		slot++;
		other = hv->guests;
	}
	if (slot >= MACHINE_DOMAINS)
		return -ENOSPC;
	g->slot = slot;
	hv->incarnations = (hv->incarnations + 1) & 0xffff;
	g->memory = hv->incarnations << 16 | slot;
	return 0;
}

int hv_guest_create(struct hv *hv, uint32_t domid, struct hv_guest **ret_guest)
{
	struct hv_guest *g;
	int r;

	if (domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (hv_guest_find(hv, domid))
		return -EEXIST; /* also while a dead one of that id is still mapped by somebody */
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->domid = domid;
	g->memory_fd = -1;
	r = guest_slot_take(hv, g);
	if (!r)
		r = guest_memory_create(g);
	if (!r)
		r = guest_tables_create(g);
	if (r < 0) {
		guest_free(g);
		return r;
	}
	g->next = hv->guests;
	hv->guests = g;
	hv->machine->domains[g->slot].domid = domid;
	atomic_store(&hv->machine->domains[g->slot].running, 1);
	atomic_store(&hv->machine->slot_of[domid], g->memory);
	hv->totals.domains_created++;
	*ret_guest = g;
	return 0;
}

int hv_op_memory(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_guest *g = hv_guest_find(hv, p->req.domid);

	(void)h;
	if (!g || g->state == HV_DOMAIN_DYING)
		return -ESRCH;
	p->reply.value = g->memory;
	p->send_fds[p->nr_send_fds++] = g->memory_fd;
	return 0;
}

/*
 * What the domain builder leaves in a new guest: the xenstore page under its reserved grant, and an
 * unbound event channel for dom0. libxl then introduces both to xenstored.
 */
int hv_op_domain_create(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t frame = 0, port = 0;
	struct hv_guest *g;
	int r;

	(void)h;
	r = hv_guest_create(hv, p->req.domid, &g);
	if (r < 0)
		return r;
	/* Neither can fail in an empty domain. */
	(void)hv_frames_alloc(g, 1, &frame);
	(void)hv_channel_alloc(g, NULL, 0, hv, &port);
	hv_grant_set(g, GNTTAB_RESERVED_XENSTORE, 0, frame, true);
	g->flags = p->req.flags;
	p->reply.value = port;
	p->reply.extra = frame;
	return 0;
}

int hv_op_domain_shutdown(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_guest *g = hv_guest_find(hv, p->req.domid);

	(void)h;
	if (!g)
		return -ESRCH;
	if (g->domid == 0)
		return -EPERM;
	if (g->state != HV_DOMAIN_RUNNING)
		return -EALREADY;
	g->state = HV_DOMAIN_IS_SHUTDOWN;
	g->reason = p->req.flags;
	atomic_store(&hv->machine->domains[g->slot].running, 0);
	hv_virq_raise(hv, VIRQ_DOM_EXC);
	return 0;
}

/* The last page somebody mapped is given back: a dead domain can go for good. */
static void guest_reap(struct hv *hv, struct hv_guest *g)
{
	struct hv_guest **pos = &hv->guests;

	if (g->state != HV_DOMAIN_DYING || g->nr_mapped)
		return;
	while (*pos != g)
		pos = &(*pos)->next;
	*pos = g->next;
	guest_free(g);
	hv->totals.domains_destroyed++;
	hv_virq_raise(hv, VIRQ_DOM_EXC);
}

void hv_guest_put_mapped(struct hv *hv, struct hv_guest *g)
{
	g->nr_mapped--;
	guest_reap(hv, g);
}

/* As domain_kill(): event channels close, nothing can be mapped any more, what is mapped stays. */
int hv_op_domain_destroy(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_guest *g = hv_guest_find(hv, p->req.domid);

	(void)h;
	if (!g || g->state == HV_DOMAIN_DYING)
		return -ESRCH;
	if (g->domid == 0)
		return -EPERM;
	g->state = HV_DOMAIN_DYING;
	atomic_store(&hv->machine->domains[g->slot].running, 0);
	atomic_store(&hv->machine->slot_of[g->domid], MACHINE_NO_SLOT);
	hv_children_kill(hv, g->domid, false);
	for (uint32_t port = 1; port < MACHINE_PORTS; port++)
		hv_channel_close(hv, g, port);
	hv_handles_forget_guest(hv, g);
	hv_virq_raise(hv, VIRQ_DOM_EXC);
	guest_reap(hv, g);
	return 0;
}

int hv_op_domain_list(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_domain *out = (void *)p->out;

	(void)h;
	/* In ascending order, as Xen lists them; the list itself is in order of creation. */
	for (uint32_t domid = p->req.domid; p->reply.count < p->req.count; domid++) {
		struct hv_guest *next = NULL;

		for (struct hv_guest *g = hv->guests; g; g = g->next)
			if (g->domid >= domid && (!next || g->domid < next->domid))
				next = g;
		if (!next)
			break;
		domid = next->domid;
		out[p->reply.count++] = (struct hv_domain){.domid = domid,
			.state = next->state,
			.reason = next->reason,
			.flags = next->flags,
			.nr_frames = next->nr_frames};
	}
	p->out_size = p->reply.count * sizeof(*out);
	return 0;
}
