/*
 * A queue that cannot be made: whichever of the calls it takes fails, there is an error with a sentence, and nothing is
 * left: no handle, no mapping, no descriptor. When none fails there is a queue; and one whose thread cannot be had is
 * still a queue that can be destroyed.
 *
 * The calls are the C library's, libaio's, and those of Xen that tests/fuzz/fake_xen.c has; the first fails, then the
 * second, and so on until there are no more.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <libaio.h>
#include <xentoollog.h>

#include "backend/data/queue_impl.h"
#include "tests/fuzz/fake_xen.h"

/* ---- calls that fail: so many succeed before one does not ---- */

static bool armed;
static unsigned left;
static bool failed;

static bool fails(void)
{
	if (!armed || left-- > 0)
		return false;
	armed = false;
	failed = true;
	return true;
}

static bool fails_with(int error)
{
	bool yes = fails();

	if (yes)
		errno = error;
	return yes;
}

int eventfd(unsigned count, int flags)
{
	return fails_with(EMFILE) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int epoll_create1(int flags)
{
	return fails_with(EMFILE) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return fails_with(ENOSPC) ? -1 : (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

int io_setup(int maxevents, io_context_t *ctxp)
{
	if (fails())
		return -EAGAIN;
	return syscall(SYS_io_setup, maxevents, ctxp) < 0 ? -errno : 0;
}

/* The logger that keeps libxengnttab quiet. */
xentoollog_logger_stdiostream *xtl_createlogger_stdiostream(
	FILE *f, xentoollog_level min_level, unsigned flags)
{
	static char logger;

	(void)f;
	(void)min_level;
	(void)flags;
	return fails() ? NULL : (xentoollog_logger_stdiostream *)(void *)&logger;
}

void xtl_logger_destroy(struct xentoollog_logger *logger)
{
	(void)logger;
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	(void)thread;
	(void)attributes;
	(void)start;
	(void)argument;
	return EAGAIN;
}

/* Memory: not below a sanitizer, which has these to itself. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) &&                         \
	!__has_feature(thread_sanitizer)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);

void *malloc(size_t size)
{
	return fails_with(ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails_with(ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (fails_with(ENOMEM))
		return MAP_FAILED;
	/* syscall() returns a long; the kernel means an address. */
	return (void *)(uintptr_t)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
}
#endif

/* ---- a disk and what is left of it ---- */

static struct disk disk;

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static int set_up(void **state)
{
	struct storage storage = {.kind = &storage_file,
		.fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.nr_sectors = 64,
		.unit = 512};

	(void)state;
	fake_xen_reset();
	fake_xen.fails = fails;
	return disk_init(&disk, &storage, 0);
}

static int tear_down(void **state)
{
	(void)state;
	disk_fini(&disk);
	return 0;
}

static int create(unsigned nr_good_calls, struct queue **ret_queue, struct problem *problem)
{
	const struct queue_config cfg = {
		.domid = FAKE_DOMID,
		.nr_ring_refs = 1,
		.ring_ref = {FAKE_DATA_REFS},
		.event_channel = FAKE_PORT,
		.persistent = true,
		.max_grants = LIMIT_GRANTS_DISK,
		.report_fd = disk.storage.fd,
	};
	int r;

	problem->text[0] = '\0';
	failed = false;
	left = nr_good_calls;
	armed = true;
	r = queue_create(&cfg, &disk, ret_queue, problem);
	armed = false;
	return r;
}

static void expect_nothing_left(unsigned nr_descriptors)
{
	assert_int_equal(fake_xen.nr_handles, 0);
	assert_int_equal(fake_xen.nr_mapped, 0);
	assert_int_equal(count_descriptors(), nr_descriptors);
	assert_int_equal(disk.order->members, 0);
}

static void test_every_call(void **state)
{
	unsigned nr_descriptors = count_descriptors(), n = 0;
	struct queue *queue = NULL;
	struct problem problem;
	int r;

	(void)state;
	while ((r = create(n, &queue, &problem)) != 0) {
		if (!failed)
			fail_msg("%s", problem.text);
		assert_true(r < 0);
		assert_true(problem.text[0] != '\0');
		assert_null(queue);
		expect_nothing_left(nr_descriptors);
		n++;
	}
	assert_false(failed);
	/* At least: two eventfds and an event channel, a logger, two handles, the ring, a port, aio, an epoll of three. */
	assert_true(n >= 12);
	queue_destroy(queue, NULL);
	expect_nothing_left(nr_descriptors);
}

static void test_served_before(void **state)
{
	unsigned nr_descriptors = count_descriptors();
	struct queue *queue = NULL;
	struct problem problem;

	(void)state;
	((struct wire_ring_header *)(void *)fake_xen_ring())->rsp_prod = 1;
	assert_int_equal(create(1000, &queue, &problem), -EBUSY);
	assert_non_null(strstr(problem.text, "served before"));
	expect_nothing_left(nr_descriptors);
}

static void test_no_thread(void **state)
{
	unsigned nr_descriptors = count_descriptors();
	struct queue_stats stats;
	struct queue *queue;
	struct problem problem;

	(void)state;
	assert_int_equal(create(1000, &queue, &problem), 0);
	assert_int_equal(queue_start(queue), -EAGAIN);
	queue_destroy(queue, &stats);
	assert_int_equal(stats.grants_mapped, 1);
	assert_int_equal(stats.grants_unmapped, 1);
	expect_nothing_left(nr_descriptors);
}

#define CREATE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CREATE_TEST(test_every_call),
		CREATE_TEST(test_served_before),
		CREATE_TEST(test_no_thread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
