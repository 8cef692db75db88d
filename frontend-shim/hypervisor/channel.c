/*
 * Event channels, with the rules and error numbers of Xen's common/event_channel.c as they reach a
 * program through Linux's evtchn driver.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>

#include "frontend-shim/hypervisor/hv.h"

static struct machine_port *channel_shared(struct hv *hv, struct hv_guest *g, uint32_t port)
{
	return &hv->machine->domains[g->slot].ports[port];
}

static bool port_is_valid(uint32_t port)
{
	return port > 0 && port < MACHINE_PORTS;
}

static int channel_find_free(struct hv_guest *g, uint32_t *ret_port)
{
	for (uint32_t port = 1; port < MACHINE_PORTS; port++) {
		if (g->channels[port].state == CHANNEL_FREE) {
			*ret_port = port;
			return 0;
		}
	}
	return -ENOSPC;
}

/* The order matters to who sends meanwhile: no owner and no peer until the state is clean. */
static void channel_publish(struct hv *hv, struct hv_guest *g, uint32_t port, uint64_t peer)
{
	struct machine_port *mp = channel_shared(hv, g, port);
	struct hv_handle *owner = g->channels[port].owner;

	atomic_store(&mp->state, 0);
	atomic_store(&mp->owner, owner ? owner->id : 0);
	atomic_store(&mp->peer, peer);
}

int hv_channel_alloc(struct hv_guest *g, struct hv_handle *owner, uint32_t remote, struct hv *hv,
	uint32_t *ret_port)
{
	uint32_t port;
	int r;

	r = channel_find_free(g, &port);
	if (r < 0)
		return r;
	g->channels[port] = (struct hv_channel){
		.state = CHANNEL_UNBOUND, .owner = owner, .remote_domid = remote};
	channel_publish(hv, g, port, 0);
	*ret_port = port;
	return 0;
}

int hv_op_alloc_unbound(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t remote = p->req.domid == DOMID_SELF ? h->domid : p->req.domid, port;
	int r;

	if (h->restricted_to != HV_NO_NOTIFY && remote != h->restricted_to)
		return -EACCES;
	r = hv_channel_alloc(h->guest, h, remote, hv, &port);
	if (r < 0)
		return r;
	p->reply.value = port;
	return 0;
}

int hv_op_bind_interdomain(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t domid = p->req.domid == DOMID_SELF ? h->domid : p->req.domid, port;
	struct hv_guest *remote = hv_guest_find(hv, domid), *g = h->guest;
	struct hv_channel *rc;
	int r;

	if (h->restricted_to != HV_NO_NOTIFY && domid != h->restricted_to)
		return -EACCES;
	if (!remote || remote->state == HV_DOMAIN_DYING)
		return -ESRCH;
	if (!port_is_valid(p->req.port))
		return -EINVAL;
	rc = &remote->channels[p->req.port];
	if (rc->state != CHANNEL_UNBOUND || rc->remote_domid != h->domid)
		return -EINVAL;
	r = channel_find_free(g, &port);
	if (r < 0)
		return r;

	g->channels[port] = (struct hv_channel){.state = CHANNEL_INTERDOMAIN,
		.owner = h,
		.remote_domid = domid,
		.peer = remote,
		.peer_port = p->req.port};
	rc->state = CHANNEL_INTERDOMAIN;
	rc->peer = g;
	rc->peer_port = port;
	channel_publish(hv, g, port, port_peer_word(remote->slot, p->req.port));
	atomic_store(&channel_shared(hv, remote, p->req.port)->peer, port_peer_word(g->slot, port));
	/* What was sent to the unbound port was dropped; Xen makes up for it with one event here. */
	port_raise(hv->machine, hv->self, (struct port_at){g->slot, port}, &hv->waker);
	p->reply.value = port;
	if (remote->domid == 0 && p->req.port == hv->xsd_port)
		hv_answer_waiters(hv, true, false);
	return 0;
}

