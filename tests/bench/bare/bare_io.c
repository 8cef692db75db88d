#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/data/aio_ring.h"
#include "tests/bench/bare/bare_io.h"

#define SLOTS    512u /* of a ring of 16 pages */
#define SEGMENTS 256u
#define MAX_GREF 65536u
#define AT_ONCE  32u

struct one {
	struct iocb iocb;
	uint64_t id;
	uint32_t bytes;
	uint8_t op;
	struct iovec iov[SEGMENTS];
};

struct bare_io {
	xengnttab_handle *grants;
	uint32_t domid;
	int fd, event_fd;
	io_context_t ctx;
	struct one slot[SLOTS];
	struct one *free[SLOTS];
	struct iocb *queued[SLOTS];
	unsigned nr_free, nr_queued;
	struct io_event events[AT_ONCE];
	unsigned next_event, nr_events;
	void *page[MAX_GREF]; /* by its grant */
};

int bare_io_open(
	struct bare_io **ret_io, const char *path, xengnttab_handle *grants, uint32_t domid)
{
	struct bare_io *io = calloc(1, sizeof(*io));
	int r;

	if (!io)
		return -ENOMEM;
	io->grants = grants;
	io->domid = domid;
	for (unsigned i = 0; i < SLOTS; i++)
		io->free[io->nr_free++] = &io->slot[i];
	io->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	io->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	r = io->fd < 0 || io->event_fd < 0 ? -errno : io_setup((int)SLOTS, &io->ctx);
	if (r == 0 && !aio_ring_is_known(io->ctx))
		r = -ENOSYS;
	if (r) {
		bare_io_close(io);
		return r;
	}
	*ret_io = io;
	return 0;
}

void bare_io_close(struct bare_io *io)
{
	if (!io)
		return;
	if (io->ctx)
		(void)io_destroy(io->ctx);
	for (unsigned i = 0; i < MAX_GREF; i++)
		if (io->page[i])
			(void)xengnttab_unmap(io->grants, io->page[i], 1);
	if (io->fd >= 0)
		(void)close(io->fd);
	if (io->event_fd >= 0)
		(void)close(io->event_fd);
	free(io);
}

static uint8_t *page_of(struct bare_io *io, uint32_t gref)
{
	if (gref >= MAX_GREF)
		return NULL;
	if (!io->page[gref])
		io->page[gref] = xengnttab_map_grant_ref(
			io->grants, io->domid, gref, PROT_READ | PROT_WRITE);
	return io->page[gref];
}

static bool add(struct bare_io *io, struct one *one, unsigned i, const struct wire_segment *seg)
{
	uint8_t *page = page_of(io, seg->gref);
	size_t size = (seg->last_sect - seg->first_sect + 1u) * WIRE_SECTOR_SIZE;

	if (!page)
		return false;
	one->iov[i] = (struct iovec){page + seg->first_sect * WIRE_SECTOR_SIZE, size};
	one->bytes += (uint32_t)size;
	return true;
}

/* The segments of an indirect request lie in pages of the guest's. */
static bool add_indirect(struct bare_io *io, struct one *one, const struct wire_indirect_64 *req)
{
	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct wire_segment *seg =
			(const void *)page_of(io, req->gref[i / WIRE_SEGMENTS_PER_PAGE]);

		if (!seg || !add(io, one, i, &seg[i % WIRE_SEGMENTS_PER_PAGE]))
			return false;
	}
	return true;
}

static bool add_direct(struct bare_io *io, struct one *one, const struct wire_request_64 *req)
{
	for (unsigned i = 0; i < req->nr_segments; i++)
		if (!add(io, one, i, &req->seg[i]))
			return false;
	return true;
}

bool bare_io_put(struct bare_io *io, const struct wire_slot *slot)
{
	bool is_indirect = slot->r64.operation == BLKIF_OP_INDIRECT;
	uint8_t op = is_indirect ? slot->i64.indirect_op : slot->r64.operation;
	int nr = is_indirect ? slot->i64.nr_segments : slot->r64.nr_segments;
	struct one *one = io->free[io->nr_free - 1];
	long long at = (long long)slot->r64.sector_number * WIRE_SECTOR_SIZE;

	one->id = slot->r64.id;
	one->op = op;
	one->bytes = 0;
	if ((op != BLKIF_OP_READ && op != BLKIF_OP_WRITE) || nr > (int)SEGMENTS ||
		!(is_indirect ? add_indirect(io, one, &slot->i64)
			      : add_direct(io, one, &slot->r64)))
		return false;
	if (op == BLKIF_OP_READ)
		io_prep_preadv(&one->iocb, io->fd, one->iov, nr, at);
	else
		io_prep_pwritev(&one->iocb, io->fd, one->iov, nr, at);
	io_set_eventfd(&one->iocb, io->event_fd);
	one->iocb.data = one;
	io->nr_free--;
	io->queued[io->nr_queued++] = &one->iocb;
	return true;
}

int bare_io_submit(struct bare_io *io)
{
	unsigned done = 0;

	while (done < io->nr_queued) {
		int n = io_submit(io->ctx, (long)(io->nr_queued - done), &io->queued[done]);

		if (n <= 0)
			return n < 0 ? n : -EAGAIN;
		done += (unsigned)n;
	}
	io->nr_queued = 0;
	return 0;
}

bool bare_io_has_done(const struct bare_io *io)
{
	return io->next_event < io->nr_events || aio_ring_has_events(io->ctx);
}

bool bare_io_take(struct bare_io *io, struct bare_io_done *ret_done)
{
	struct io_event *event;
	struct one *one;

	if (io->next_event == io->nr_events) {
		io->nr_events = aio_ring_take(io->ctx, io->events, AT_ONCE);
		io->next_event = 0;
	}
	if (io->nr_events == 0)
		return false;
	event = &io->events[io->next_event++];
	one = event->data;
	*ret_done = (struct bare_io_done){
		one->id, one->op, event->res == one->bytes ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR};
	io->free[io->nr_free++] = one;
	return true;
}

int bare_io_fd(const struct bare_io *io)
{
	return io->event_fd;
}
