#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/data/blockers.h"
#include "backend/data/engine.h"
#include "backend/data/storage.h"

/*
 *   free: places nobody uses                  a stack of indexes
 *   queued: put, not yet accepted             what is in the submission ring; the kernel takes from its head
 *   failed: refused by the kernel             reaped before anything else, with their results
 *
 * Only what is done by direct I/O comes here: the rest is done by threads (blockers.h). The submission ring has a place for each I/O, and
 * the completion ring for each result, so neither is ever too small.
 *
 * How results come, with the best of the kernel's ways: the end of an I/O makes work for the queue thread (*task work*), sets
 * IORING_SQ_TASKRUN, and writes the eventfd if it is the first. The work is done, and writes the results, when that thread enters the
 * kernel for it, and at no other time; so no other system call of the thread is ever interrupted for it. Whoever looks for
 * results looks at that flag, too. What ends after a look that found neither result nor flag writes the eventfd: nothing is missed.
 * Whether flag and eventfd are one to the kernel is its own affair: .shows_all stays false, so that each word of the eventfd is heeded.
 */
struct engine_uring {
	struct engine base;
	struct io_uring ring;
	bool has_ring;
	bool is_disabled; /* until the thread that is to use it is known */
	int event_fd;
	unsigned capacity;
	unsigned nr_free;
	unsigned nr_submitted; /* accepted, not reaped */
	unsigned nr_failed;
	struct engine_io *io;
	unsigned *free;
	struct engine_done *failed;
	struct blockers blockers;
};

static struct engine_uring *self(struct engine *e)
{
	return (struct engine_uring *)e;
}

/* Direct reads and writes. */
static void queue_io(struct engine_uring *u, const struct engine_io *io)
{
	/* Never NULL: as many places as I/Os. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	unsigned place = u->free[--u->nr_free];

	u->io[place] = *io;
	if (io->verb == ENGINE_READ)
		io_uring_prep_readv(sqe, io->storage->fd, io->iov, io->nr_iov, io->offset_bytes);
	else
		io_uring_prep_writev(sqe, io->storage->fd, io->iov, io->nr_iov, io->offset_bytes);
	io_uring_sqe_set_data64(sqe, place);
}

static void uring_put(struct engine *e, const struct engine_io *io)
{
	struct engine_uring *u = self(e);

	if (!blockers_take(&u->blockers, io))
		queue_io(u, io);
}

/* One that is queued will never be accepted: report it as finished. */
static void fail(struct engine_uring *u, unsigned place, int error)
{
	u->failed[u->nr_failed++] =
		(struct engine_done){.tag = u->io[place].tag, .error = error, .refused = true};
	u->free[u->nr_free++] = place;
}

/*
 * All that is queued. The kernel looks at its end of the submission ring only while we are in it, so what it has not taken can be
 * taken back.
 */
static void fail_queued(struct engine_uring *u, int error)
{
	struct io_uring_sq *sq = &u->ring.sq;
	unsigned head = *sq->khead;
	uint64_t one = 1;

	for (unsigned i = head; i != sq->sqe_tail; i++)
		fail(u, (unsigned)sq->sqes[i & *sq->kring_mask].user_data, error);
	sq->sqe_head = sq->sqe_tail = head;
	*sq->ktail = head;
	/* The queue must wake up to reap them. A full counter has woken it already. */
	(void)!write(u->event_fd, &one, sizeof(one));
}

/* The thread that commits first is the one. */
static int enable(struct engine_uring *u)
{
	int r = u->is_disabled ? io_uring_enable_rings(&u->ring) : 0;

	u->is_disabled = u->is_disabled && r < 0;
	return r < 0 ? r : 0;
}

static int submit(struct engine_uring *u)
{
	int r = enable(u);

	return r ? r : io_uring_submit(&u->ring);
}

static void uring_commit(struct engine *e)
{
	struct engine_uring *u = self(e);

	while (io_uring_sq_ready(&u->ring) > 0) {
		int n = submit(u);

		if (n > 0)
			u->nr_submitted += (unsigned)n;
		else if (n == -EINTR)
			continue;
		else if ((n == 0 || n == -EAGAIN || n == -EBUSY) && u->nr_submitted > 0)
			return; /* tried again after the next completion */
		else
			fail_queued(u, n == 0 ? -EAGAIN : n);
	}
}

/* EINTR and EAGAIN say what became of the kernel's thread that was to wait for the I/O, and nothing about the data. */
static bool is_unfinished(const struct engine_io *io, int res)
{
	if (res < 0)
		return res == -EINTR || res == -EAGAIN;
	return (uint64_t)res != io->size_bytes;
}

/* One that has ended: true if @ret_done says how. */
static bool end_place(
	struct engine_uring *u, const struct io_uring_cqe *cqe, struct engine_done *ret_done)
{
	unsigned place = (unsigned)cqe->user_data;
	const struct engine_io *io = &u->io[place];
	bool unfinished = is_unfinished(io, cqe->res);

	if (unfinished)
		blockers_finish(&u->blockers, io);
	else
		*ret_done =
			(struct engine_done){.tag = io->tag, .error = cqe->res < 0 ? cqe->res : 0};
	u->free[u->nr_free++] = place;
	u->nr_submitted--;
	return !unfinished;
}

/* There are results that the kernel writes when it is entered for them. */
static bool has_work(const struct engine_uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static unsigned reap_failed(struct engine_uring *u, struct engine_done *done, unsigned max)
{
	unsigned n = 0;

	while (n < max && u->nr_failed > 0)
		done[n++] = u->failed[--u->nr_failed];
	return n;
}

/* Up to @max results that are there. */
static unsigned take_results(struct engine_uring *u, struct engine_done *done, unsigned max)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0, got = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (n == max)
			break;
		n += end_place(u, cqe, &done[n]);
		got++;
	}
	io_uring_cq_advance(&u->ring, got);
	return n;
}

