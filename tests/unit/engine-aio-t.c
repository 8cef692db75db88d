/*
 * The aio engine on a real file: each verb; every I/O is reaped exactly once, with its own tag and its
 * own error, whatever the kernel takes or refuses; the descriptor says when there is something.
 *
 * io_submit() is ours and passes on to libaio's, as many as the test says: a kernel whose queues are
 * full cannot be had otherwise. So are pthread_create(), fallocate() and fdatasync(), for a kernel without threads, a discard that
 * takes its time, and a signal in between.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <libaio.h>

#include "backend/data/discard.h"
#include "backend/data/engine.h"
#include "backend/data/storage.h"

#define CAPACITY    8u
#define DEADLINE_MS 60000 /* a shared disk's fdatasync */
#define FILE_BYTES  65536u

/* What the next calls of io_submit do. */
static struct {
	unsigned calls;
	unsigned nr_refusals; /* -EAGAIN */
	long most;            /* accepts no more at once; 0: any */
	bool no_threads;
	bool slow; /* fallocate() waits until it may go on */
	sem_t may_go_on;
	atomic_uint nr_discarded;
	atomic_uint nr_interrupted; /* the next calls of fdatasync */
} kernel;

int io_submit(io_context_t ctx, long nr, struct iocb *iocbs[])
{
	static int (*real)(io_context_t, long, struct iocb **);

	kernel.calls++;
	if (kernel.nr_refusals > 0) {
		kernel.nr_refusals--;
		return -EAGAIN;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_submit");
	return real(ctx, kernel.most && nr > kernel.most ? kernel.most : nr, iocbs);
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

struct fixture {
	struct engine *engine;
	int fd;
	struct storage
		storage; /* on it, by direct I/O as far as the engine knows; the same through the page cache; on nothing */
	struct storage buffered;
	struct storage closed;
	uint8_t *memory;
	struct iovec iov[CAPACITY];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char name[] = "/tmp/engine-aio-t.XXXXXX";

	assert_non_null(f);
	memset(&kernel, 0, sizeof(kernel));
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
	assert_int_equal(engine_aio_create(CAPACITY, &f->engine), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
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

static void put(struct fixture *f, enum engine_verb verb, const struct storage *storage,
	uint64_t offset, unsigned i)
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

/* The descriptor says it; then reap, at most @most at once. Errors by i; each once. */
static void reap_all(struct fixture *f, unsigned n, unsigned most, int *ret_error)
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
	assert_int_equal(f->engine->ops->reap(f->engine, done, CAPACITY), 0);
}

static void test_each_verb(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];
	uint8_t bytes[4096];

	memset(f->memory, 0x5a, 4096);
	put(f, ENGINE_WRITE, &f->storage, 8192, 0);
	f->engine->ops->commit(f->engine);
	reap_all(f, 1, CAPACITY, error);
	assert_int_equal(error[0], 0);
	assert_int_equal(pread(f->fd, bytes, 4096, 8192), 4096);
	assert_memory_equal(bytes, f->memory, 4096);

	put(f, ENGINE_SYNC, &f->storage, 0, 1);
	put(f, ENGINE_READ, &f->storage, 8192, 2);
	f->engine->ops->commit(f->engine);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[1], 0);
	assert_int_equal(error[2], 0);
	assert_memory_equal(f->memory + 2 * 4096, f->memory, 4096);
}

/* One io_submit for all that was put. */
static void test_one_batch(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned i = 0; i < CAPACITY; i++)
		put(f, ENGINE_READ, &f->storage, i * 4096u, i);
	assert_int_equal(kernel.calls, 0);
	f->engine->ops->commit(f->engine);
	assert_int_equal(kernel.calls, 1);
	f->engine->ops->commit(f->engine);
	assert_int_equal(kernel.calls, 1);
	reap_all(f, CAPACITY, CAPACITY, error);
}

static void test_short_is_an_error(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	put(f, ENGINE_READ, &f->storage, FILE_BYTES - 512, 0);
	put(f, ENGINE_READ, &f->storage, FILE_BYTES, 1);
	put(f, ENGINE_READ, &f->storage, FILE_BYTES - 4096, 2);
	f->engine->ops->commit(f->engine);
	reap_all(f, 3, CAPACITY, error);
	assert_int_equal(error[0], -EIO);
	assert_int_equal(error[1], -EIO);
	assert_int_equal(error[2], 0);
}

/* A bad one among good ones, wherever it stands, fails alone; nothing is lost. */
static void test_bad_ones_fail_alone(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned bad = 0; bad < 1u << CAPACITY; bad += 3) {
		for (unsigned i = 0; i < CAPACITY; i++)
			put(f, ENGINE_READ, bad >> i & 1 ? &f->closed : &f->storage, 0, i);
		f->engine->ops->commit(f->engine);
		reap_all(f, CAPACITY, 1 + bad % CAPACITY, error);
		for (unsigned i = 0; i < CAPACITY; i++)
			assert_int_equal(error[i], bad >> i & 1 ? -EBADF : 0);
	}
}

