/*
 * Without cachestat(2), as before Linux 6.5 or below a filter that does not know it, an image is handed over all the same (B1): what is
 * dirty is not known then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/pagecache/hand_over.h"
#include "tests/bridge/bridge.h"

#define CACHESTAT_CALL 451

static struct hand_over_result result;
static struct problem problem;

/* From now on this process and its children have no cachestat. */
static int forbid_cachestat(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CACHESTAT_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void tell_nothing(void *arg, uint64_t dirty_bytes)
{
	(void)arg;
	(void)dirty_bytes;
	fail_msg("there is nothing known to tell");
}

static void test_counted_by_mincore(void **state)
{
	int fd = scratch_file("file", 64 * MIB);
	struct cached cached;

	(void)state;
	fill(fd, MIB, MIB, 7);
	assert_int_equal(cached_range(fd, 0, 0, &cached), -ENOSYS);
	cached = cached_now(fd);
	assert_int_equal(cached.pages, MIB / BLOCK);
	assert_false(cached.dirty_known);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_handed_over(void **state)
{
	const struct hand_over_terms terms = {.timeout_ms = 60000, .progress = tell_nothing};
	const struct hand_over_terms hasty = {.timeout_ms = 50};
	int fd = scratch_file("file", 64 * MIB);
	struct child child;

	(void)state;
	fill(fd, MIB, MIB, 7);
	if (hand_over(fd, "image", &terms, &result, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(result.pages_before, MIB / BLOCK);
	assert_false(result.dirty_known);
	assert_int_equal(result.dirty_before, 0);
	assert_int_equal(result.pages_left, 0);
	assert_int_equal(byte_on_medium(in_scratch("file"), 2 * MIB - BLOCK), 7);

	child = child_hold(map_path, (void *)in_scratch("file"));
	assert_int_equal(hand_over(fd, "image", &hasty, &result, &problem), -EBUSY);
	assert_non_null(strstr(problem.text, "holder-of-it"));
	child_end(&child);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counted_by_mincore),
		cmocka_unit_test(test_handed_over),
	};
	int failed;

	if (scratch_make() || forbid_cachestat()) {
		printf("1..0 # SKIP no folder with direct I/O, or no filter of system calls\n");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_remove();
	return failed;
}