/*
 * Have the kernel do the work that it has until that has made results: false if there is no work left.
 *
 * It does some of it at a time, and not all work makes a result: I/O through FUSE is tried again and again while the page cache has
 * something of its place (seen on Linux 6.18). What is left over then only the flag tells, the eventfd does not. And another processor's
 * kernel thread may set the flag just after its work was done by us. So the flag is taken back before the kernel looks for
 * work: whoever set it had that work ready, and if it is set afterwards there is more.
 */
static bool fetch_results(struct engine_uring *u)
{
	while (has_work(u)) {
		int r;

		(void)__atomic_fetch_and(u->ring.sq.kflags, ~IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
		do
			r = io_uring_get_events(&u->ring);
		while (r == -EINTR);
		if (r < 0)
			return false;
		if (io_uring_cq_ready(&u->ring) > 0)
			return true;
	}
	return false;
}

/* Less than @max only when there is neither result nor work left: the eventfd has been written for those, and is not once more. */
static unsigned reap_results(struct engine_uring *u, struct engine_done *done, unsigned max)
{
	unsigned n = 0;

	do {
		while (n < max && (io_uring_cq_ready(&u->ring) > 0 || fetch_results(u)))
			n += take_results(u, done + n, max - n);
		/* What did not fit before may fit now. The kernel, entered for it, does some of its work, too. */
		uring_commit(&u->base);
	} while (n < max && (io_uring_cq_ready(&u->ring) > 0 || has_work(u)));
	return n;
}

static unsigned uring_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	struct engine_uring *u = self(e);
	unsigned n = reap_failed(u, done, max);

	n += blockers_reap(&u->blockers, done + n, max - n);
	if (u->nr_submitted == 0 || n == max)
		return n;
	return n + reap_results(u, done + n, max - n);
}

static bool uring_has_done(const struct engine *e)
{
	const struct engine_uring *u = (const struct engine_uring *)e;

	return u->nr_failed > 0 || blockers_have_done(&u->blockers) ||
	       (u->nr_submitted > 0 && (io_uring_cq_ready(&u->ring) > 0 || has_work(u)));
}

static int uring_fd(const struct engine *e)
{
	return ((const struct engine_uring *)e)->event_fd;
}

static unsigned uring_in_flight(const struct engine *e)
{
	const struct engine_uring *u = (const struct engine_uring *)e;

	return u->capacity - u->nr_free + u->nr_failed + blockers_in_flight(&u->blockers);
}

static void uring_destroy(struct engine *e)
{
	struct engine_uring *u = self(e);

	if (u == NULL)
		return;
	if (u->has_ring)
		io_uring_queue_exit(&u->ring);
	blockers_fini(&u->blockers);
	if (u->event_fd >= 0)
		(void)close(u->event_fd);
	free(u->io);
	free(u->free);
	free(u->failed);
	free(u);
}

static const struct engine_ops uring_ops = {
	.put = uring_put,
	.commit = uring_commit,
	.has_done = uring_has_done,
	.reap = uring_reap,
	.fd = uring_fd,
	.in_flight = uring_in_flight,
	.destroy = uring_destroy,
};

static bool allocate(struct engine_uring *u, unsigned capacity)
{
	u->io = calloc(capacity, sizeof(*u->io));
	u->free = calloc(capacity, sizeof(*u->free));
	u->failed = calloc(capacity, sizeof(*u->failed));
	if (!u->io || !u->free || !u->failed)
		return false;
	for (unsigned i = 0; i < capacity; i++)
		u->free[i] = capacity - 1 - i;
	u->capacity = capacity;
	u->nr_free = capacity;
	return true;
}

/*
 * The best ways first; a kernel says EINVAL to what it does not know. A ring of a single issuer (6.1) belongs to the thread that
 * enables it, which is not the one that makes it.
 */
static int set_up_ring(struct engine_uring *u)
{
	static const unsigned ways[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, /* 5.19 */
		0,
	};
	int r = -EINVAL;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]) && r == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = ways[i] | IORING_SETUP_CQSIZE, .cq_entries = u->capacity};

		r = io_uring_queue_init_params(u->capacity, &u->ring, &params);
		u->is_disabled = ways[i] & IORING_SETUP_R_DISABLED;
	}
	u->has_ring = r == 0;
	return u->has_ring ? io_uring_register_eventfd(&u->ring, u->event_fd) : r;
}

int engine_uring_create(unsigned capacity, struct engine **ret_engine)
{
	struct engine_uring *u = calloc(1, sizeof(*u));
	int r;

	if (u == NULL)
		return -ENOMEM;
	u->base.ops = &uring_ops;
	u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = u->event_fd < 0 ? -errno : 0;
	/* A SYNC is not for the ring. */
	if (r == 0 && !allocate(u, capacity - 1))
		r = -ENOMEM;
	if (r == 0)
		r = blockers_init(&u->blockers, capacity, u->event_fd);
	if (r == 0)
		r = set_up_ring(u);
	if (r) {
		uring_destroy(&u->base);
		return r;
	}
	*ret_engine = &u->base;
	return 0;
}
