/*
 * A file on overlayfs has its pages below it, where cachestat(2) on the overlay does not see them: counted and handed over all the
 * same (B1), without dirty pages being known.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/pagecache/hand_over.h"
#include "tests/bridge/bridge.h"

static const char *const folders[] = {"lower", "upper", "work", "merged"};

/* An overlay in a mount namespace of our own, or why there is none. */
static const char *mount_overlay(void)
{
	char options[640];

	for (unsigned i = 0; i < 4; i++)
		(void)mkdir(in_scratch(folders[i]), 0700);
	(void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		in_scratch("lower"), in_scratch("upper"), in_scratch("work"));
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "no mount namespace to be had";
	if (mount("overlay", in_scratch("merged"), "overlay", 0, options) < 0)
		return "no overlay to be had";
	return NULL;
}

static void remove_folders(void)
{
	(void)umount(in_scratch("merged"));
	(void)rmdir(in_scratch("work/work"));
	for (unsigned i = 0; i < 4; i++)
		(void)rmdir(in_scratch(folders[i]));
}

static void test_upper_file(void **state)
{
	const struct hand_over_terms terms = {.timeout_ms = 60000};
	int fd = scratch_file("merged/file", 8 * MIB), below;
	struct hand_over_result result;
	struct problem problem;
	struct cached cached;

	(void)state;
	fill(fd, MIB, MIB, 7);
	below = open(in_scratch("upper/file"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(cached_range(fd, 0, 0, &cached), -ENOSYS);
	cached = cached_now(fd);
	assert_int_equal(cached.pages, MIB / BLOCK);
	assert_false(cached.dirty_known);
	if (hand_over(fd, "image", &terms, &result, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(result.pages_before, MIB / BLOCK);
	assert_false(result.dirty_known);
	assert_int_equal(result.pages_left, 0);
	assert_int_equal(cached_now(below).pages, 0);
	assert_int_equal(byte_on_medium(in_scratch("upper/file"), MIB), 7);
	(void)close(fd);
	(void)close(below);
	(void)unlink(in_scratch("merged/file"));
}

/* Of a read-only image, which was never copied up. */
static void test_lower_file(void **state)
{
	const struct hand_over_terms terms = {.timeout_ms = 60000};
	struct hand_over_result result;
	struct problem problem;
	int fd;

	(void)state;
	fd = open(in_scratch("merged/below"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	read_all(fd);
	assert_int_equal(cached_now(fd).pages, MIB / BLOCK);
	if (hand_over(fd, "image", &terms, &result, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(result.pages_left, 0);
	assert_int_equal(cached_now(fd).pages, 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upper_file),
		cmocka_unit_test(test_lower_file),
	};
	const char *missing = NULL;
	int failed = 0, fd;

	if (scratch_make()) {
		printf("1..0 # SKIP no folder with direct I/O and a page cache\n");
		return 0;
	}
	(void)mkdir(in_scratch("lower"), 0700);
	fd = open(in_scratch("lower/below"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, MIB) < 0)
		missing = "no file below the overlay";
	if (!missing)
		missing = mount_overlay();
	if (missing)
		printf("1..0 # SKIP %s\n", missing);
	else
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (fd >= 0)
		(void)close(fd);
	(void)unlink(in_scratch("lower/below"));
	remove_folders();
	scratch_remove();
	return failed;
}
