/*
 * Dirty pages are written in pieces, by what is dirty and not by the size (B4); clean ones are dropped, mapped ones stay.
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
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/pagecache/write_back.h"
#include "tests/bridge/bridge.h"

struct steps {
	unsigned n;
	unsigned refuse_at; /* 0: never */
};

static int count_step(void *arg)
{
	struct steps *steps = arg;

	return ++steps->n == steps->refuse_at ? -ECANCELED : 0;
}

static bool can_tell_dirty(int fd)
{
	return cached_now(fd).dirty_known;
}

/* 100 MiB at two places of a file of 100 GiB: four pieces of 32 MiB, or a few more. */
static void test_pieces(void **state)
{
	int fd = scratch_file("file", 100 * 1024 * (uint64_t)MIB);
	struct steps steps = {0};

	(void)state;
	/* The kernel may have written some of it before. */
	for (unsigned i = 0; i < 100 && (i == 0 || (steps.n < 3 && can_tell_dirty(fd))); i++) {
		fill_dirty(fd, 0, 50 * MIB, 1);
		fill_dirty(fd, 77777 * (uint64_t)MIB, 50 * MIB, 2);
		steps.n = 0;
		assert_int_equal(write_back(fd, count_step, &steps), 0);
	}
	assert_int_equal(cached_now(fd).dirty, 0);
	if (can_tell_dirty(fd))
		assert_in_range(steps.n, 3, 15);
	assert_int_equal(write_back_drop(fd), 0);
	assert_int_equal(cached_now(fd).pages, 0);
	assert_int_equal(byte_on_medium(in_scratch("file"), 49 * MIB), 1);
	assert_int_equal(byte_on_medium(in_scratch("file"), 77800 * (uint64_t)MIB), 2);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Between pieces only: one is written in any case. */
static void test_one_piece(void **state)
{
	int fd = scratch_file("file", MIB);
	struct steps steps = {.refuse_at = 1};

	(void)state;
	fill_dirty(fd, 0, MIB, 1);
	assert_int_equal(write_back(fd, count_step, &steps), 0);
	assert_int_equal(steps.n, 0);
	assert_int_equal(cached_now(fd).dirty, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_nothing_dirty(void **state)
{
	int fd = scratch_file("file", 100 * 1024 * (uint64_t)MIB);
	struct steps steps = {0};

	(void)state;
	assert_int_equal(write_back(fd, count_step, &steps), 0);
	assert_int_equal(steps.n, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_step_ends_it(void **state)
{
	int fd = scratch_file("file", 100 * MIB);
	struct steps steps = {.refuse_at = 1};

	(void)state;
	if (can_tell_dirty(fd)) {
		int r = 0;

		for (unsigned i = 0; i < 100 && r == 0; i++) {
			fill_dirty(fd, 0, 100 * MIB, 1);
			r = write_back(fd, count_step, &steps);
		}
		assert_int_equal(r, -ECANCELED);
		assert_int_equal(steps.n, 1);
	}
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Read-only, and without a name: the pages are the file's. */
static void test_read_only_and_removed(void **state)
{
	int fd = scratch_file("file", MIB);
	int read_only = open(in_scratch("file"), O_RDONLY | O_CLOEXEC);
	struct steps steps = {0};

	(void)state;
	fill_dirty(fd, 0, MIB, 1);
	(void)unlink(in_scratch("file"));
	assert_int_equal(write_back(read_only, count_step, &steps), 0);
	assert_int_equal(write_back_drop(read_only), 0);
	assert_int_equal(cached_now(fd).pages, 0);
	(void)close(fd);
	(void)close(read_only);
}

static void test_mapped_pages_stay(void **state)
{
	int fd = scratch_file("file", MIB);
	struct steps steps = {0};
	volatile char *map;

	(void)state;
	fill(fd, 0, MIB, 1);
	map = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, 0);
	assert_int_equal(map[0], 1);
	assert_int_equal(write_back(fd, count_step, &steps), 0);
	assert_int_equal(write_back_drop(fd), 0);
	assert_true(cached_now(fd).pages >= 1);
	assert_int_equal(munmap((void *)map, BLOCK), 0);
	assert_int_equal(write_back_drop(fd), 0);
	assert_int_equal(cached_now(fd).pages, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* What is neither file nor device, or is not open. */
static void test_not_an_image(void **state)
{
	struct steps steps = {0};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(write_back(fd, count_step, &steps), -EINVAL);
	assert_int_equal(write_back(-1, count_step, &steps), -EBADF);
	assert_int_equal(write_back_drop(-1), -EBADF);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_one_piece),
		cmocka_unit_test(test_nothing_dirty),
		cmocka_unit_test(test_step_ends_it),
		cmocka_unit_test(test_read_only_and_removed),
		cmocka_unit_test(test_mapped_pages_stay),
		cmocka_unit_test(test_not_an_image),
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
