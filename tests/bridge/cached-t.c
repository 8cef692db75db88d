/*
 * What the page cache holds of a file is counted (B1): all of it, by both ways of asking, without bringing a page in.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bridge/bridge.h"

static void test_counts(void **state)
{
	int fd = scratch_file("file", 2 * MIB);
	struct cached part, cached;

	(void)state;
	/* Fails if it never sees all of it dirty. */
	fill_dirty(fd, MIB, MIB, 1);
	cached = cached_now(fd);
	assert_int_equal(cached.pages, MIB / BLOCK);
	if (cached.dirty_known) {
		assert_int_equal(cached_range(fd, 0, MIB, &part), 0);
		assert_int_equal(part.pages, 0);
		assert_int_equal(cached_range(fd, MIB + BLOCK, 2 * BLOCK, &part), 0);
		assert_int_equal(part.pages, 2);
	}
	assert_int_equal(fdatasync(fd), 0);
	cached = cached_now(fd);
	assert_int_equal(cached.pages, MIB / BLOCK);
	assert_int_equal(cached.dirty, 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(cached_now(fd).pages, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* The last page of a file is a whole one, and windows of mincore meet without a gap. */
static void test_by_mincore(void **state)
{
	const uint64_t size_bytes = 65 * (uint64_t)MIB + 100;
	int fd = scratch_file("file", size_bytes);
	struct cached cached;

	(void)state;
	fill(fd, 0, BLOCK, 1);
	fill(fd, 63 * (uint64_t)MIB, 2 * MIB, 2);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)size_bytes - 1), 1);
	assert_int_equal(cached_mincore(fd, &cached), 0);
	assert_int_equal(cached.pages, 1 + 2 * MIB / BLOCK + 1);
	assert_false(cached.dirty_known);
	assert_int_equal(cached.dirty, 0);
	assert_int_equal(cached_now(fd).pages, cached.pages);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_holes(void **state)
{
	int fd = scratch_file("file", 100 * 1024 * (uint64_t)MIB);
	struct cached cached;

	(void)state;
	assert_int_equal(cached_now(fd).pages, 0);
	assert_int_equal(cached_mincore(fd, &cached), 0);
	assert_int_equal(cached.pages, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(cached_now(fd).pages, 0);
	assert_int_equal(cached_mincore(fd, &cached), 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Reading or writing, with a name or without. */
static void test_any_descriptor(void **state)
{
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR | O_DIRECT};
	int fd = scratch_file("file", MIB), other[3];

	(void)state;
	fill(fd, 0, 3 * BLOCK, 1);
	for (unsigned i = 0; i < 3; i++)
		other[i] = open(in_scratch("file"), flags[i] | O_CLOEXEC);
	(void)unlink(in_scratch("file"));
	(void)close(fd);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(cached_now(other[i]).pages, 3);
		(void)close(other[i]);
	}
}

static void test_neither_file_nor_device(void **state)
{
	struct cached cached;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(cached_count(ends[0], &cached), -EINVAL);
	assert_int_equal(cached_count(-1, &cached), -EBADF);
	assert_false(cached_is_storage(ends[0]));
	assert_false(cached_is_storage(-1));
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* A file in memory is one whose pages are the storage; a device's node may lie on such a file system. */
static void test_in_memory(void **state)
{
	int memory = memfd_create("image", MFD_CLOEXEC);
	int file = scratch_file("file", MIB);
	int node = open("/dev/loop0", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(cached_is_storage(memory));
	assert_false(cached_is_storage(file));
	assert_false(cached_is_storage(node));
	(void)close(memory);
	(void)close(file);
	(void)unlink(in_scratch("file"));
	if (node >= 0)
		(void)close(node);
}

/* Whoever may neither write nor owns the file is told that all of it is cached: that is no answer. */
static void test_mincore_without_right(void **state)
{
	int fd = scratch_file("file", MIB), read_only;
	struct cached cached;

	(void)state;
	assert_int_equal(fchmod(fd, 0644), 0);
	read_only = open(in_scratch("file"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(cached_mincore(read_only, &cached), 0);
	if (geteuid() == 0) {
		/* Of this thread: its rights on files go with it. */
		assert_int_equal(syscall(SYS_setresuid, -1, 65534, -1), 0);
		assert_int_equal(cached_mincore(read_only, &cached), -EPERM);
		assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	}
	(void)close(fd);
	(void)close(read_only);
	(void)unlink(in_scratch("file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_by_mincore),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_any_descriptor),
		cmocka_unit_test(test_neither_file_nor_device),
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_mincore_without_right),
	};
	int failed;

	if (scratch_make()) {
		printf("1..0 # SKIP no folder with direct I/O and a page cache\n");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_remove();
	return failed;
}
