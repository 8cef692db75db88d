#include <errno.h>
#include <poll.h>
#include <string.h>
#include <xenevtchn.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/blkfront/impl.h"
#include "frontend-shim/blkfront/layout.h"

/* ---- submit ----------------------------------------------------------------------------------- */

static int may_submit(struct blkfront *front, const struct blkfront_request *req)
{
	const struct blkfront_queue *queue;

	if (!front->connected)
		return blkfront_fail(front, -ENOTCONN, "not connected");
	if (front->misbehaved)
		return -EPROTO; /* the sentence that says how is still there */
	if (front->closing || front->gone)
		return blkfront_fail(front, -ESHUTDOWN, "the backend is closing or gone");
	queue = blkfront_queue_of(front, req);
	if (frontring_free(&queue->ring) == 0)
		return -EAGAIN;
	/* A ring that was bent on purpose may claim to have room. */
	return blkfront_shadow_outstanding(&queue->shadow) < queue->shadow.nr_slots ? 0 : -EAGAIN;
}

static void put_descriptor(struct blkfront *front, struct blkfront_request *req)
{
	if (!req->descriptor.address)
		return;
	blkfront_page_put(front, &req->descriptor);
	req->descriptor.address = NULL;
}

static void put_pages(struct blkfront *front, struct blkfront_request *req)
{
	put_descriptor(front, req);
	if (front->options.grant_per_request)
		blkfront_pages_unshare(&front->pages, req->page, req->nr_pages);
	else
		while (req->nr_pages > 0)
			blkfront_pages_put(&front->pages, &req->page[--req->nr_pages]);
	req->nr_pages = 0;
}

/* One page for each of the @n segments. */
static int get_data_pages(struct blkfront *front, struct blkfront_request *req, unsigned n)
{
	if (front->options.grant_per_request) {
		/* Linux grants read-only what the backend only has to read. */
		int r = blkfront_pages_share(&front->pages, n, req->op == BLKIF_OP_READ, req->page);

		if (r)
			return blkfront_fail(
				front, r, "cannot grant %u pages: %s", n, strerror(-r));
		req->nr_pages = n;
		return 0;
	}
	while (req->nr_pages < n) {
		if (!blkfront_pages_get(&front->pages, &req->page[req->nr_pages]))
			return -EAGAIN;
		req->nr_pages++;
	}
	return 0;
}

/* ... and one for the segments themselves, if they are too many for the slot. */
static int get_pages(struct blkfront *front, struct blkfront_request *req, unsigned n)
{
	int r;

	req->nr_pages = 0;
	req->descriptor.address = NULL;
	if (n == 0)
		return 0;
	r = get_data_pages(front, req, n);
	if (r == 0 && n > WIRE_SEGMENTS_MAX && !blkfront_page_get(front, &req->descriptor)) {
		req->descriptor.address = NULL;
		r = -EAGAIN;
	}
	if (r)
		put_pages(front, req);
	return r;
}

static void encode(enum wire_abi abi, const struct blkfront_request *req, uint64_t id,
	struct wire_slot *ret_slot)
{
	struct blk_request wire;

	wire.id = id;
	wire.sector = req->sector;
	wire.nr_sectors = req->discard_sectors;
	wire.secure = req->discard_secure;
	wire.handle = 0;
	wire.op = req->op;
	wire.nr_segments = (uint16_t)req->nr_pages;
	wire.indirect = req->descriptor.address != NULL;
	memset(wire.indirect_gref, 0, sizeof(wire.indirect_gref));
	wire.indirect_gref[0] = req->descriptor.gref;
	memcpy(wire.seg, req->seg, sizeof(wire.seg[0]) * WIRE_SEGMENTS_MAX);
	if (wire.indirect)
		frontring_encode_page(req->seg, req->nr_pages, req->descriptor.address);
	frontring_encode(abi, &wire, ret_slot);
}

/* Only reads and writes can be indirect. */
static unsigned max_segments(const struct blkfront *front, uint8_t op)
{
	return op == BLKIF_OP_READ || op == BLKIF_OP_WRITE ? front->disk.max_segments
							   : WIRE_SEGMENTS_MAX;
}

