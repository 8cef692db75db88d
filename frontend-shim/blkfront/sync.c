#include "frontend-shim/blkfront/sync.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Requests one call has in flight at most: a single-page ring holds no more. */
#define WINDOW 32

struct blkfront_sync {
	struct blkfront *front;
	pthread_mutex_t lock; /* guards all of front, and every transfer */
	pthread_cond_t room;  /* a request completed, or none ever will */
	pthread_t reaper;
	bool reaping; /* the thread was started */
	bool stop;    /* guarded by lock */
	int wake_fd;
	unsigned next_queue; /* of the next call; guarded by lock */
};

struct part {
	struct blkfront_request req;
	struct part *next; /* while free */
};

/* One call, cut into parts. Lives on the caller's stack. */
struct transfer {
	struct blkfront_sync *sync;
	uint8_t op, last_op;
	unsigned queue; /* all parts go through one */
	uint64_t sector;
	uint64_t nr_left; /* sectors not submitted yet */
	uint64_t nr_discard;
	uint8_t *data;
	bool empty; /* one request without data */
	unsigned nr_pending;
	int error;
	pthread_cond_t ended; /* one of the parts did */
	struct part *free;
	struct part part[WINDOW]; /* large, and no more initialised than it takes */
};

/* What one request may have. */
struct bounds {
	uint64_t max_sectors;
	uint64_t max_last; /* if that is a barrier: it cannot be indirect */
};

/* ---- one call --------------------------------------------------------------------------------- */

static int status_error(const struct blkfront_request *req)
{
	if (req->error)
		return req->error;
	if (req->status == BLKIF_RSP_OKAY)
		return 0;
	return req->status == BLKIF_RSP_EOPNOTSUPP ? -EOPNOTSUPP : -EIO;
}

/* In the reaper, under the lock. */
static void part_done(struct blkfront_request *req)
{
	struct transfer *transfer = req->opaque;
	struct part *part = (struct part *)req; /* its first member */
	int error = status_error(req);

	if (error && !transfer->error)
		transfer->error = error;
	part->next = transfer->free;
	transfer->free = part;
	transfer->nr_pending--;
	pthread_cond_signal(&transfer->ended);
	pthread_cond_signal(&transfer->sync->room);
}

static bool has_more(const struct transfer *transfer)
{
	return !transfer->error && (transfer->nr_left > 0 || transfer->empty);
}

/* The next part's sectors: a barrier is left for the end, if it is to be one. */
static unsigned part_sectors(const struct transfer *transfer, const struct bounds *bounds)
{
	uint64_t n = transfer->nr_left;

	if (n > bounds->max_last)
		n -= bounds->max_last;
	return (unsigned)(n < bounds->max_sectors ? n : bounds->max_sectors);
}

static int submit_part(struct transfer *transfer, const struct bounds *bounds)
{
	struct part *part = transfer->free;
	bool last = transfer->nr_left <= bounds->max_last;
	unsigned n = part_sectors(transfer, bounds);
	int r;

	part->req = (struct blkfront_request){
		.op = last ? transfer->last_op : transfer->op,
		.queue = transfer->queue,
		.sector = transfer->sector,
		.nr_sectors = n,
		.discard_sectors = transfer->nr_discard,
		.data = n ? transfer->data : NULL,
		.done = part_done,
		.opaque = transfer,
	};
	transfer->free = part->next;
	r = blkfront_submit(transfer->sync->front, &part->req);
	if (r) {
		part->next = transfer->free;
		transfer->free = part;
		return r;
	}
	transfer->nr_pending++;
	transfer->nr_left -= n;
	transfer->sector += n;
	if (n)
		transfer->data += (size_t)n * WIRE_SECTOR_SIZE;
	transfer->empty = false;
	return 0;
}

/* Submit what fits and push it. -EAGAIN: parts are left that the ring or the pages have no room for. */
static int submit_parts(struct transfer *transfer, const struct bounds *bounds)
{
	struct blkfront *front = transfer->sync->front;
	int r = 0, pushed;

	while (r == 0 && has_more(transfer) && transfer->free)
		r = submit_part(transfer, bounds);
	if (r == -EAGAIN && blkfront_outstanding(front) == 0)
		r = -ENOMEM; /* nothing will ever make room: the pool is too small */
	if (r && r != -EAGAIN && !transfer->error)
		transfer->error = r;
	pushed = blkfront_push(front);
	if (pushed && !transfer->error)
		transfer->error = pushed;
	return r == -EAGAIN ? r : 0;
}

