/*
 * Every other way to the blocks of an image is found (B2), and none that leads to other blocks: loop devices, partitions and what is
 * stacked on those, by inode and number and not by name.
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
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/nodes/same_blocks.h"
#include "tests/bridge/bridge.h"
#include "tests/lib/block_devices.h"

static struct same_blocks blocks;

static void find(int fd)
{
	struct problem problem = {""};

	if (same_blocks_find(fd, "image", &blocks, &problem))
		fail_msg("%s", problem.text);
}

/* The lowest free descriptor: unchanged if nothing was left open. */
static int free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	(void)close(fd);
	return fd;
}

/* Its level, or 99 if it is not among the nodes. */
static int level_of(const char *name)
{
	for (unsigned i = 0; i < blocks.nr_nodes; i++)
		if (strcmp(blocks.nodes[i].name, name) == 0)
			return blocks.nodes[i].level;
	return 99;
}

static int level_of_partition(const struct loop_device *loop, int number)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "%sp%d", loop->path, number);
	return level_of(name);
}

static void test_alone(void **state)
{
	int fd = scratch_file("file", MIB), before = free_fd();

	(void)state;
	find(fd);
	assert_int_equal(blocks.nr_nodes, 1);
	assert_int_equal(blocks.nodes[0].fd, fd);
	assert_string_equal(blocks.nodes[0].name, "image");
	same_blocks_close(&blocks);
	same_blocks_close(&blocks);
	assert_int_equal(free_fd(), before);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* file <- two loops, one of them <- another loop. From each of them all are seen, those above first. */
static void test_loops(void **state)
{
	int fd = scratch_file("file", MIB), stranger = scratch_file("stranger", MIB), before;
	struct loop_device first, second, upper, other;

	(void)state;
	assert_int_equal(loop_attach(fd, &first), 0);
	assert_int_equal(loop_attach(fd, &second), 0);
	assert_int_equal(loop_attach(second.fd, &upper), 0);
	assert_int_equal(loop_attach(stranger, &other), 0);
	before = free_fd();

	find(fd);
	assert_int_equal(blocks.nr_nodes, 4);
	assert_int_equal(level_of(first.path), 1);
	assert_int_equal(level_of(second.path), 1);
	assert_int_equal(level_of(upper.path), 2);
	assert_string_equal(blocks.nodes[0].name, upper.path);
	assert_int_equal(blocks.nodes[3].fd, fd);
	same_blocks_close(&blocks);

	find(upper.fd);
	assert_int_equal(blocks.nr_nodes, 4);
	assert_int_equal(level_of("image"), 0);
	assert_int_equal(level_of(second.path), -1);
	assert_int_equal(level_of(in_scratch("file")), -2);
	assert_int_equal(level_of(first.path), -1);
	same_blocks_close(&blocks);
	assert_int_equal(free_fd(), before);

	loop_detach(&upper);
	loop_detach(&first);
	loop_detach(&second);
	loop_detach(&other);
	(void)close(fd);
	(void)close(stranger);
	(void)unlink(in_scratch("file"));
	(void)unlink(in_scratch("stranger"));
}

/* What the file is called, or that it is called nothing, is the same to loop devices. */
static void test_names_do_not_matter(void **state)
{
	int fd = scratch_file("file", MIB), other;
	struct loop_device loop;

	(void)state;
	assert_int_equal(loop_attach(fd, &loop), 0);
	assert_int_equal(rename(in_scratch("file"), in_scratch("renamed")), 0);
	other = scratch_file("file", MIB);
	find(other);
	assert_int_equal(blocks.nr_nodes, 1);
	same_blocks_close(&blocks);
	find(fd);
	assert_int_equal(level_of(loop.path), 1);
	same_blocks_close(&blocks);
	assert_int_equal(unlink(in_scratch("renamed")), 0);
	find(fd);
	assert_int_equal(level_of(loop.path), 1);
	same_blocks_close(&blocks);

	/* Seen from the loop device that file cannot be opened by anybody, though another one has what is shown as its name. */
	for (unsigned i = 0; i < 2; i++) {
		find(loop.fd);
		assert_int_equal(blocks.nr_nodes, 2);
		assert_int_equal(blocks.nodes[1].level, -1);
		assert_int_equal(blocks.nodes[1].fd, -1);
		same_blocks_close(&blocks);
		(void)close(other);
		other = scratch_file("renamed (deleted)", MIB);
	}
	loop_detach(&loop);
	(void)close(fd);
	(void)close(other);
	(void)unlink(in_scratch("file"));
	(void)unlink(in_scratch("renamed (deleted)"));
}

/*
 *      loop        0                     64M
 *      p1, p2      [1M..9M)  [16M..24M)
 */
static void test_partitions(void **state)
{
	int fd = scratch_file("file", 64 * MIB), p[2];
	struct loop_device loop, over;

	(void)state;
	assert_int_equal(loop_attach(fd, &loop), 0);
	p[0] = loop_add_partition(&loop, 1, MIB, 8 * MIB);
	p[1] = loop_add_partition(&loop, 2, 16 * MIB, 8 * MIB);
	assert_true(p[0] >= 0 && p[1] >= 0);
	assert_int_equal(loop_attach(p[1], &over), 0);

	find(fd);
	assert_int_equal(blocks.nr_nodes, 5);
	assert_int_equal(level_of(loop.path), 1);
	assert_int_equal(level_of_partition(&loop, 1), 2);
	assert_int_equal(level_of_partition(&loop, 2), 2);
	assert_int_equal(level_of(over.path), 3);
	same_blocks_close(&blocks);

	/* The other partition is another disk. */
	find(p[0]);
	assert_int_equal(blocks.nr_nodes, 3);
	assert_int_equal(level_of(loop.path), -1);
	assert_int_equal(level_of(in_scratch("file")), -2);
	same_blocks_close(&blocks);
	find(p[1]);
	assert_int_equal(blocks.nr_nodes, 4);
	assert_int_equal(level_of(over.path), 1);
	same_blocks_close(&blocks);

	find(over.fd);
	assert_int_equal(blocks.nr_nodes, 4);
	assert_int_equal(level_of_partition(&loop, 2), -1);
	assert_int_equal(level_of_partition(&loop, 1), 99);
	assert_int_equal(level_of(loop.path), -2);
	same_blocks_close(&blocks);

	loop_detach(&over);
	(void)close(p[0]);
	(void)close(p[1]);
	loop_detach(&loop);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static struct place place_of(const char *name)
{
	for (unsigned i = 0; i < blocks.nr_nodes; i++)
		if (strcmp(blocks.nodes[i].name, name) == 0)
			return blocks.nodes[i].image;
	fail_msg("'%s' is not among the nodes", name);
	return place_unknown;
}

static void expect_place(const char *name, uint64_t start, uint64_t end)
{
	struct place place = place_of(name);

	assert_true(place.is_exact);
	assert_int_equal(place.start, start);
	assert_int_equal(place.end, end);
}

/*
 *      file        0                              16M
 *      left        [1M..5M)
 *      right                [5M..
 *      middle          [4M..8M)
 *      on_left     [2M..      of left
 */
static void test_parts_by_loop_devices(void **state)
{
	int fd = scratch_file("file", 16 * MIB);
	struct loop_device left, right, middle, on_left;

	(void)state;
	assert_int_equal(loop_attach_window(fd, MIB, 4 * MIB, &left), 0);
	assert_int_equal(loop_attach_window(fd, 5 * MIB, 0, &right), 0);
	assert_int_equal(loop_attach_window(fd, 4 * MIB, 4 * MIB, &middle), 0);
	assert_int_equal(loop_attach_window(left.fd, 2 * MIB, 0, &on_left), 0);

	/* That beside it is another disk. */
	find(left.fd);
	assert_int_equal(blocks.nr_nodes, 4);
	assert_int_equal(level_of(right.path), 99);
	expect_place("image", 0, PLACE_END);
	expect_place(in_scratch("file"), MIB, 5 * MIB);
	expect_place(middle.path, 0, MIB);
	expect_place(on_left.path, 0, PLACE_END);
	same_blocks_close(&blocks);

	find(right.fd);
	assert_int_equal(blocks.nr_nodes, 3);
	expect_place(in_scratch("file"), 5 * MIB, PLACE_END);
	expect_place(middle.path, MIB, PLACE_END);
	same_blocks_close(&blocks);

	/* Up to where a window ends, and beyond it. */
	find(middle.fd);
	assert_int_equal(blocks.nr_nodes, 5);
	expect_place(left.path, 3 * MIB, PLACE_END);
	expect_place(right.path, 0, 3 * MIB);
	expect_place(on_left.path, MIB, PLACE_END);
	same_blocks_close(&blocks);

	find(fd);
	assert_int_equal(blocks.nr_nodes, 5);
	expect_place(left.path, 0, PLACE_END);
	same_blocks_close(&blocks);

	loop_detach(&on_left);
	loop_detach(&middle);
	loop_detach(&right);
	loop_detach(&left);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_too_many(void **state)
{
	int fd = scratch_file("file", 2 * SAME_BLOCKS_MAX * (uint64_t)MIB), before;
	struct problem problem = {""};
	struct loop_device loop;

	(void)state;
	assert_int_equal(loop_attach(fd, &loop), 0);
	before = free_fd();
	for (int i = 1; i <= (int)SAME_BLOCKS_MAX - 2; i++)
		(void)close(loop_add_partition(&loop, i, (uint64_t)i * MIB, MIB));
	find(fd);
	assert_int_equal(blocks.nr_nodes, SAME_BLOCKS_MAX);
	same_blocks_close(&blocks);
	(void)close(loop_add_partition(&loop, SAME_BLOCKS_MAX, SAME_BLOCKS_MAX * MIB, MIB));
	assert_int_equal(same_blocks_find(fd, "image", &blocks, &problem), -E2BIG);
	assert_non_null(strstr(problem.text, "'image': more than 64"));
	assert_int_equal(free_fd(), before);
	loop_detach(&loop);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

/* Whoever may not look at a loop device cannot know what is below it. */
static void test_without_rights(void **state)
{
	int fd = scratch_file("file", MIB);
	struct problem problem = {""};
	struct loop_device loop;

	(void)state;
	assert_int_equal(loop_attach(fd, &loop), 0);
	/* Of this thread: its rights on files go with it. */
	assert_int_equal(syscall(SYS_setresuid, -1, 65534, -1), 0);
	assert_int_equal(same_blocks_find(fd, "image", &blocks, &problem), -EACCES);
	assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	assert_non_null(strstr(problem.text, "'image'"));
	assert_non_null(strstr(problem.text, "this takes root"));
	loop_detach(&loop);
	(void)close(fd);
	(void)unlink(in_scratch("file"));
}

static void test_neither_file_nor_device(void **state)
{
	struct problem problem = {""};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(same_blocks_find(fd, "image", &blocks, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "'image'"));
	assert_int_equal(same_blocks_find(-1, "image", &blocks, &problem), -EBADF);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_names_do_not_matter),
		cmocka_unit_test(test_partitions),
		cmocka_unit_test(test_parts_by_loop_devices),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_without_rights),
		cmocka_unit_test(test_neither_file_nor_device),
	};
	const char *missing = loop_missing();
	int failed;

	if (missing || scratch_make()) {
		printf("1..0 # SKIP %s\n", missing ? missing : "no folder with direct I/O");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_remove();
	return failed;
}
