/*
 * A queue's life: created and destroyed by the control thread, run by its own.
 */
#include "backend/data/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"

/* ---- creation, in the order things can fail ---- */

/* Every page the ring's requests usually have. */
static unsigned nr_persistent(const struct queue *q)
{
	unsigned n = q->nr_slots * LIMIT_PERSISTENT_GRANTS_SLOT;

	if (n > LIMIT_PERSISTENT_GRANTS)
		n = LIMIT_PERSISTENT_GRANTS;
	return n < q->cfg.max_grants ? n : q->cfg.max_grants;
}

static int attach_ring(struct queue *q, struct problem *ret_problem)
{
	const struct queue_config *cfg = &q->cfg;
	unsigned nr_grants = nr_persistent(q);
	int r = guest_open(&q->guest, cfg->domid, cfg->max_grants, cfg->budget, &q->stats);

	if (r)
		return problem_set(ret_problem, r,
			"the grant table cannot be used: %s: is /dev/xen/gntdev there (module xen-gntdev)?",
			strerror(-r));
	if (pcache_init(&q->pcache, &q->guest, nr_grants))
		return problem_set(ret_problem, -ENOMEM, "no memory for %u grants", nr_grants);
	q->ring_pages = guest_map_ring(&q->guest, q->cfg.ring_ref, cfg->nr_ring_refs);
	if (q->ring_pages == NULL)
		return problem_set(ret_problem, errno ? -errno : -EINVAL,
			"ring-ref %u of domain %u%s cannot be mapped: %s: did the frontend grant it read-write to this domain?",
			cfg->ring_ref[0], cfg->domid,
			cfg->nr_ring_refs > 1 ? ", or another page of that ring," : "",
			strerror(errno));
	backring_init(&q->ring, cfg->abi, q->ring_pages, cfg->nr_ring_refs);
	/* A request that finds no slot would keep the thread from sleeping. */
	assert(q->ring.nr_slots == q->nr_slots);
	if (!backring_is_fresh(&q->ring))
		return problem_set(ret_problem, -EBUSY,
			"the ring of domain %u has been served before, by a worker that is gone or until its frontend changed its keys: it cannot be taken over; the guest has to reconnect (reboot it, or detach and attach the disk)",
			cfg->domid);
	return 0;
}

/* Why there is no io_uring, as far as the kernel says. */
static int no_uring(int r, struct problem *ret_problem)
{
	if (r == -EPERM)
		return problem_set(ret_problem, r,
			"io_uring is forbidden here, by sysctl kernel.io_uring_disabled or a seccomp filter: allow it, or use engine=aio");
	if (r == -ENOSYS || r == -EINVAL)
		return problem_set(ret_problem, r,
			"this kernel has no io_uring, or too old a one: use engine=aio");
	return problem_set(ret_problem, r, "io_uring cannot be set up: %s", strerror(-r));
}

static int create_engine(struct queue *q, struct problem *ret_problem)
{
	enum storage_engine which = q->cfg.engine;
	/* Every slot's I/O and one fdatasync. */
	int r = q->disk->storage.kind->create_engine(which, q->nr_slots + 1, &q->engine);

	if (r && which == STORAGE_URING)
		return no_uring(r, ret_problem);
	if (r == -EAGAIN)
		return problem_set(ret_problem, r,
			"no more asynchronous I/O contexts on this host: raise sysctl fs.aio-max-nr");
	if (r)
		return problem_set(
			ret_problem, r, "asynchronous I/O cannot be set up: %s", strerror(-r));
	return 0;
}

void slots_free_all(struct queue *q)
{
	for (unsigned i = 0; i < q->nr_slots; i++)
		q->free.slot[i] = (uint16_t)(q->nr_slots - 1 - i);
	q->free.n = q->nr_slots;
}

/* Becomes memory when it is used. NULL when not even that can be had. */
static void *address_space(size_t size_bytes)
{
	void *space = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return space == MAP_FAILED ? NULL : space;
}

static int allocate_slots(struct queue *q, struct problem *ret_problem)
{
	unsigned n = q->nr_slots;
	uint16_t *lists = calloc((size_t)n * 5, sizeof(*lists));

	q->free.slot = lists;
	q->slot = address_space(n * sizeof(*q->slot));
	q->iov = address_space(n * sizeof(*q->iov));
	q->descriptors = address_space(LIMIT_TAKE_PER_PASS * sizeof(*q->descriptors));
	if (lists == NULL || q->slot == NULL || q->iov == NULL || q->descriptors == NULL)
		return problem_set(ret_problem, -ENOMEM, "no memory for %u requests", n);
	q->taken.slot = lists + n;
	q->done.slot = lists + (size_t)n * 2;
	q->waiting.slot = lists + (size_t)n * 3;
	q->kept.slot = lists + (size_t)n * 4;
	slots_free_all(q);
	order_port_init(&q->order);
	if (buffers_init(&q->buffers))
		return problem_set(ret_problem, -ENOMEM, "no memory for the copy buffers");
	return 0;
}

