/*
 * After hand_over() nothing of a file is in the page cache and all of it is on the medium (B4, B5); if somebody keeps pages, that
 * is told, with his name, and soon after the deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/pagecache/hand_over.h"
#include "tests/bridge/bridge.h"

#define PATIENT_MS 60000u

static const struct hand_over_terms patient = {.timeout_ms = PATIENT_MS};
static struct hand_over_result result;
static struct problem problem;

static void succeeds(int fd, const struct hand_over_terms *terms)
{
	if (hand_over(fd, "image", terms, &result, &problem))
		fail_msg("%s", problem.text);
}

static void test_dirty_file(void **state)
{
	int fd = scratch_file("file", 64 * MIB);

	(void)state;
	/* The kernel may have written it before. */
	for (unsigned i = 0; i < 100 && (i == 0 || (result.dirty_known && !result.dirty_before));
		i++) {
		fill_dirty(fd, 8 * MIB, MIB, 7);
		succeeds(fd, &patient);
	}
	assert_int_equal(result.nr_nodes, 1);
	assert_int_equal(result.nr_in_memory, 0);
	assert_int_equal(result.nr_unreachable, 0);
	assert_int_equal(result.pages_before, MIB / BLOCK);
	assert_true(!result.dirty_known || result.dirty_before > 0);
	assert_int_equal(result.pages_left, 0);
	assert_true(result.nr_rounds >= 1);
	assert_true(result.duration_ns > 0);
	assert_int_equal(cached_now(fd).pages, 0);
	assert_int_equal(byte_on_medium(in_scratch("file"), 9 * MIB - BLOCK), 7);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Clean pages that a past direct write has not reached would be stale: they go, too. */
static void test_clean_and_empty_files(void **state)
{
	int fd = scratch_file("file", 64 * MIB);

	(void)state;
	succeeds(fd, &patient);
	assert_int_equal(result.pages_before, 0);
	assert_int_equal(result.nr_rounds, 1);
	read_all(fd);
	succeeds(fd, &patient);
	assert_int_equal(result.pages_before, 64 * MIB / BLOCK);
	assert_int_equal(result.pages_left, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	succeeds(fd, &patient);
	assert_int_equal(result.pages_before, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_read_only_and_removed(void **state)
{
	int fd = scratch_file("file", MIB);
	int read_only = open(in_scratch("file"), O_RDONLY | O_CLOEXEC);

	(void)state;
	fill_dirty(fd, 0, MIB, 7);
	(void)unlink(in_scratch("file"));
	succeeds(read_only, &patient);
	assert_int_equal(cached_now(fd).pages, 0);
	(void)close(fd);
	(void)close(read_only);
}

static void test_mapped_elsewhere(void **state)
{
	const struct hand_over_terms hasty = {.timeout_ms = 60000, .settle_ms = 50};
	const struct hand_over_terms best_effort = {.timeout_ms = 0, .best_effort = true};
	int fd = scratch_file("file", MIB);
	struct child child;
	char words[80];

	(void)state;
	fill_dirty(fd, 0, MIB, 7);
	child = child_hold(map_path, (void *)in_scratch("file"));
	(void)snprintf(
		words, sizeof(words), "holder-of-it (pid %d, has it mapped)", (int)child.pid);
	assert_int_equal(hand_over(fd, "image", &hasty, &result, &problem), -EBUSY);
	if (!strstr(problem.text, words) || !strstr(problem.text, "'image'"))
		fail_msg("'%s' is not in: %s", words, problem.text);
	assert_true(result.pages_left >= 4);
	assert_true(result.duration_ns >= 50 * 1000000u);

	/* Who only reads, or goes on through the page cache, has all of it written and is content. */
	fill_dirty(fd, 0, MIB, 8);
	succeeds(fd, &best_effort);
	assert_true(result.pages_left >= 4);
	assert_int_equal(result.nr_rounds, 1);
	assert_int_equal(cached_now(fd).dirty, 0);
	assert_int_equal(byte_on_medium(in_scratch("file"), MIB - BLOCK), 8);

	child_end(&child);
	succeeds(fd, &patient);
	assert_int_equal(result.pages_left, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* The time is up after the first piece of several: unless the kernel has written the others before. */
static void test_storage_too_slow(void **state)
{
	const struct hand_over_terms none = {.timeout_ms = 0};
	int fd = scratch_file("file", 96 * MIB);

	(void)state;
	if (cached_now(fd).dirty_known) {
		int r = 0;

		for (unsigned i = 0; i < 100 && r == 0; i++) {
			fill_dirty(fd, 0, 96 * MIB, 7);
			r = hand_over(fd, "image", &none, &result, &problem);
		}
		assert_int_equal(r, -ETIMEDOUT);
		assert_non_null(strstr(problem.text, "'image': after 0 ms"));
		assert_non_null(strstr(problem.text, "MiB in the page cache"));
		assert_true(result.pages_left > 0);
	}
	/* By best effort there is no deadline for writing. */
	succeeds(fd, &(struct hand_over_terms){.timeout_ms = 0, .best_effort = true});
	assert_int_equal(result.pages_left, 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

struct told {
	unsigned n;
	uint64_t most_bytes;
};

static void tell(void *arg, uint64_t dirty_bytes)
{
	struct told *told = arg;

	told->n++;
	if (dirty_bytes > told->most_bytes)
		told->most_bytes = dirty_bytes;
}

/* At most once a second, never more than there was. */
static void test_progress(void **state)
{
	struct told told = {0};
	const struct hand_over_terms terms = {
		.timeout_ms = PATIENT_MS, .progress = tell, .arg = &told};
	int fd = scratch_file("file", 128 * MIB);

	(void)state;
	fill_dirty(fd, 0, 128 * MIB, 7);
	succeeds(fd, &terms);
	assert_true(told.n <= result.duration_ns / 1000000000u);
	assert_true(told.most_bytes <= result.dirty_before * BLOCK);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* In memory the pages are the image itself. */
static void test_in_memory(void **state)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	char byte;

	(void)state;
	assert_int_equal(ftruncate(fd, MIB), 0);
	fill(fd, 0, MIB, 7);
	succeeds(fd, &patient);
	assert_int_equal(result.nr_nodes, 1);
	assert_int_equal(result.nr_in_memory, 1);
	assert_int_equal(result.pages_before, 0);
	assert_int_equal(result.pages_left, 0);
	assert_int_equal(pread(fd, &byte, 1, 12345), 1);
	assert_int_equal(byte, 7);
	(void)close(fd);
}

static void test_not_an_image(void **state)
{
	(void)state;
	result.nr_nodes = 99;
	assert_int_equal(hand_over(-1, "image", &patient, &result, &problem), -EBADF);
	assert_non_null(strstr(problem.text, "'image'"));
	assert_int_equal(result.nr_nodes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dirty_file),
		cmocka_unit_test(test_clean_and_empty_files),
		cmocka_unit_test(test_read_only_and_removed),
		cmocka_unit_test(test_mapped_elsewhere),
		cmocka_unit_test(test_storage_too_slow),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_in_memory),
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
