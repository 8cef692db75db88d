/*
 * The engines of files and devices, libaio's and io_uring's, on a real file: each verb; every I/O is reaped exactly once, with its own
 * tag and its own error, whatever the kernel takes or refuses; the descriptor says when there is something.
 *
 * What is io_uring's alone is in engine-uring-t.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/data/discard.h"
#include "tests/lib/engine_rig.h"

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

/* One system call for all that was put. */
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

/* The kernel is given more than two, or it does not hand them over together; what is more is nobody's. By itself and behind a bad one. */
static void test_collected(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned n = 1; n <= 4; n++) {
		for (unsigned i = 0; i < n; i++)
			put(f, ENGINE_READ, &f->storage, i * 4096u, i);
		kernel.calls = 0;
		f->engine->ops->commit(f->engine);
		assert_int_equal(kernel.calls, 1);
		assert_int_equal(kernel.given, n < 3 ? 3 : n);
		assert_int_equal(f->engine->ops->in_flight(f->engine), n);
		reap_all(f, n, CAPACITY, error);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(error[i], 0);
		assert_int_equal(f->engine->ops->in_flight(f->engine), 0);
	}
	put(f, ENGINE_READ, &f->storage, 0, 0);
	put(f, ENGINE_READ, &f->closed, 0, 1);
	f->engine->ops->commit(f->engine);
	assert_int_equal(kernel.given, 3);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[0], 0);
	assert_int_equal(error[1], -EBADF);
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

/*
 * Full with nothing of ours running: nobody would ever wake us, so it is an error, said at once. libaio is asked about the others, io_uring
 * has been.
 */
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
	assert_int_equal(error[1], f->create == uring ? -EAGAIN : 0);
	/* The next ones are none of those. */
	put(f, ENGINE_READ, &f->storage, 0, 2);
	put(f, ENGINE_READ, &f->closed, 0, 3);
	f->engine->ops->commit(f->engine);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[2], 0);
	assert_int_equal(error[3], -EBADF);
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

/* Who looks again and again sees it, without being told by the descriptor. */
static void test_seen_without_waiting(void **state)
{
	struct fixture *f = *state;
	struct engine_done done;
	time_t deadline = time(NULL) + DEADLINE_MS / 1000;

	for (unsigned i = 0; i < 100; i++) {
		assert_false(f->engine->ops->has_done(f->engine));
		put(f, i % 3 ? ENGINE_READ : ENGINE_SYNC, &f->storage, 0, 0);
		f->engine->ops->commit(f->engine);
		while (!f->engine->ops->has_done(f->engine))
			assert_true(time(NULL) < deadline);
		while (f->engine->ops->reap(f->engine, &done, 1) == 0)
			assert_true(time(NULL) < deadline);
		assert_int_equal(done.error, 0);
	}
}

static void *use(void *arg)
{
	struct fixture *f = arg;
	int error[CAPACITY];

	for (unsigned i = 0; i < CAPACITY; i++)
		put(f, ENGINE_READ, &f->storage, i * 4096u, i);
	f->engine->ops->commit(f->engine);
	reap_all(f, CAPACITY, CAPACITY, error);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(error[i], 0);
	return NULL;
}

/* As it is with a queue: one thread makes and destroys it, another one uses it. */
static void test_used_by_another_thread(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, use, f), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

#define TESTS_OF(engine)                                                                           \
	TEST_OF(engine, test_each_verb), TEST_OF(engine, test_one_batch),                          \
		TEST_OF(engine, test_short_is_an_error),                                           \
		TEST_OF(engine, test_bad_ones_fail_alone),                                         \
		TEST_OF(engine, test_discard_is_in_flight), TEST_OF(engine, test_slow_discard),    \
		TEST_OF(engine, test_buffered), TEST_OF(engine, test_buffered_without_threads),    \
		TEST_OF(engine, test_part_has_its_error), TEST_OF(engine, test_wrong_mode),        \
		TEST_OF(engine, test_partial_acceptance),                                          \
		TEST_OF(engine, test_full_kernel_is_tried_again),                                  \
		TEST_OF(engine, test_full_kernel_of_others),                                       \
		TEST_OF(engine, test_interrupted_sync), TEST_OF(engine, test_no_threads),          \
		TEST_OF(engine, test_places_are_used_again),                                       \
		TEST_OF(engine, test_seen_without_waiting),                                        \
		TEST_OF(engine, test_used_by_another_thread)

int main(void)
{
	const struct CMUnitTest both[] = {
		TESTS_OF(aio), TEST_OF(aio, test_collected), TESTS_OF(uring)};
	const struct CMUnitTest one[] = {TESTS_OF(aio), TEST_OF(aio, test_collected)};

	/* Where it is missing engine-uring-t says so. */
	return uring_error() ? cmocka_run_group_tests(one, NULL, NULL)
			     : cmocka_run_group_tests(both, NULL, NULL);
}