static void put_discard(struct fixture *f, unsigned i)
{
	static const atomic_bool stop = false;

	f->engine->ops->put(f->engine, &(struct engine_io){.verb = ENGINE_DISCARD,
					       .storage = &f->storage,
					       .size_bytes = 8192,
					       .stop = &stop,
					       .tag = 100 + i});
}

/* Done by a thread: until it is reaped it is in flight, even if it has ended. */
static void test_discard_is_in_flight(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	discard_probe(f->fd, false, &f->storage.discard);
	put_discard(f, 0);
	put(f, ENGINE_READ, &f->storage, 0, 1);
	f->engine->ops->commit(f->engine);
	assert_int_equal(f->engine->ops->in_flight(f->engine), 2);
	reap_all(f, 2, 1, error);
	assert_int_equal(error[0], f->storage.discard.possible ? 0 : -EOPNOTSUPP);
	assert_int_equal(error[1], 0);
}

/* All else ends while a discard takes its time; and then those behind it. */
static void test_slow_discard(void **state)
{
	struct fixture *f = *state;
	struct engine_done done[CAPACITY];
	unsigned n = 0;

	discard_probe(f->fd, false, &f->storage.discard);
	assert_true(f->storage.discard.possible);
	kernel.slow = true;
	kernel.nr_discarded = 0;
	for (unsigned i = 0; i < 3; i++)
		put_discard(f, i);
	put(f, ENGINE_SYNC, &f->storage, 0, 3);
	put(f, ENGINE_WRITE, &f->storage, 0, 4);
	f->engine->ops->commit(f->engine);
	while (n < 2) {
		struct pollfd pfd = {.fd = f->engine->ops->fd(f->engine), .events = POLLIN};
		uint64_t count;

		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		(void)!read(pfd.fd, &count, sizeof(count));
		n += f->engine->ops->reap(f->engine, done + n, CAPACITY - n);
	}
	for (unsigned i = 0; i < n; i++)
		assert_in_range(done[i].tag, 103, 104);
	assert_int_equal(f->engine->ops->in_flight(f->engine), 3);
	for (unsigned i = 0; i < 3; i++)
		(void)sem_post(&kernel.may_go_on);
	while (n < 5)
		n += f->engine->ops->reap(f->engine, done + n, CAPACITY - n);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(done[2 + i].tag, 100 + i);
		assert_int_equal(done[2 + i].error, 0);
	}
	assert_int_equal(kernel.nr_discarded, 3);
}

static void test_wrong_mode(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];
	struct storage null = {
		.kind = &storage_file, .fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};

	put(f, ENGINE_WRITE, &null, 0, 0);
	put(f, ENGINE_SYNC, &null, 0, 1);
	f->engine->ops->commit(f->engine);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[0], -EBADF);
	assert_int_equal(error[1], -EINVAL);
	(void)close(null.fd);
}

/* Through the page cache the kernel is never asked for asynchronous I/O; threads do it, each once. */
static void test_buffered(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < CAPACITY; i++) {
			memset(f->memory + i * 4096, (int)(round + i), 4096);
			put(f, ENGINE_WRITE, &f->buffered, i * 4096u, i);
		}
		f->engine->ops->commit(f->engine);
		reap_all(f, CAPACITY, 1 + round % CAPACITY, error);
		memset(f->memory, 0xff, (size_t)CAPACITY * 4096);
		for (unsigned i = 0; i < CAPACITY; i++) {
			assert_int_equal(error[i], 0);
			put(f, ENGINE_READ, &f->buffered, i * 4096u, i);
		}
		reap_all(f, CAPACITY, CAPACITY, error);
		for (unsigned i = 0; i < CAPACITY; i++) {
			assert_int_equal(error[i], 0);
			assert_int_equal(f->memory[i * 4096], (uint8_t)(round + i));
			assert_int_equal(f->memory[i * 4096 + 4095], (uint8_t)(round + i));
		}
	}
	put(f, ENGINE_READ, &f->buffered, FILE_BYTES - 512, 0);
	reap_all(f, 1, 1, error);
	assert_int_equal(error[0], -EIO);
	assert_int_equal(kernel.calls, 0);
}

/* Without any thread they are done all the same, while the caller waits. */
static void test_buffered_without_threads(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	kernel.no_threads = true;
	put(f, ENGINE_WRITE, &f->buffered, 0, 0);
	put(f, ENGINE_READ, &f->buffered, FILE_BYTES, 1);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[0], 0);
	assert_int_equal(error[1], -EIO);
}

/*
 * A disk that is full in the middle of a write: the kernel does a part of it, and what is wrong with the rest is not kept to
 * itself. By asynchronous I/O and by threads.
 */
