/*
 * Giving back parts of a file, on the file system the tests run on: what lies wholly inside goes, what lies beside it
 * stays to the byte, the page cache has nothing of it, the file keeps its size. Storage that cannot is recognised.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/data/discard.h"
#include "backend/util/limits.h"

#define SIZE (4u << 20)

static const atomic_bool go_on;

struct fixture {
	int fd;
	struct discard discard;
	uint8_t *expected, *seen;
};

/* Where direct I/O works, as in production; here it does not matter whether it does. */
static int make_file(void)
{
	char path[] = "/var/tmp/discard-t.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	return fd;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fd = make_file();
	f->expected = malloc(SIZE);
	f->seen = malloc(SIZE);
	assert_non_null(f->expected);
	assert_non_null(f->seen);
	memset(f->expected, 0xab, SIZE);
	assert_int_equal(pwrite(f->fd, f->expected, SIZE, 0), SIZE);
	assert_int_equal(fdatasync(f->fd), 0);
	discard_probe(f->fd, false, &f->discard);
	assert_true(f->discard.possible);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)close(f->fd);
	free(f->expected);
	free(f->seen);
	free(f);
	return 0;
}

static uint64_t allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void check_file(struct fixture *f)
{
	struct stat st;

	assert_int_equal(pread(f->fd, f->seen, SIZE, 0), SIZE);
	assert_memory_equal(f->seen, f->expected, SIZE);
	assert_int_equal(fstat(f->fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
}

static void test_probe(void **state)
{
	struct fixture *f = *state;

	assert_false(f->discard.secure);
	assert_false(f->discard.is_block_device);
	assert_in_range(f->discard.granularity_bytes, 512, 65536);
	assert_int_equal(f->discard.unit_bytes, f->discard.granularity_bytes);
	assert_int_equal(f->discard.alignment_bytes, 0);
	/* It has changed nothing. */
	check_file(f);
	assert_true(allocated(f->fd) >= SIZE);
}

/* Ranges around the boundaries of a unit: the part that is whole units is gone, and no byte more. */
static void test_edges(void **state)
{
	struct fixture *f = *state;
	uint64_t unit = f->discard.unit_bytes;
	const int64_t shifts[] = {-512, 0, 512};

	for (unsigned a = 0; a < 3; a++)
		for (unsigned b = 0; b < 3; b++) {
			uint64_t at =
				(uint64_t)((int64_t)(unit * (10 + 20 * (a * 3 + b))) + shifts[a]);
			uint64_t end =
				(uint64_t)((int64_t)(unit * (15 + 20 * (a * 3 + b))) + shifts[b]);
			uint64_t first = (at + unit - 1) / unit * unit, last = end / unit * unit;

			assert_int_equal(
				discard_range(f->fd, &f->discard, at, end - at, false, &go_on), 0);
			memset(f->expected + first, 0, last - first);
			check_file(f);
		}
}

/* Less than a unit, or nothing: that is no error, and nothing happens. */
static void test_too_small(void **state)
{
	struct fixture *f = *state;
	uint64_t unit = f->discard.unit_bytes;

	assert_int_equal(discard_range(f->fd, &f->discard, 0, 0, false, &go_on), 0);
	assert_int_equal(discard_range(f->fd, &f->discard, unit, unit - 1, false, &go_on), 0);
	assert_int_equal(discard_range(f->fd, &f->discard, unit + 512, unit, false, &go_on), 0);
	assert_int_equal(discard_range(f->fd, &f->discard, SIZE, 0, false, &go_on), 0);
	check_file(f);
}

static void test_room_is_given_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(discard_range(f->fd, &f->discard, 0, SIZE, false, &go_on), 0);
	memset(f->expected, 0, SIZE);
	check_file(f);
	assert_true(allocated(f->fd) < SIZE / 16);
}

/* A step ends between two pieces, whatever their size and wherever they begin, and never far from where it should. */
static void test_step_ends(void **state)
{
	static const uint32_t pieces[][2] = {/* granularity, alignment */
		{512, 0}, {4096, 0}, {1u << 20, 0}, {15u << 20, 0}, {15u << 20, 7u << 20},
		{1u << 30, 0}, {65536, 28672}, {65536, 512}};

	(void)state;
	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct discard d = {.granularity_bytes = pieces[i][0],
			.alignment_bytes = pieces[i][1],
			.unit_bytes = 512,
			.step_bytes = LIMIT_DISCARD_STEP_DEVICE};
		uint64_t step = d.step_bytes > pieces[i][0] ? d.step_bytes : pieces[i][0];
		uint64_t end = 5ull << 30;

		for (uint64_t start = 0; start < 300 * 512; start += 512 * 37)
			for (uint64_t at = start, next; at < end; at = next) {
				next = discard_step_end(&d, at, end);
				assert_true(next > at && next <= end && next - at <= 2 * step);
				if (next < end)
					assert_int_equal(
						(next + pieces[i][0] - pieces[i][1]) % pieces[i][0],
						0);
			}
	}
}

/* Told to stop, it begins no step. */
static void test_stop(void **state)
{
	struct fixture *f = *state;
	atomic_bool stop = true;

	assert_int_equal(discard_range(f->fd, &f->discard, 0, SIZE, false, &stop), -ECANCELED);
	check_file(f);
}

/* Of a file of more than one step all is gone, and at the end of the file nothing more is. */
static void test_steps(void **state)
{
	struct fixture *f = *state;
	const uint64_t size = 40ull * LIMIT_DISCARD_STEP_FILE + 65536;
	int fd = make_file();

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (uint64_t at = 0; at < size; at += 65536 * 16)
		assert_int_equal(pwrite(fd, f->expected, 4096, (off_t)at), 4096);
	assert_int_equal(pwrite(fd, f->expected, 65536, (off_t)(size - 65536)), 65536);
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(discard_range(fd, &f->discard, 0, size - 65536, false, &go_on), 0);
	assert_in_range(allocated(fd), 65536, 65536 * 4);
	assert_int_equal(pread(fd, f->seen, 65536, (off_t)(size - 65536)), 65536);
	assert_memory_equal(f->seen, f->expected, 65536);
	(void)close(fd);
}

/* What cannot be written to, or is no storage, cannot. */
static void test_cannot(void **state)
{
	struct fixture *f = *state;
	struct discard discard;
	char path[32];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	discard_probe(fd, false, &discard);
	assert_false(discard.possible);
	discard_probe(fd, true, &discard);
	assert_false(discard.possible);
	assert_false(discard.secure);
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	discard_probe(fd, false, &discard);
	assert_false(discard.possible);
	assert_int_equal(discard_range(fd, &f->discard, 0, SIZE, false, &go_on), -EBADF);
	(void)close(fd);
	check_file(f);
}

#define DISCARD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISCARD_TEST(test_probe),
		DISCARD_TEST(test_edges),
		DISCARD_TEST(test_too_small),
		DISCARD_TEST(test_room_is_given_back),
		DISCARD_TEST(test_steps),
		DISCARD_TEST(test_step_ends),
		DISCARD_TEST(test_stop),
		DISCARD_TEST(test_cannot),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
