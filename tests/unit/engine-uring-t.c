/*
 * What the engine of io_uring has to itself: kernels that do not know the newest ways of telling what has ended, results that say nothing
 * about the data, refusals that libaio does not know, and a process that may not use it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include "tests/lib/engine_rig.h"

/* By another thread than made it, as it is with a queue. */
static void *use(void *arg)
{
	struct fixture *f = arg;
	int error[CAPACITY];

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < CAPACITY; i++)
			put(f, i % 3 ? ENGINE_READ : ENGINE_WRITE,
				i == round % 11 ? &f->closed : &f->storage, i * 4096u, i);
		f->engine->ops->commit(f->engine);
		reap_all(f, CAPACITY, 1 + round % CAPACITY, error);
		for (unsigned i = 0; i < CAPACITY; i++)
			assert_int_equal(error[i], i == round % 11 ? -EBADF : 0);
	}
	return NULL;
}

static void rounds(struct fixture *f)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, use, f), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A kernel that does not know the newest ways of telling, or none of them. */
static void test_older_kernels(void **state)
{
	const unsigned unknown[] = {IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER,
		IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		~0u};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		f->engine->ops->destroy(f->engine);
		kernel.unknown = unknown[i];
		if (i == 2)
			assert_int_equal(uring(CAPACITY + 1, &f->engine), -EINVAL);
		kernel.unknown = i == 2 ? 0 : kernel.unknown;
		assert_int_equal(uring(CAPACITY + 1, &f->engine), 0);
		rounds(f);
	}
}

/*
 * The flag that there is work, where there is none any more: nobody looks for it for ever, with nothing in flight or with a read that
 * takes its time; nor is it taken for something to reap. What comes later is reaped all the same.
 */
static void test_late_flag(void **state)
{
	struct fixture *f = *state;
	struct storage slow = f->storage;
	struct engine_done done;
	int error[CAPACITY], ends[2];

	kernel.late = true;
	rounds(f);
	f->engine->ops->destroy(f->engine);
	assert_int_equal(uring(CAPACITY + 1, &f->engine), 0);
	assert_int_equal(pipe(ends), 0);
	slow.fd = ends[0];
	for (unsigned round = 0; round < 20; round++) {
		put(f, ENGINE_READ, &slow, 0, 0);
		put(f, ENGINE_READ, &f->closed, 0, 1);
		f->engine->ops->commit(f->engine);
		while (f->engine->ops->reap(f->engine, &done, 1) == 0)
			;
		assert_int_equal(done.tag, 101);
		assert_int_equal(f->engine->ops->reap(f->engine, &done, 1), 0);
		assert_false(f->engine->ops->has_done(f->engine));
		assert_int_equal(write(ends[1], f->memory, 4096), 4096);
		reap_all(f, 1, 1, error);
		assert_int_equal(error[0], 0);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/*
 * Work that makes no result, and what makes one behind it: nobody is told of the rest by the eventfd, so it is done at once. The read waits for a
 * pipe: its end is work, whatever the file system.
 */
static void test_futile_work(void **state)
{
	struct fixture *f = *state;
	struct storage slow = f->storage;
	int error[CAPACITY], ends[2];

	assert_int_equal(pipe(ends), 0);
	slow.fd = ends[0];
	for (unsigned round = 0; round < 20; round++) {
		put(f, ENGINE_READ, &slow, 0, 0);
		f->engine->ops->commit(f->engine);
		kernel.nr_futile = round;
		assert_int_equal(write(ends[1], f->memory, 4096), 4096);
		reap_all(f, 1, 1, error);
		assert_int_equal(error[0], 0);
		assert_int_equal(kernel.nr_futile, 0);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* What the kernel's thread met with says nothing about the data: it is done again, and the answer is that one's. */
static void test_interrupted(void **state)
{
	const int results[] = {-EINTR, -EAGAIN, 512};
	struct fixture *f = *state;
	int error[CAPACITY];

	for (unsigned i = 0; i < 3; i++) {
		kernel.result = results[i];
		put(f, ENGINE_READ, &f->storage, 0, 0);
		put(f, ENGINE_WRITE, &f->closed, 0, 1);
		f->engine->ops->commit(f->engine);
		reap_all(f, 2, 1, error);
		assert_int_equal(error[0], 0);
		assert_int_equal(error[1], -EBADF);
	}
	kernel.result = -ENOSPC;
	put(f, ENGINE_WRITE, &f->storage, 0, 0);
	f->engine->ops->commit(f->engine);
	reap_all(f, 1, 1, error);
	assert_int_equal(error[0], -ENOSPC);
}

/* The kernel has its hands full with results; and one that will have nothing to do with us any more. */
static void test_other_refusals(void **state)
{
	struct fixture *f = *state;
	int error[CAPACITY];

	put(f, ENGINE_READ, &f->storage, 0, 0);
	f->engine->ops->commit(f->engine);
	kernel.nr_refusals = 1;
	kernel.refusal = -EBUSY;
	put(f, ENGINE_READ, &f->storage, 0, 1);
	f->engine->ops->commit(f->engine);
	reap_all(f, 2, CAPACITY, error);
	assert_int_equal(error[1], 0);

	kernel.nr_refusals = 1;
	kernel.refusal = -EPERM;
	for (unsigned i = 0; i < CAPACITY; i++)
		put(f, ENGINE_WRITE, &f->storage, 0, i);
	f->engine->ops->commit(f->engine);
	reap_all(f, CAPACITY, 3, error);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(error[i], -EPERM);
}

/* Where it is forbidden: said, and nothing is left behind. */
static void test_forbidden(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int before = dup(f->fd), after;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			_exit(2);
		(void)close(before);
		if (uring(CAPACITY, &f->engine) != -EPERM)
			_exit(3);
		after = dup(f->fd);
		_exit(after == before ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OF(uring, test_older_kernels),
		TEST_OF(uring, test_late_flag),
		TEST_OF(uring, test_futile_work),
		TEST_OF(uring, test_interrupted),
		TEST_OF(uring, test_other_refusals),
		TEST_OF(uring, test_forbidden),
	};

	if (uring_error()) {
		printf("1..0 # SKIP no io_uring here: %s\n", strerror(-uring_error()));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