static int watch_fd(struct queue *q, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(q->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int create_epoll(struct queue *q, struct problem *ret_problem)
{
	int r = 0;

	q->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->epoll_fd < 0 || q->wake_fd < 0)
		r = -errno;
	if (r == 0)
		r = watch_fd(q, channel_fd(&q->channel), EPOLLIN);
	if (r == 0)
		r = watch_fd(q, q->wake_fd, EPOLLIN);
	/* Edge: the counter behind it is never read, completions are looked for instead. */
	if (r == 0)
		r = watch_fd(q, q->engine->ops->fd(q->engine), EPOLLIN | EPOLLET);
	if (r)
		return problem_set(ret_problem, r, "events cannot be waited for: %s", strerror(-r));
	return 0;
}

int queue_create(const struct queue_config *cfg, struct disk *disk, struct queue **ret_queue,
	struct problem *ret_problem)
{
	struct queue *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return problem_set(ret_problem, -ENOMEM, "no memory for a queue");
	q->cfg = *cfg;
	q->disk = disk;
	q->limits = (struct blk_limits){.nr_sectors = disk_nr_sectors(disk),
		.read_only = disk->storage.read_only,
		.flush = cfg->flush,
		.barrier = cfg->barrier,
		.discard = cfg->discard,
		.max_indirect_segments = cfg->indirect ? LIMIT_SEGMENTS : 0};
	q->take_limit = LIMIT_TAKE_FIRST;
	poller_init(&q->poller, &cfg->poll, &disk->poll_budget);
	q->nr_slots = wire_nr_slots(cfg->abi, cfg->nr_ring_refs);
	assert(q->nr_slots <= LIMIT_SLOTS);
	q->epoll_fd = -1;
	q->wake_fd = -1;
	r = attach_ring(q, ret_problem);
	if (r == 0)
		r = channel_open(&q->channel, cfg->domid, cfg->event_channel, ret_problem);
	if (r == 0)
		r = create_engine(q, ret_problem);
	if (r == 0)
		r = allocate_slots(q, ret_problem);
	if (r == 0)
		r = create_epoll(q, ret_problem);
	if (r) {
		queue_destroy(q, NULL);
		return r;
	}
	disk_join(disk, cfg->index, q->nr_slots, q->wake_fd);
	q->joined = true;
	*ret_queue = q;
	return 0;
}

/* ---- the thread ---- */

static bool may_end(struct queue *q)
{
	if (!atomic_load(&q->stop) || !queue_is_idle(q))
		return false;
	q->joined = !disk_leave(q->disk, q->cfg.index);
	/* Not yet: something for us came in between. */
	q->look = q->joined;
	return !q->joined;
}

static void *queue_thread(void *arg)
{
	struct queue *q = arg;

	for (;;) {
		bool found = queue_poll_once(q);

		wait_judge(q, found);
		if (found)
			continue;
		if (may_end(q))
			return NULL;
		if (!q->look)
			wait_for_work(q);
	}
}

int queue_start(struct queue *q)
{
	char name[16];
	pthread_attr_t attributes;
	int r;

	/* Neither can fail on Linux, but for want of memory. Its helpers inherit what it may run on. */
	(void)pthread_attr_init(&attributes);
	r = q->cfg.pinned
		    ? pthread_attr_setaffinity_np(&attributes, sizeof(q->cfg.cpus), &q->cfg.cpus)
		    : 0;
	if (r == 0)
		r = pthread_create(&q->thread, &attributes, queue_thread, q);
	(void)pthread_attr_destroy(&attributes);
	if (r)
		return -r;
	q->has_thread = true;
	(void)snprintf(name, sizeof(name), "queue-%u", q->cfg.index);
	(void)pthread_setname_np(q->thread, name);
	return 0;
}

/* ---- the end ---- */

void queue_begin_stop(struct queue *q)
{
	uint64_t one = 1;

	atomic_store(&q->stop, true);
	if (q->wake_fd >= 0)
		(void)!write(q->wake_fd, &one, sizeof(one));
}

void queue_stop(struct queue *q)
{
	queue_begin_stop(q);
	if (!q->has_thread)
		return;
	(void)pthread_join(q->thread, NULL);
	q->has_thread = false;
	/* Nothing waits any more, whoever has looked last. */
	q->stats.stalled = q->stats.kept = 0;
}

static void release(struct queue *q)
{
	if (q->guest.handle) {
		pcache_fini(&q->pcache);
		if (q->ring_pages)
			guest_unmap_ring(&q->guest, q->ring_pages, q->cfg.nr_ring_refs);
	}
	channel_close(&q->channel);
	guest_close(&q->guest);
	if (q->engine)
		q->engine->ops->destroy(q->engine);
	buffers_fini(&q->buffers);
	free(q->free.slot);
	if (q->slot)
		(void)munmap(q->slot, q->nr_slots * sizeof(*q->slot));
	if (q->iov)
		(void)munmap(q->iov, q->nr_slots * sizeof(*q->iov));
	if (q->descriptors)
		(void)munmap(q->descriptors, LIMIT_TAKE_PER_PASS * sizeof(*q->descriptors));
	if (q->epoll_fd >= 0)
		(void)close(q->epoll_fd);
	if (q->wake_fd >= 0)
		(void)close(q->wake_fd);
}

void queue_destroy(struct queue *q, struct queue_stats *ret_stats)
{
	if (q == NULL)
		return;
	queue_stop(q);
	if (q->joined) {
		/* It never ran, or was driven by a test that left it idle. */
		bool left = disk_leave(q->disk, q->cfg.index);

		assert(left);
		(void)left;
	}
	release(q);
	if (ret_stats)
		*ret_stats = q->stats;
	free(q);
}

void queue_keep_no_more(struct queue *q)
{
	atomic_store(&q->keeps_no_more, true);
}

enum queue_status queue_status(const struct queue *q)
{
	return atomic_load(&q->status);
}

struct queue_stats queue_stats(const struct queue *q)
{
	return stats_read(&q->stats);
}

void queue_add_times(const struct queue *q, struct queue_times *sum)
{
	times_add(sum, &q->times);
}

void queue_report_request(struct queue *q)
{
	atomic_store(&q->reports_request, true);
}

bool queue_take_report(struct queue *q)
{
	return atomic_exchange(&q->report, false);
}