int blkfront_submit(struct blkfront *front, struct blkfront_request *req)
{
	unsigned n = req->nr_segments;
	struct blkfront_queue *queue;
	struct wire_slot slot;
	int r = may_submit(front, req);

	if (r)
		return r;
	if (n == 0)
		r = blkfront_layout_contiguous(
			front->options.first_sect, req->nr_sectors, req->seg, &n);
	if (r || n > max_segments(front, req->op))
		return blkfront_fail(front, -EINVAL, "%u sectors do not fit %u segments",
			req->nr_sectors, max_segments(front, req->op));
	r = get_pages(front, req, n);
	if (r)
		return r;
	for (unsigned i = 0; i < n; i++)
		req->seg[i].gref = req->page[i].gref;
	if (req->op != BLKIF_OP_READ && req->data)
		blkfront_layout_copy(req, BLKFRONT_TO_PAGES);
	if (req->granted && n > 0)
		req->granted(req);
	queue = blkfront_queue_of(front, req);
	encode(queue->ring.abi, req, blkfront_shadow_add(&queue->shadow, req, req->op), &slot);
	frontring_put(&queue->ring, &slot);
	front->stats.requests++;
	return 0;
}

int blkfront_submit_raw(
	struct blkfront *front, const struct wire_slot *slot, struct blkfront_request *req)
{
	struct blkfront_queue *queue;
	struct blk_request wire;
	int r = may_submit(front, req);

	if (r)
		return r;
	queue = blkfront_queue_of(front, req);
	blk_request_decode(queue->ring.abi, slot, &wire);
	req->op = wire.op;
	req->nr_pages = 0;
	req->descriptor.address = NULL;
	req->data = NULL;
	blkfront_shadow_add_foreign(&queue->shadow, req, wire.op, wire.id);
	frontring_put(&queue->ring, slot);
	front->stats.requests++;
	return 0;
}

static int notify(struct blkfront *front, const struct blkfront_queue *queue)
{
	front->stats.notified++;
	if (xenevtchn_notify(front->evtchn, (evtchn_port_t)queue->port))
		return blkfront_fail(
			front, -errno, "cannot notify the backend: %s", strerror(errno));
	return 0;
}

int blkfront_notify(struct blkfront *front, unsigned queue)
{
	if (front->nr_queues == 0)
		return -ENOTCONN;
	return notify(front, &front->queue[queue % front->nr_queues]);
}

int blkfront_push(struct blkfront *front)
{
	int r = 0;

	if (!front->connected)
		return -ENOTCONN;
	front->stats.pushes++;
	for (unsigned i = 0; i < front->nr_queues && r == 0; i++)
		if (frontring_push(&front->queue[i].ring))
			r = notify(front, &front->queue[i]);
	return r;
}

/* ---- complete --------------------------------------------------------------------------------- */

static void complete(struct blkfront *front, struct blkfront_request *req)
{
	put_pages(front, req);
	if (req->done) {
		req->done(req);
		return;
	}
	req->next = NULL;
	if (front->done_last)
		front->done_last->next = req;
	else
		front->done_first = req;
	front->done_last = req;
}

struct blkfront_request *blkfront_next_done(struct blkfront *front)
{
	struct blkfront_request *req = front->done_first;

	if (!req)
		return NULL;
	front->done_first = req->next;
	if (!front->done_first)
		front->done_last = NULL;
	return req;
}

void blkfront_fail_all(struct blkfront *front, int error)
{
	struct blkfront_request *req;

	for (unsigned i = 0; i < front->nr_queues; i++)
		while ((req = blkfront_shadow_pop(&front->queue[i].shadow))) {
			req->error = error;
			req->status = BLKIF_RSP_ERROR;
			req->padding_is_zero = true;
			complete(front, req);
		}
}

static int misbehaved(struct blkfront *front, int error)
{
	front->misbehaved = true;
	blkfront_fail_all(front, -EPROTO);
	return error;
}

static int accept_response(
	struct blkfront *front, struct blkfront_queue *queue, const struct frontring_response *rsp)
{
	struct blkfront_request *req;
	int r = blkfront_shadow_match(&queue->shadow, rsp->id, rsp->op, &req);

	if (r)
		return misbehaved(front,
			blkfront_fail(front, -EPROTO,
				"backend misbehaved: response to %s: id 0x%llx, operation %u",
				r == -ENOENT ? "no request" : "another operation",
				(unsigned long long)rsp->id, rsp->op));
	req->error = 0;
	req->status = rsp->status;
	req->padding_is_zero = rsp->padding_is_zero;
	front->stats.responses++;
	front->stats.dirty_padding += !rsp->padding_is_zero;
	if (req->op == BLKIF_OP_READ && req->data && rsp->status == BLKIF_RSP_OKAY)
		blkfront_layout_copy(req, BLKFRONT_FROM_PAGES);
	if (req->answered && req->nr_pages > 0)
		req->answered(req);
	complete(front, req);
	return 0;
}

