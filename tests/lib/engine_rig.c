#include "tests/lib/engine_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <libaio.h>
#include <liburing.h>

struct rig_kernel kernel;

create_engine *const aio = engine_aio_create;
create_engine *const uring = engine_uring_create;

int io_submit(io_context_t ctx, long nr, struct iocb *iocbs[])
{
	static int (*real)(io_context_t, long, struct iocb **);

	kernel.calls++;
	kernel.given = nr;
	if (kernel.nr_refusals > 0) {
		kernel.nr_refusals--;
		return kernel.refusal;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_submit");
	return real(ctx, kernel.most && nr > kernel.most ? kernel.most : nr, iocbs);
}

/* The results that nobody has seen yet are others. */
static void change_results(struct io_uring *ring)
{
	unsigned tail = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);

	for (unsigned i = *ring->cq.khead; kernel.result && i != tail; i++)
		ring->cq.cqes[i & *ring->cq.kring_mask].res = kernel.result;
}

/* Of those that are queued, as many as the kernel takes at once. */
static int submit_some(struct io_uring *ring)
{
	unsigned n;
	long r;

	ring->sq.sqe_head = ring->sq.sqe_tail;
	__atomic_store_n(ring->sq.ktail, ring->sq.sqe_tail, __ATOMIC_RELEASE);
	n = io_uring_sq_ready(ring);
	n = n < kernel.most ? n : (unsigned)kernel.most;
	r = syscall(SYS_io_uring_enter, ring->ring_fd, n, 0, 0, NULL, 0);
	return r < 0 ? -errno : (int)r;
}

int io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring *);
	int n;

	kernel.calls++;
	if (kernel.nr_refusals > 0) {
		kernel.nr_refusals--;
		return kernel.refusal;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit");
	n = kernel.most ? submit_some(ring) : real(ring);
	change_results(ring);
	return n;
}

int io_uring_get_events(struct io_uring *ring)
{
	static int (*real)(struct io_uring *);
	int r;

	if (kernel.nr_futile > 0) {
		kernel.nr_futile--;
		__atomic_fetch_or(ring->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
		return 0;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_get_events");
	r = real(ring);
	if (kernel.late && io_uring_cq_ready(ring) > 0)
		__atomic_fetch_or(ring->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
	change_results(ring);
	return r;
}

/* That of liburing 2.3 is in the archive, but not in the shared library. */
int io_uring_enable_rings(struct io_uring *ring)
{
	long r = syscall(
		SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	return r < 0 ? -errno : 0;
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	static int (*real)(unsigned, struct io_uring *, struct io_uring_params *);

	if (p->flags & kernel.unknown)
		return -EINVAL;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
	return real(entries, ring, p);
}

int pthread_create(
	pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (kernel.no_threads)
		return EAGAIN;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(ret_thread, attributes, run, arg);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	static int (*real)(int, int, off_t, off_t);

	if (kernel.slow)
		(void)sem_wait(&kernel.may_go_on);
	kernel.nr_discarded++;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fallocate");
	return real(fd, mode, offset, length);
}

int fdatasync(int fd)
{
	if (kernel.nr_interrupted > 0) {
		kernel.nr_interrupted--;
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int uring_error(void)
{
	struct engine *engine;
	int r = uring(2, &engine);

	if (r == 0)
		engine->ops->destroy(engine);
	return r;
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char name[] = "/tmp/engine-t.XXXXXX";

	assert_non_null(f);
	f->create = *(create_engine *const *)*state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.refusal = -EAGAIN;
	(void)sem_init(&kernel.may_go_on, 0, 0);
	f->fd = mkstemp(name);
	assert_true(f->fd >= 0);
	(void)unlink(name);
	assert_int_equal(ftruncate(f->fd, FILE_BYTES), 0);
	f->storage = (struct storage){.kind = &storage_file, .fd = f->fd};
	f->closed = (struct storage){.kind = &storage_file, .fd = -1};
	f->buffered = f->storage;
	f->buffered.cache = CACHE_WRITEBACK;
	f->memory = calloc(CAPACITY, 4096);
	assert_non_null(f->memory);
	/* And a sync. */
	assert_int_equal(f->create(CAPACITY + 1, &f->engine), 0);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < CAPACITY; i++)
		(void)sem_post(&kernel.may_go_on);
	f->engine->ops->destroy(f->engine);
	(void)close(f->fd);
	free(f->memory);
	free(f);
	return 0;
}

void put(struct fixture *f, enum engine_verb verb, const struct storage *storage, uint64_t offset,
	unsigned i)
{
	f->iov[i] = (struct iovec){.iov_base = f->memory + i * 4096, .iov_len = 4096};
	f->engine->ops->put(f->engine, &(struct engine_io){.verb = verb,
					       .storage = storage,
					       .offset_bytes = offset,
					       .iov = verb == ENGINE_SYNC ? NULL : &f->iov[i],
					       .nr_iov = verb == ENGINE_SYNC ? 0 : 1,
					       .size_bytes = verb == ENGINE_SYNC ? 0 : 4096,
					       .tag = 100 + i});
}

void reap_all(struct fixture *f, unsigned n, unsigned most, int *ret_error)
{
	struct engine_done done[CAPACITY];
	bool seen[CAPACITY] = {false}, all_taken = true;
	unsigned total = 0;

	while (total < n) {
		struct pollfd pfd = {.fd = f->engine->ops->fd(f->engine), .events = POLLIN};
		unsigned got;
		uint64_t count;

		assert_int_equal(f->engine->ops->in_flight(f->engine), n - total);
		/* Once read it says nothing of what is left over, if not all that has ended is taken. */
		if (all_taken) {
			assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
			(void)!read(pfd.fd, &count, sizeof(count));
		}
		got = f->engine->ops->reap(f->engine, done, most);
		assert_in_range(got, 0, most);
		all_taken = got < most;
		for (unsigned i = 0; i < got; i++) {
			unsigned tag = done[i].tag - 100;

			assert_in_range(tag, 0, CAPACITY - 1);
			assert_false(seen[tag]);
			seen[tag] = true;
			ret_error[tag] = done[i].error;
		}
		total += got;
	}
	assert_int_equal(f->engine->ops->in_flight(f->engine), 0);
	assert_false(f->engine->ops->has_done(f->engine));
	assert_int_equal(f->engine->ops->reap(f->engine, done, CAPACITY), 0);
}
