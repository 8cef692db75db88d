/*
 * Who has an image open or mapped is found, by inode and not by name, with his process id and name (B6).
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/nodes/holders.h"
#include "tests/bridge/bridge.h"

static void open_for_writing(void *path)
{
	if (open(path, O_RDWR | O_CLOEXEC) < 0)
		_exit(1);
}

static void open_for_reading(void *path)
{
	if (open(path, O_RDONLY | O_CLOEXEC) < 0)
		_exit(1);
}

static void open_path_only(void *path)
{
	if (open(path, O_PATH | O_CLOEXEC) < 0)
		_exit(1);
}

static void nothing(void *path)
{
	(void)path;
}

/* Held in one way by a child: what is found of it. */
static unsigned held(int fd, void (*prepare)(void *path), void *path)
{
	struct child child = child_hold(prepare, path);
	struct holder holders[4];
	unsigned n = 99, how = 0;

	assert_int_equal(holders_find(fd, holders, 4, &n), 0);
	assert_in_range(n, 0, 1);
	if (n == 1) {
		how = holders[0].how;
		assert_int_equal(holders[0].pid, child.pid);
		assert_string_equal(holders[0].name, "holder-of-it");
	}
	child_end(&child);
	return how;
}

static void test_ways_to_hold(void **state)
{
	int fd = scratch_file("file", MIB);
	char path[192];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("file"));
	assert_int_equal(held(fd, open_for_writing, path), HOLDER_WRITES);
	assert_int_equal(held(fd, open_for_reading, path), HOLDER_READS);
	assert_int_equal(held(fd, map_path, path), HOLDER_MAPS);
	assert_int_equal(held(fd, open_path_only, path), 0);
	assert_int_equal(held(fd, nothing, path), 0);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Under another name, and then under none. */
static void test_any_name(void **state)
{
	int fd = scratch_file("file", MIB), other = scratch_file("other", MIB);
	struct child writer, reader;
	struct holder holders[4];
	char path[192];
	unsigned n;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("link"));
	assert_int_equal(link(in_scratch("file"), path), 0);
	writer = child_hold(open_for_writing, path);
	assert_int_equal(unlink(path), 0);
	reader = child_hold(map_path, (void *)in_scratch("file"));
	assert_int_equal(rename(in_scratch("other"), in_scratch("file")), 0);
	assert_int_equal(holders_find(fd, holders, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(holders[0].pid, reader.pid);
	assert_int_equal(holders[1].pid, writer.pid);
	assert_int_equal(holders_find(other, holders, 4, &n), 0);
	assert_int_equal(n, 0);
	child_end(&writer);
	child_end(&reader);
	(void)close(fd);
	(void)close(other);
	(void)unlink(in_scratch("file"));
}

/* Those that keep pages come first, whoever was found first. */
static void test_at_most(void **state)
{
	int fd = scratch_file("file", MIB);
	struct child child[3];
	struct holder holders[2];
	unsigned n;

	(void)state;
	child[0] = child_hold(open_for_writing, (void *)in_scratch("file"));
	child[1] = child_hold(open_for_reading, (void *)in_scratch("file"));
	child[2] = child_hold(map_path, (void *)in_scratch("file"));
	assert_int_equal(holders_find(fd, holders, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(holders[0].pid, child[2].pid);
	assert_int_equal(holders_find(fd, holders, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(holders[0].pid, child[2].pid);
	assert_int_equal(holders_find(fd, holders, 0, &n), 0);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < 3; i++)
		child_end(&child[i]);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Our own descriptors and mappings are not somebody's. */
static void test_not_ourselves(void **state)
{
	int fd = scratch_file("file", MIB);
	void *map = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
	struct holder holders[1];
	unsigned n;

	(void)state;
	assert_int_equal(holders_find(fd, holders, 1, &n), 0);
	assert_int_equal(n, 0);
	(void)munmap(map, MIB);
	(void)close(fd);
	assert_int_equal(holders_find(-1, holders, 1, &n), -EBADF);
	(void)unlink(in_scratch("file"));
}

static void test_in_words(void **state)
{
	const struct holder holders[] = {
		{12, HOLDER_MAPS | HOLDER_WRITES, "qemu"},
		{0, HOLDER_MOUNTS, "/mnt"},
		{13, HOLDER_READS, "dd"},
	};
	char text[100];

	(void)state;
	holders_text(holders, 3, text, sizeof(text));
	assert_string_equal(text,
		"qemu (pid 12, has it mapped), /mnt (mounted), dd (pid 13, has it open for reading)");
	/* Only as many as there is room for. */
	holders_text(holders, 3, text, 60);
	assert_string_equal(text, "qemu (pid 12, has it mapped), /mnt (mounted)");
	holders_text(holders, 0, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_to_hold),
		cmocka_unit_test(test_any_name),
		cmocka_unit_test(test_at_most),
		cmocka_unit_test(test_not_ourselves),
		cmocka_unit_test(test_in_words),
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
