#include "frontend-shim/persona/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xenevtchn.h>
#include <xengnttab.h>

int persona_fail(struct persona_error *error, int r, const char *format, ...)
{
	va_list args;

	if (error->text[0])
		return r;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return r;
}

/* ---- life ------------------------------------------------------------------------------------- */

int persona_line_init(struct persona_line *line, const struct persona_habits *habits,
	unsigned backend_id, struct persona_error *error)
{
	int flags;

	memset(line, 0, sizeof(*line));
	line->habits = habits;
	line->error = error;
	line->backend_id = backend_id;
	line->sector_size = WIRE_SECTOR_SIZE;
	line->port = -1;
	line->next_id = 1;
	line->gntshr = xengntshr_open(NULL, 0);
	if (!line->gntshr)
		return persona_fail(error, -errno, "cannot open gntshr: %s", strerror(errno));
	line->evtchn = xenevtchn_open(NULL, 0);
	if (!line->evtchn)
		return persona_fail(
			error, -errno, "cannot open event channels: %s", strerror(errno));
	flags = fcntl(xenevtchn_fd(line->evtchn), F_GETFL);
	if (flags < 0 || fcntl(xenevtchn_fd(line->evtchn), F_SETFL, flags | O_NONBLOCK))
		return persona_fail(
			error, -errno, "cannot set up event channels: %s", strerror(errno));
	return 0;
}

void persona_line_fini(struct persona_line *line)
{
	persona_line_unshare(line);
	if (line->evtchn)
		(void)xenevtchn_close(line->evtchn);
	if (line->gntshr)
		(void)xengntshr_close(line->gntshr);
	line->evtchn = NULL;
	line->gntshr = NULL;
}

int persona_line_share(struct persona_line *line)
{
	int r = blkfront_pages_init(
		&line->pages, line->gntshr, line->backend_id, line->habits->pool);

	line->is_shared = r == 0;
	if (r == 0)
		r = blkfront_pages_share(&line->pages, 1, true, &line->ring_page);
	if (r)
		return persona_fail(line->error, r, "cannot grant pages: %s", strerror(-r));
	frontring_init(&line->ring, line->abi, line->ring_page.address, 1);
	line->port = xenevtchn_bind_unbound_port(line->evtchn, line->backend_id);
	if (line->port < 0)
		return persona_fail(
			line->error, -errno, "cannot get an event channel: %s", strerror(errno));
	return 0;
}

static void put_pages(struct persona_line *line, struct persona_request *req)
{
	if (line->habits->pool == 0)
		blkfront_pages_unshare(&line->pages, req->page, req->nr_pages);
	else
		while (req->nr_pages > 0)
			blkfront_pages_put(&line->pages, &req->page[--req->nr_pages]);
	req->nr_pages = 0;
}

void persona_line_unshare(struct persona_line *line)
{
	if (!line->is_shared)
		return;
	for (unsigned i = 0; i < PERSONA_MAX_REQUESTS; i++)
		put_pages(line, &line->request[i]);
	if (line->port >= 0)
		(void)xenevtchn_unbind(line->evtchn, (evtchn_port_t)line->port);
	line->port = -1;
	if (line->ring_page.address)
		blkfront_pages_unshare(&line->pages, &line->ring_page, 1);
	line->ring_page.address = NULL;
	blkfront_pages_fini(&line->pages);
	line->is_shared = false;
}

/* ---- requests --------------------------------------------------------------------------------- */

unsigned persona_line_max_bytes(const struct persona_line *line)
{
	return line->habits->segments * WIRE_PAGE_SIZE;
}

bool persona_line_has_room(const struct persona_line *line)
{
	return line->nr_busy < line->habits->depth;
}

static int get_pages(struct persona_line *line, struct persona_request *req, unsigned n)
{
	int r = 0;

	req->nr_pages = 0;
	if (n > 0 && line->habits->pool == 0) {
		r = blkfront_pages_share(&line->pages, n, req->op == BLKIF_OP_READ, req->page);
		req->nr_pages = r ? 0 : n;
	}
	while (r == 0 && req->nr_pages < n)
		if (blkfront_pages_get(&line->pages, &req->page[req->nr_pages]))
			req->nr_pages++;
		else
			r = -ENOBUFS;
	return r ? persona_fail(line->error, r, "cannot grant %u pages: %s", n, strerror(-r)) : 0;
}

/* To the pages, if @out, or from them. */
static void copy_data(struct persona_request *req, bool out)
{
	for (unsigned i = 0, done = 0; i < req->nr_pages; i++) {
		unsigned n = req->size_bytes - done < WIRE_PAGE_SIZE ? req->size_bytes - done
								     : WIRE_PAGE_SIZE;

		if (out)
			memcpy(req->page[i].address, req->data + done, n);
		else
			memcpy(req->data + done, req->page[i].address, n);
		done += n;
	}
}

static void fill_segments(const struct persona_line *line, const struct persona_request *req,
	struct blk_request *wire)
{
	unsigned unit = line->habits->counts_sectors ? line->sector_size : WIRE_SECTOR_SIZE;