int hv_op_bind_virq(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t virq = p->req.count, port;
	struct hv_guest *g = h->guest;
	int r;

	if (h->restricted_to != HV_NO_NOTIFY)
		return -EACCES;
	if (virq >= HV_VIRQS)
		return -EINVAL;
	if (g->virq_port[virq])
		return -EEXIST;
	r = channel_find_free(g, &port);
	if (r < 0)
		return r;
	g->channels[port] = (struct hv_channel){.state = CHANNEL_VIRQ, .owner = h, .virq = virq};
	g->virq_port[virq] = port;
	channel_publish(hv, g, port, 0);
	p->reply.value = port;
	return 0;
}

int hv_op_claim_port(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_channel *c;

	if (!port_is_valid(p->req.port))
		return -EINVAL;
	c = &h->guest->channels[p->req.port];
	if (c->state == CHANNEL_FREE || c->owner)
		return -EINVAL;
	c->owner = h;
	atomic_store(&channel_shared(hv, h->guest, p->req.port)->owner, h->id);
	/* An event that came while nobody owned the port was taken off it and went nowhere. */
	atomic_store(&channel_shared(hv, h->guest, p->req.port)->state, 0);
	port_raise(
		hv->machine, hv->self, (struct port_at){h->guest->slot, p->req.port}, &hv->waker);
	p->reply.value = p->req.port;
	return 0;
}

int hv_op_close_port(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	if (p->req.port >= MACHINE_PORTS)
		return -EINVAL;
	if (h->guest->channels[p->req.port].owner != h)
		return -ENOTCONN;
	hv_channel_close(hv, h->guest, p->req.port);
	return 0;
}

int hv_op_restrict(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	(void)hv;
	if (p->req.domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (h->restricted_to != HV_NO_NOTIFY && h->restricted_to != p->req.domid)
		return -EACCES;
	h->restricted_to = p->req.domid;
	return 0;
}

void hv_channel_close(struct hv *hv, struct hv_guest *g, uint32_t port)
{
	struct hv_channel *c = &g->channels[port], *pc;
	struct hv_guest *peer = c->peer;
	uint32_t peer_port = c->peer_port;
	bool interrupted;

	if (c->state == CHANNEL_FREE)
		return;
	if (c->state == CHANNEL_VIRQ)
		g->virq_port[c->virq] = 0;
	interrupted =
		c->owner && atomic_load(&hv->machine->handles[c->owner->index].delivering) != 0;
	if (c->state != CHANNEL_INTERDOMAIN)
		peer = NULL;
	memset(c, 0, sizeof(*c));
	channel_publish(hv, g, port, 0);
	if (!peer)
		return;
	pc = &peer->channels[peer_port];
	pc->state = CHANNEL_UNBOUND; /* for the same domain, which may bind it again */
	pc->remote_domid = g->domid;
	pc->peer = NULL;
	atomic_store(&channel_shared(hv, peer, peer_port)->peer, 0);
	port_repair(hv->machine, hv->self, (struct port_at){peer->slot, peer_port}, interrupted,
		&hv->waker);
}

/* A crashed domain's channels stay as they are until it is destroyed, only their reader is gone. */
void hv_channels_release(struct hv *hv, struct hv_handle *h)
{
	struct hv_guest *g = h->guest;

	for (uint32_t port = 1; port < MACHINE_PORTS; port++) {
		if (g->channels[port].owner != h)
			continue;
		if (g->state == HV_DOMAIN_RUNNING) {
			hv_channel_close(hv, g, port);
			continue;
		}
		g->channels[port].owner = NULL;
		atomic_store(&channel_shared(hv, g, port)->owner, 0);
	}
}

/* The global VIRQs have one reader, in dom0. */
void hv_virq_raise(struct hv *hv, uint32_t virq)
{
	struct hv_guest *dom0 = hv_guest_find(hv, 0);

	if (dom0 && dom0->virq_port[virq])
		port_raise(hv->machine, hv->self,
			(struct port_at){dom0->slot, dom0->virq_port[virq]}, &hv->waker);
}

int hv_op_xsd(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	(void)h;
	p->reply.value = hv->xsd_port;
	p->send_fds[p->nr_send_fds++] = hv->xsd_fd;
	return 0;
}