static int reap_queue(struct blkfront *front, struct blkfront_queue *queue)
{
	struct frontring_response rsp;

	if (!frontring_is_sane(&queue->ring))
		return misbehaved(
			front, blkfront_fail(front, -EPROTO,
				       "backend misbehaved: more responses than requests"));
	while (frontring_get(&queue->ring, &rsp)) {
		int r = accept_response(front, queue, &rsp);

		if (r)
			return r;
	}
	return 0;
}

int blkfront_reap(struct blkfront *front)
{
	int r = 0;

	if (front->misbehaved)
		return -EPROTO;
	if (!front->connected)
		return 0;
	for (unsigned i = 0; i < front->nr_queues && r == 0; i++)
		r = reap_queue(front, &front->queue[i]);
	return r;
}

unsigned blkfront_outstanding(const struct blkfront *front)
{
	unsigned n = 0;

	for (unsigned i = 0; i < front->nr_queues; i++)
		n += blkfront_shadow_outstanding(&front->queue[i].shadow);
	return n;
}

/* ---- wait ------------------------------------------------------------------------------------- */

bool blkfront_arm(struct blkfront *front)
{
	if (!front->connected || front->gone || front->misbehaved)
		return true;
	for (unsigned i = 0; i < front->nr_queues; i++)
		if (frontring_final_check(&front->queue[i].ring))
			return false;
	return true;
}

void blkfront_poll_fds(struct blkfront *front, struct pollfd fds[BLKFRONT_NR_FDS])
{
	fds[0] = (struct pollfd){.fd = xenevtchn_fd(front->evtchn), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = blkfront_xenbus_fd(&front->xenbus), .events = POLLIN};
}

/* Take one event. The ring is looked at after the unmask, so an event in between is not lost. */
static void take_event(struct blkfront *front)
{
	xenevtchn_port_or_error_t port = xenevtchn_pending(front->evtchn);

	if (port < 0)
		return;
	front->stats.events++;
	(void)xenevtchn_unmask(front->evtchn, (evtchn_port_t)port);
}

static int follow_backend(struct blkfront *front)
{
	uint64_t nr_sectors;
	int r;

	blkfront_xenbus_refresh(&front->xenbus);
	if (!front->connected)
		return 0;
	switch (front->xenbus.backend_state) {
	case XenbusStateConnected:
		/* The state is written again after a resize. */
		if (blkfront_xenbus_read(&front->xenbus, "sectors", &nr_sectors) == 0)
			front->disk.nr_sectors = nr_sectors;
		return 0;
	case XenbusStateClosing:
		front->closing = true;
		return 0;
	case XenbusStateClosed:
	case XenbusStateUnknown:
		if (front->gone)
			return -ESHUTDOWN;
		/* It may have answered until it closed. */
		r = blkfront_reap(front);
		front->gone = true;
		if (r)
			return r;
		blkfront_fail_all(front, -ESHUTDOWN);
		return blkfront_fail(front, -ESHUTDOWN, "backend \"%s\" is %s",
			front->xenbus.backend,
			blkfront_xenbus_state_name(front->xenbus.backend_state));
	default:
		return 0;
	}
}

int blkfront_acknowledge(struct blkfront *front, const struct pollfd fds[BLKFRONT_NR_FDS])
{
	if (fds[0].revents)
		take_event(front);
	return fds[1].revents ? follow_backend(front) : 0;
}

int blkfront_wait(struct blkfront *front, int timeout_ms)
{
	struct pollfd fds[BLKFRONT_NR_FDS];
	int r;

	if (front->gone)
		return -ESHUTDOWN;
	if (!blkfront_arm(front))
		return 0;
	blkfront_poll_fds(front, fds);
	r = poll(fds, BLKFRONT_NR_FDS, timeout_ms);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	return blkfront_acknowledge(front, fds);
}

/* ---- for hostile tests ------------------------------------------------------------------------ */

bool blkfront_page_get(struct blkfront *front, struct blkfront_page *ret_page)
{
	if (!front->connected)
		return false;
	if (front->options.grant_per_request)
		return blkfront_pages_share(&front->pages, 1, true, ret_page) == 0;
	return blkfront_pages_get(&front->pages, ret_page);
}

void blkfront_page_put(struct blkfront *front, const struct blkfront_page *page)
{
	if (front->options.grant_per_request)
		blkfront_pages_unshare(&front->pages, page, 1);
	else
		blkfront_pages_put(&front->pages, page);
}

struct frontring *blkfront_ring(struct blkfront *front, unsigned queue)
{
	return &front->queue[queue % front->nr_queues].ring;
}