	wire->nr_segments = (uint8_t)req->nr_pages;
	for (unsigned i = 0; i < req->nr_pages; i++) {
		unsigned left = req->size_bytes - i * WIRE_PAGE_SIZE;

		wire->seg[i].gref = req->page[i].gref;
		wire->seg[i].last_sect =
			(uint8_t)((left < WIRE_PAGE_SIZE ? left : WIRE_PAGE_SIZE) / unit - 1);
	}
}

static int tell_backend(struct persona_line *line)
{
	if (!frontring_push(&line->ring) && !line->habits->always_notifies)
		return 0;
	if (xenevtchn_notify(line->evtchn, (evtchn_port_t)line->port))
		return persona_fail(
			line->error, -errno, "cannot notify the backend: %s", strerror(errno));
	return 0;
}

/* Grant its pages and put it on the ring. */
static int put_on_ring(struct persona_line *line, struct persona_request *req)
{
	struct blk_request wire = {.id = req->id, .op = req->op, .sector = req->sector};
	struct wire_slot slot;
	int r;

	if (frontring_free(&line->ring) == 0)
		return persona_fail(line->error, -EAGAIN, "the ring is full");
	r = get_pages(line, req, (req->size_bytes + WIRE_PAGE_SIZE - 1) / WIRE_PAGE_SIZE);
	if (r)
		return r;
	if (req->op != BLKIF_OP_READ)
		copy_data(req, true);
	fill_segments(line, req, &wire);
	frontring_encode(line->ring.abi, &wire, &slot);
	frontring_put(&line->ring, &slot);
	return tell_backend(line);
}

/* An empty request has id 0; others the address of something, or always 0. */
static uint64_t make_id(struct persona_line *line, unsigned size_bytes)
{
	return line->habits->same_id || size_bytes == 0 ? 0 : line->next_id++ << 8;
}

int persona_line_submit(struct persona_line *line, uint8_t op, uint64_t sector, unsigned size_bytes,
	const struct blkfront_pattern *pattern)
{
	unsigned unit = line->habits->counts_sectors ? line->sector_size : WIRE_SECTOR_SIZE;
	struct persona_request *req = line->request;

	while (req->busy && req < line->request + PERSONA_MAX_REQUESTS - 1)
		req++;
	if (req->busy || size_bytes > persona_line_max_bytes(line))
		return persona_fail(line->error, -EINVAL, "too many or too large requests");
	req->op = op;
	req->id = make_id(line, size_bytes);
	req->sector = size_bytes ? sector * WIRE_SECTOR_SIZE / unit : sector;
	req->size_bytes = size_bytes;
	req->pattern = *pattern;
	req->pattern_sector = sector;
	if (op != BLKIF_OP_READ)
		blkfront_pattern_fill(pattern, sector, req->data, size_bytes);
	req->busy = true;
	line->nr_busy++;
	return put_on_ring(line, req);
}

int persona_line_requeue(struct persona_line *line)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < PERSONA_MAX_REQUESTS; i++)
		if (line->request[i].busy)
			r = put_on_ring(line, &line->request[i]);
	return r;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static struct persona_request *find_request(
	struct persona_line *line, const struct frontring_response *rsp)
{
	for (unsigned i = 0; i < PERSONA_MAX_REQUESTS; i++) {
		struct persona_request *req = &line->request[i];

		if (req->busy && req->id == rsp->id && req->op == rsp->op)
			return req;
	}
	return NULL;
}

static int check_data(struct persona_line *line, const struct persona_request *req)
{
	size_t wrong = blkfront_pattern_compare(
		&req->pattern, req->pattern_sector, req->data, req->size_bytes);

	if (wrong == req->size_bytes)
		return 0;
	return persona_fail(line->error, -EIO, "wrong data in sector %llu, byte %zu: 0x%02x",
		(unsigned long long)req->pattern_sector + wrong / WIRE_SECTOR_SIZE,
		wrong % WIRE_SECTOR_SIZE, req->data[wrong]);
}

static int accept(struct persona_line *line, const struct frontring_response *rsp)
{
	struct persona_request *req = find_request(line, rsp);

	if (!req)
		return persona_fail(line->error, -EPROTO,
			"an answer to no request: id %llu, operation %u",
			(unsigned long long)rsp->id, rsp->op);
	if (req->op == BLKIF_OP_READ)
		copy_data(req, false);
	put_pages(line, req);
	req->busy = false;
	line->nr_busy--;
	if (rsp->status != BLKIF_RSP_OKAY)
		return persona_fail(line->error, -EIO, "operation %u at sector %llu has status %d",
			rsp->op, (unsigned long long)req->sector, rsp->status);
	return req->op == BLKIF_OP_READ ? check_data(line, req) : 0;
}

int persona_line_take(struct persona_line *line)
{
	struct frontring_response rsp;
	int r = 0;

	if (!frontring_is_sane(&line->ring))
		return persona_fail(line->error, -EPROTO, "more answers than requests");
	while (r == 0 && frontring_get(&line->ring, &rsp))
		r = accept(line, &rsp);
	return r;
}
