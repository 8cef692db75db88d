#include <errno.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/data/aio_ring.h"
#include "backend/data/blockers.h"
#include "backend/data/engine.h"
#include "backend/data/storage.h"

/*
 *   free: iocbs nobody uses          a stack of pointers
 *   queued: put, not yet accepted    a FIFO of pointers; io_submit takes from its head
 *   failed: refused by io_submit     reaped before anything else, with their results
 *
 * Only what is done by direct I/O comes here: the rest is done by threads (blockers.h).
 *
 * An iocb's `.data` points to its slot; what it was asked for lies beside it.
 */
struct aio_slot {
	struct iocb iocb;
	struct engine_io io;
};

struct engine_aio {
	struct engine base;
	io_context_t ctx;
	int event_fd;
	unsigned capacity;
	unsigned nr_free;
	unsigned nr_queued;
	unsigned nr_submitted;
	unsigned nr_failed;
	struct aio_slot *slot;
	struct aio_slot **free;
	struct iocb **queued;
	struct engine_done *failed;
	struct io_event *events;
	struct iocb refused_at_sight;
	struct blockers blockers;
};

static struct engine_aio *self(struct engine *e)
{
	return (struct engine_aio *)e;
}

/*
 * What comes with one io_submit the kernel collects, and hands over to the device at its end, but only when it was given more than two
 * (AIO_PLUG_THRESHOLD in Linux' fs/aio.c). One or two it sends one by one: each with its own word to the device, and to a block device
 * that has an I/O scheduler by way of a kernel thread, with two switches of context (since 5.16; before, block devices collected by
 * themselves). So it is given three at least: behind what is queued comes one that it refuses at first sight, and
 * whatever is behind that is not looked at.
 */
#define COLLECTED 3u

/* Direct reads and writes. */
static void queue_io(struct engine_aio *a, const struct engine_io *io)
{
	struct aio_slot *slot = a->free[--a->nr_free];

	slot->io = *io;
	if (io->verb == ENGINE_READ)
		io_prep_preadv(&slot->iocb, io->storage->fd, io->iov, (int)io->nr_iov,
			(long long)io->offset_bytes);
	else
		io_prep_pwritev(&slot->iocb, io->storage->fd, io->iov, (int)io->nr_iov,
			(long long)io->offset_bytes);
	io_set_eventfd(&slot->iocb, a->event_fd);
	slot->iocb.data = slot;
	a->queued[a->nr_queued++] = &slot->iocb;
}

static void aio_put(struct engine *e, const struct engine_io *io)
{
	struct engine_aio *a = self(e);

	if (!blockers_take(&a->blockers, io))
		queue_io(a, io);
}

/* The first queued iocb will never be accepted: report it as finished. */
static void fail_first(struct engine_aio *a, int error)
{
	struct aio_slot *slot = a->queued[0]->data;
	uint64_t one = 1;

	a->failed[a->nr_failed++] =
		(struct engine_done){.tag = slot->io.tag, .error = error, .refused = true};
	a->free[a->nr_free++] = slot;
	a->nr_queued--;
	for (unsigned i = 0; i < a->nr_queued; i++)
		a->queued[i] = a->queued[i + 1];
	/* The queue must wake up to reap it. A full counter has woken it already. */
	(void)!write(a->event_fd, &one, sizeof(one));
}

static void drop_accepted(struct engine_aio *a, unsigned n)
{
	a->nr_queued -= n;
	a->nr_submitted += n;
	for (unsigned i = 0; i < a->nr_queued; i++)
		a->queued[i] = a->queued[i + n];
}

/* How many were accepted, as io_submit says it: what is queued, and never one more. */
static int submit(struct engine_aio *a)
{
	unsigned n = a->nr_queued;

	for (; n < COLLECTED; n++)
		a->queued[n] = &a->refused_at_sight;
	return io_submit(a->ctx, (long)n, a->queued);
}

static void aio_commit(struct engine *e)
{
	struct engine_aio *a = self(e);

	while (a->nr_queued > 0) {
		int n = submit(a);

		if (n > 0)
			drop_accepted(a, (unsigned)n);
		else if (n == -EINTR)
			continue;
		else if ((n == 0 || n == -EAGAIN) && a->nr_submitted > 0)
			return; /* tried again after the next completion */
		else
			fail_first(a, n == 0 ? -EAGAIN : n);
	}
}