static void test_part_has_its_error(void **state)
{
	struct fixture *f = *state;
	const struct storage *kinds[] = {&f->storage, &f->buffered};
	struct rlimit before, less;
	int error[CAPACITY];

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	less = before;
	less.rlim_cur = FILE_BYTES + 1024;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
	for (unsigned i = 0; i < 2; i++) {
		put(f, ENGINE_WRITE, kinds[i], FILE_BYTES, 0);
		f->engine->ops->commit(f->engine);
		reap_all(f, 1, 1, error);
		assert_int_equal(error[0], -EFBIG);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

/* A kernel that takes them one by one gets them one by one, in order. */
static void test_partial_acceptance(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	kernel.most = 1;
	for (unsigned i = 0; i < CAPACITY; i++)
		put(f, ENGINE_READ, &f->storage, i * 4096u, i);
	f->engine->ops->commit(f->engine);
	reap_all(f, CAPACITY, CAPACITY, error);
	assert_int_equal(kernel.calls, CAPACITY);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(error[i], 0);
}

/* Full while I/O is running: the rest waits for the next completion, and fails nobody. */
static void test_full_kernel_is_tried_again(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	put(f, ENGINE_READ, &f->storage, 0, 0);
	f->engine->ops->commit(f->engine);
	kernel.nr_refusals = 1;
	for (unsigned i = 1; i < CAPACITY; i++)
		put(f, ENGINE_READ, &f->storage, 0, i);
	f->engine->ops->commit(f->engine);
	assert_int_equal(f->engine->ops->in_flight(f->engine), CAPACITY);
	reap_all(f, CAPACITY, CAPACITY, error);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(error[i], 0);
}

/* Full with nothing of ours running: nobody would ever wake us, so it is an error, said at once. */
static void test_full_kernel_of_others(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	kernel.nr_refusals = 1;
	put(f, ENGINE_READ, &f->storage, 0, 0);
	put(f, ENGINE_READ, &f->storage, 0, 1);
	f->engine->ops->commit(f->engine);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[0], -EAGAIN);
	assert_int_equal(error[1], 0);
}

/* A file system in user space that was asked to hurry up has not said that data is lost. */
static void test_interrupted_sync(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	kernel.nr_interrupted = 3;
	put(f, ENGINE_SYNC, &f->storage, 0, 0);
	reap_all(f, 1, CAPACITY, error);
	assert_int_equal(error[0], 0);
	assert_int_equal(kernel.nr_interrupted, 0);
}

/* That nobody can start it is no answer to whether the data is safe: a sync is done at once. A discard may be refused. */
static void test_no_threads(void **state)
{
	struct fixture *f = *state;
	struct engine_done done;
	int error[CAPACITY];

	discard_probe(f->fd, false, &f->storage.discard);
	kernel.no_threads = true;
	put(f, ENGINE_SYNC, &f->storage, 0, 0);
	f->engine->ops->commit(f->engine);
	reap_all(f, 1, CAPACITY, error);
	assert_int_equal(error[0], 0);
	put(f, ENGINE_SYNC, &f->closed, 0, 0);
	put_discard(f, 1);
	assert_int_equal(f->engine->ops->reap(f->engine, &done, 1), 1);
	assert_int_equal(done.error, -EBADF);
	assert_false(done.refused);
	assert_int_equal(f->engine->ops->reap(f->engine, &done, 1), 1);
	assert_int_equal(done.error, -EAGAIN);
	assert_true(done.refused);
	/* There are some again. */
	kernel.no_threads = false;
	put(f, ENGINE_SYNC, &f->storage, 0, 0);
	reap_all(f, 1, CAPACITY, error);
	assert_int_equal(error[0], 0);
}

static void test_places_are_used_again(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned round = 0; round < 500; round++) {
		unsigned n = 1 + round % CAPACITY;

		for (unsigned i = 0; i < n; i++)
			put(f, ENGINE_WRITE, i == 3 ? &f->closed : &f->storage, i * 4096u, i);
		f->engine->ops->commit(f->engine);
		reap_all(f, n, 1 + round % 3, error);
	}
}

#define ENGINE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENGINE_TEST(test_each_verb),
		ENGINE_TEST(test_one_batch),
		ENGINE_TEST(test_short_is_an_error),
		ENGINE_TEST(test_bad_ones_fail_alone),
		ENGINE_TEST(test_discard_is_in_flight),
		ENGINE_TEST(test_slow_discard),
		ENGINE_TEST(test_buffered),
		ENGINE_TEST(test_buffered_without_threads),
		ENGINE_TEST(test_part_has_its_error),
		ENGINE_TEST(test_wrong_mode),
		ENGINE_TEST(test_partial_acceptance),
		ENGINE_TEST(test_full_kernel_is_tried_again),
		ENGINE_TEST(test_full_kernel_of_others),
		ENGINE_TEST(test_interrupted_sync),
		ENGINE_TEST(test_no_threads),
		ENGINE_TEST(test_places_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