static int run(struct transfer *transfer, const struct bounds *bounds)
{
	struct blkfront_sync *sync = transfer->sync;

	pthread_mutex_lock(&sync->lock);
	transfer->queue = sync->next_queue++;
	while (has_more(transfer) || transfer->nr_pending > 0) {
		int r = has_more(transfer) ? submit_parts(transfer, bounds) : 0;

		if (r == -EAGAIN && has_more(transfer))
			pthread_cond_wait(&sync->room, &sync->lock);
		else if (transfer->nr_pending > 0)
			pthread_cond_wait(&transfer->ended, &sync->lock);
	}
	pthread_mutex_unlock(&sync->lock);
	return transfer->error;
}

static struct bounds bounds_of(const struct blkfront *front, uint8_t last_op)
{
	unsigned n = blkfront_max_sectors(front);
	bool may_be_indirect = last_op == BLKIF_OP_READ || last_op == BLKIF_OP_WRITE;

	return (struct bounds){n, may_be_indirect ? n : blkfront_max_direct_sectors(front)};
}

/* Carry out @t, of which the members that say what to do are set. */
static int perform(struct transfer *t)
{
	struct bounds bounds = bounds_of(t->sync->front, t->last_op);
	int r;

	for (unsigned i = 0; i < WINDOW; i++) {
		t->part[i].next = t->free;
		t->free = &t->part[i];
	}
	if (pthread_cond_init(&t->ended, NULL))
		return -ENOMEM;
	r = run(t, &bounds);
	pthread_cond_destroy(&t->ended);
	return r;
}

static int transfer(struct blkfront_sync *sync, uint8_t op, uint8_t last_op, void *data,
	size_t size_bytes, uint64_t offset_bytes)
{
	struct transfer t;

	if (size_bytes % WIRE_SECTOR_SIZE || offset_bytes % WIRE_SECTOR_SIZE)
		return -EINVAL;
	memset(&t, 0, offsetof(struct transfer, part));
	t.sync = sync;
	t.op = op;
	t.last_op = last_op;
	t.sector = offset_bytes >> WIRE_SECTOR_SHIFT;
	t.nr_left = size_bytes >> WIRE_SECTOR_SHIFT;
	t.data = data;
	t.empty = size_bytes == 0;
	return perform(&t);
}

int blkfront_sync_discard(struct blkfront_sync *sync, uint64_t size_bytes, uint64_t offset_bytes)
{
	struct transfer t;

	if (size_bytes % WIRE_SECTOR_SIZE || offset_bytes % WIRE_SECTOR_SIZE)
		return -EINVAL;
	memset(&t, 0, offsetof(struct transfer, part));
	t.sync = sync;
	t.op = t.last_op = BLKIF_OP_DISCARD;
	t.sector = offset_bytes >> WIRE_SECTOR_SHIFT;
	t.nr_discard = size_bytes >> WIRE_SECTOR_SHIFT;
	t.empty = true;
	return perform(&t);
}

int blkfront_sync_read(
	struct blkfront_sync *sync, void *data, size_t size_bytes, uint64_t offset_bytes)
{
	if (size_bytes == 0)
		return 0;
	return transfer(sync, BLKIF_OP_READ, BLKIF_OP_READ, data, size_bytes, offset_bytes);
}

int blkfront_sync_write(
	struct blkfront_sync *sync, const void *data, size_t size_bytes, uint64_t offset_bytes)
{
	if (size_bytes == 0)
		return 0;
	return transfer(
		sync, BLKIF_OP_WRITE, BLKIF_OP_WRITE, (void *)data, size_bytes, offset_bytes);
}

int blkfront_sync_barrier(
	struct blkfront_sync *sync, const void *data, size_t size_bytes, uint64_t offset_bytes)
{
	return transfer(sync, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, (void *)data, size_bytes,
		offset_bytes);
}

int blkfront_sync_flush(struct blkfront_sync *sync)
{
	struct blkfront_disk disk = blkfront_sync_disk(sync);
	uint8_t op = disk.flush ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;

	if (!disk.flush && !disk.barrier)
		return 0;
	return transfer(sync, op, op, NULL, 0, 0);
}

/* ---- the reaper ------------------------------------------------------------------------------- */