/* One that has ended: true if @ret_done says how. */
static bool end_slot(
	struct engine_aio *a, const struct io_event *event, struct engine_done *ret_done)
{
	struct aio_slot *slot = event->data;
	/* libaio declares res unsigned, the kernel means a signed long. */
	long res = (long)event->res;
	bool is_part = res >= 0 && (uint64_t)res != slot->io.size_bytes;

	if (is_part)
		blockers_finish(&a->blockers, &slot->io);
	else
		*ret_done =
			(struct engine_done){.tag = slot->io.tag, .error = res < 0 ? (int)res : 0};
	a->free[a->nr_free++] = slot;
	a->nr_submitted--;
	return !is_part;
}

/* The kernel is asked only where its ring is none that we know. */
static unsigned take_events(struct engine_aio *a, unsigned max)
{
	struct timespec now = {0};
	int n;

	if (a->base.shows_all)
		return aio_ring_take(a->ctx, a->events, max);
	n = io_getevents(a->ctx, 0, (long)max, a->events, &now);
	return n > 0 ? (unsigned)n : 0;
}

static unsigned reap_failed(struct engine_aio *a, struct engine_done *done, unsigned max)
{
	unsigned n = 0;

	while (n < max && a->nr_failed > 0)
		done[n++] = a->failed[--a->nr_failed];
	return n;
}

static unsigned aio_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	struct engine_aio *a = self(e);
	unsigned n = reap_failed(a, done, max);
	unsigned got;

	n += blockers_reap(&a->blockers, done + n, max - n);
	if (a->nr_submitted == 0 || n == max)
		return n;
	got = take_events(a, max - n);
	for (unsigned i = 0; i < got; i++)
		n += end_slot(a, &a->events[i], &done[n]);
	/* What did not fit before may fit now. */
	if (got > 0 && a->nr_queued > 0)
		aio_commit(e);
	return n;
}

static bool aio_has_done(const struct engine *e)
{
	const struct engine_aio *a = (const struct engine_aio *)e;

	return a->nr_failed > 0 || blockers_have_done(&a->blockers) ||
	       (a->base.shows_all && a->nr_submitted > 0 && aio_ring_has_events(a->ctx));
}

static int aio_fd(const struct engine *e)
{
	return ((const struct engine_aio *)e)->event_fd;
}

static unsigned aio_in_flight(const struct engine *e)
{
	const struct engine_aio *a = (const struct engine_aio *)e;

	return a->capacity - a->nr_free + a->nr_failed + blockers_in_flight(&a->blockers);
}

static void aio_destroy(struct engine *e)
{
	struct engine_aio *a = self(e);

	if (a == NULL)
		return;
	if (a->ctx)
		(void)io_destroy(a->ctx);
	blockers_fini(&a->blockers);
	if (a->event_fd >= 0)
		(void)close(a->event_fd);
	free(a->slot);
	free(a->free);
	free(a->queued);
	free(a->failed);
	free(a->events);
	free(a);
}

static const struct engine_ops aio_ops = {
	.put = aio_put,
	.commit = aio_commit,
	.has_done = aio_has_done,
	.reap = aio_reap,
	.fd = aio_fd,
	.in_flight = aio_in_flight,
	.destroy = aio_destroy,
};

static bool allocate(struct engine_aio *a, unsigned capacity)
{
	a->slot = calloc(capacity, sizeof(*a->slot));
	a->free = calloc(capacity, sizeof(*a->free));
	a->queued = calloc(capacity + COLLECTED, sizeof(*a->queued));
	a->failed = calloc(capacity, sizeof(*a->failed));
	a->events = calloc(capacity, sizeof(*a->events));
	if (!a->slot || !a->free || !a->queued || !a->failed || !a->events)
		return false;
	for (unsigned i = 0; i < capacity; i++)
		a->free[i] = &a->slot[i];
	a->capacity = capacity;
	a->nr_free = capacity;
	return true;
}

int engine_aio_create(unsigned capacity, struct engine **ret_engine)
{
	struct engine_aio *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	a->base.ops = &aio_ops;
	a->refused_at_sight = (struct iocb){.aio_fildes = -1, .u.c.__pad3 = 1};
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->event_fd < 0 ? -errno : 0;
	if (r == 0 && !allocate(a, capacity))
		r = -ENOMEM;
	if (r == 0)
		r = blockers_init(&a->blockers, capacity, a->event_fd);
	if (r == 0)
		r = io_setup((int)capacity, &a->ctx);
	if (r) {
		aio_destroy(&a->base);
		return r;
	}
	/* Its ring can be read: aio_ring.h. */
	a->base.shows_all = aio_ring_is_known(a->ctx);
	*ret_engine = &a->base;
	return 0;
}