/* Under the lock. Follow a backend that closes as soon as nothing is in flight any more. */
static void follow_closing(struct blkfront_sync *sync)
{
	if (!blkfront_is_connected(sync->front) || !blkfront_is_closing(sync->front))
		return;
	pthread_cond_broadcast(&sync->room);
	if (blkfront_outstanding(sync->front) == 0)
		(void)blkfront_close(sync->front); /* late or not, there is nothing more to do */
}

static void *reap(void *arg)
{
	struct blkfront_sync *sync = arg;
	struct blkfront *front = sync->front;

	pthread_mutex_lock(&sync->lock);
	while (!sync->stop) {
		struct pollfd fds[BLKFRONT_NR_FDS + 1];

		if (blkfront_reap(front))
			pthread_cond_broadcast(&sync->room); /* it misbehaved: all calls fail */
		follow_closing(sync);
		if (!blkfront_arm(front))
			continue;
		blkfront_poll_fds(front, fds);
		fds[BLKFRONT_NR_FDS] = (struct pollfd){.fd = sync->wake_fd, .events = POLLIN};
		pthread_mutex_unlock(&sync->lock);
		if (poll(fds, BLKFRONT_NR_FDS + 1, -1) < 0)
			fds[0].revents = fds[1].revents = 0; /* a signal: look again */
		pthread_mutex_lock(&sync->lock);
		if (blkfront_acknowledge(front, fds))
			pthread_cond_broadcast(&sync->room); /* it is gone: all calls fail */
	}
	pthread_mutex_unlock(&sync->lock);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------- */

static int start(
	struct blkfront_sync *sync, const struct blkfront_options *options, char **ret_error)
{
	int r = blkfront_create(options, &sync->front, ret_error);

	if (r)
		return r;
	r = blkfront_connect(sync->front);
	if (r) {
		if (ret_error)
			*ret_error = strdup(blkfront_error(sync->front));
		return r;
	}
	sync->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sync->wake_fd < 0)
		return -errno;
	r = -pthread_create(&sync->reaper, NULL, reap, sync);
	sync->reaping = r == 0;
	return r;
}

int blkfront_sync_create(
	const struct blkfront_options *options, struct blkfront_sync **ret_sync, char **ret_error)
{
	struct blkfront_sync *sync = calloc(1, sizeof(*sync));
	int r;

	if (ret_error)
		*ret_error = NULL;
	if (!sync)
		return -ENOMEM;
	sync->wake_fd = -1;
	pthread_mutex_init(&sync->lock, NULL);
	pthread_cond_init(&sync->room, NULL);
	r = start(sync, options, ret_error);
	if (r) {
		blkfront_sync_destroy(sync);
		return r;
	}
	*ret_sync = sync;
	return 0;
}

static void stop_reaper(struct blkfront_sync *sync)
{
	uint64_t one = 1;

	if (!sync->reaping)
		return;
	pthread_mutex_lock(&sync->lock);
	sync->stop = true;
	pthread_mutex_unlock(&sync->lock);
	/* The counter cannot be full: nobody else writes. */
	(void)!write(sync->wake_fd, &one, sizeof(one));
	pthread_join(sync->reaper, NULL);
	sync->reaping = false;
}

void blkfront_sync_destroy(struct blkfront_sync *sync)
{
	if (!sync)
		return;
	stop_reaper(sync);
	if (sync->front && blkfront_is_connected(sync->front))
		(void)blkfront_close(
			sync->front); /* all is taken back even if the backend is late */
	blkfront_destroy(sync->front);
	if (sync->wake_fd >= 0)
		(void)close(sync->wake_fd);
	pthread_cond_destroy(&sync->room);
	pthread_mutex_destroy(&sync->lock);
	free(sync);
}

struct blkfront_disk blkfront_sync_disk(struct blkfront_sync *sync)
{
	struct blkfront_disk disk;

	pthread_mutex_lock(&sync->lock);
	disk = *blkfront_disk(sync->front);
	pthread_mutex_unlock(&sync->lock);
	return disk;
}

struct blkfront_stats blkfront_sync_stats(struct blkfront_sync *sync)
{
	struct blkfront_stats stats;

	pthread_mutex_lock(&sync->lock);
	stats = blkfront_stats(sync->front);
	pthread_mutex_unlock(&sync->lock);
	return stats;
}
