/*
 * What is stacked on an image and what it is stacked on is found as sysfs tells it (B2): volumes, mirrors, partitions. Volumes that are
 * cut from the same disk beside the image are other disks.
 *
 * The kernel at hand may have neither device mapper nor md. So sysfs is one of our own, in a mount namespace of our own, and loop
 * devices stand for all devices: only that they are devices matters.
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/nodes/holders.h"
#include "qemu-dm-bridge/nodes/same_blocks.h"
#include "tests/lib/block_devices.h"

enum {
	NR_DEVICES = 5
};

static struct loop_device device[NR_DEVICES];
static struct same_blocks blocks;
static struct problem problem;

/* ---- a sysfs of our own ---- */

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[192];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void make_folder(const char *parent, const char *name)
{
	char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Of a device, "d0" and so on, below @parent. */
static void add_device(const char *parent, unsigned i)
{
	char folder[96], text[96], name[8];

	(void)snprintf(name, sizeof(name), "d%u", i);
	make_folder(parent, name);
	(void)snprintf(folder, sizeof(folder), "%s/%s", parent, name);
	make_folder(folder, "holders");
	make_folder(folder, "slaves");
	(void)snprintf(text, sizeof(text), "7:%d\n", device[i].number);
	write_text(folder, "dev", text);
	(void)snprintf(text, sizeof(text), "MAJOR=7\nMINOR=%d\nDEVNAME=loop%d\nDEVTYPE=disk\n",
		device[i].number, device[i].number);
	write_text(folder, "uevent", text);
	(void)snprintf(text, sizeof(text), "/sys/dev/block/7:%d", device[i].number);
	assert_int_equal(symlink(folder, text), 0);
}

static void add_disk(unsigned i)
{
	add_device("/sys/devices", i);
}

static void add_partition(unsigned disk, unsigned i, unsigned start_sectors, unsigned nr_sectors)
{
	char parent[64], folder[96], text[32];

	(void)snprintf(parent, sizeof(parent), "/sys/devices/d%u", disk);
	add_device(parent, i);
	(void)snprintf(folder, sizeof(folder), "%s/d%u", parent, i);
	write_text(folder, "partition", "1\n");
	(void)snprintf(text, sizeof(text), "%u\n", start_sectors);
	write_text(folder, "start", text);
	(void)snprintf(text, sizeof(text), "%u\n", nr_sectors);
	write_text(folder, "size", text);
}

/* In the folders that the links below /sys/dev/block lead to. */
static void link_devices(unsigned from, const char *list, unsigned to)
{
	char name[96], target[64];

	(void)snprintf(target, sizeof(target), "/sys/dev/block/7:%d", device[to].number);
	(void)snprintf(
		name, sizeof(name), "/sys/dev/block/7:%d/%s/d%u", device[from].number, list, to);
	assert_int_equal(symlink(target, name), 0);
}

static void stack(unsigned upper, unsigned lower)
{
	link_devices(lower, "holders", upper);
	link_devices(upper, "slaves", lower);
}

static int empty_sysfs(void **state)
{
	(void)state;
	(void)umount("/sys");
	assert_int_equal(mount("none", "/sys", "tmpfs", 0, NULL), 0);
	make_folder("/sys", "devices");
	make_folder("/sys", "dev");
	make_folder("/sys/dev", "block");
	make_folder("/sys", "block");
	return 0;
}

/* ---- looking ---- */

/* The nodes found from an image, as "name level" in order, names of devices by their number here. */
static void expect(unsigned image, const char *expected)
{
	char text[128] = "", name[32];
	size_t used = 0;

	if (same_blocks_find(device[image].fd, device[image].path, &blocks, &problem))
		fail_msg("%s", problem.text);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		for (unsigned k = 0; k < blocks.nr_nodes; k++) {
			(void)snprintf(name, sizeof(name), "d%u:%d ", i, blocks.nodes[k].level);
			if (strcmp(blocks.nodes[k].name, device[i].path) == 0)
				used += (size_t)snprintf(
					text + used, sizeof(text) - used, "%s", name);
		}
	same_blocks_close(&blocks);
	assert_string_equal(text, expected);
}

/* d0: a disk; d1, d2: its partitions; d3, d4: volumes on d2 */
static void test_volumes_on_a_partition(void **state)
{
	(void)state;
	add_disk(0);
	add_partition(0, 1, 2048, 2048);
	add_partition(0, 2, 4096, 2048);
	add_disk(3);
	add_disk(4);
	stack(3, 2);
	stack(4, 2);
	expect(0, "d0:0 d1:1 d2:1 d3:2 d4:2 ");
	expect(1, "d0:-1 d1:0 ");
	expect(2, "d0:-1 d2:0 d3:1 d4:1 ");
	expect(3, "d0:-2 d2:-1 d3:0 ");
}

/* d1 is an extended partition, and d2 a logical one within it; d3 begins where d1 ends. */
static void test_partitions_that_overlap(void **state)
{
	(void)state;
	add_disk(0);
	add_partition(0, 1, 2048, 4096);
	add_partition(0, 2, 4096, 1024);
	add_partition(0, 3, 6144, 1024);
	expect(2, "d0:-1 d1:0 d2:0 ");
	expect(3, "d0:-1 d3:0 ");
}

/* d2 mirrors d0 and d1. Each of them has a partition, as the mirror's blocks begin where theirs do: d3 of d0. */
static void test_mirror(void **state)
{
	(void)state;
	add_disk(0);
	add_disk(1);
	add_disk(2);
	add_partition(0, 3, 2048, 2048);
	stack(2, 0);
	stack(2, 1);
	expect(2, "d0:-1 d1:-1 d2:0 d3:0 ");
	expect(0, "d0:0 d2:1 d3:1 ");
}

/* Nobody's sysfs is so, but each node is looked at once. */
static void test_ring(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add_disk(i);
	for (unsigned i = 0; i < 3; i++)
		stack(i, (i + 1) % 3);
	if (same_blocks_find(device[0].fd, device[0].path, &blocks, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(blocks.nr_nodes, 3);
	same_blocks_close(&blocks);
}

static void set_uevent(unsigned i, const char *text)
{
	char folder[64];

	(void)snprintf(folder, sizeof(folder), "/sys/devices/d%u", i);
	write_text(folder, "uevent", text);
}

/* A hidden device has no node, so it has no page cache either. One whose node is missing may have one. */
static void test_without_a_node(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		add_disk(i);
	stack(1, 0);
	set_uevent(0, "MAJOR=7\nDEVTYPE=disk\n");
	expect(1, "d1:0 ");
	set_uevent(0, "MAJOR=7\nDEVNAME=no-such-node\n");
	assert_int_equal(same_blocks_find(device[1].fd, "image", &blocks, &problem), -ENOENT);
	assert_non_null(strstr(problem.text, "/dev/no-such-node"));
	/* Another device's node under that name. */
	set_uevent(0, "MAJOR=7\nDEVNAME=null\n");
	assert_int_equal(same_blocks_find(device[1].fd, "image", &blocks, &problem), -ENOENT);
	assert_non_null(strstr(problem.text, "/dev/null"));
}

static void test_holder_is_told(void **state)
{
	struct holder holders[4];
	char text[128], expected[64];
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		add_disk(i);
	stack(1, 0);
	assert_int_equal(holders_find(device[0].fd, holders, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(holders[0].how, HOLDER_STACKS);
	holders_text(holders, n, text, sizeof(text));
	(void)snprintf(expected, sizeof(expected), "loop%d (lies on it)", device[1].number);
	assert_string_equal(text, expected);
}

/* Before sysfs is gone. */
static const char *prepare(void)
{
	const char *missing = loop_missing();

	for (unsigned i = 0; !missing && i < NR_DEVICES; i++) {
		int fd = memfd_create("device", MFD_CLOEXEC);

		if (fd < 0 || ftruncate(fd, 1 << 20) < 0 || loop_attach(fd, &device[i]))
			missing = "not enough loop devices";
		(void)close(fd);
	}
	if (!missing && (unshare(CLONE_NEWNS) < 0 ||
				mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
				mount("none", "/sys", "tmpfs", 0, NULL) < 0))
		missing = "no mount namespace to be had";
	return missing;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_volumes_on_a_partition, empty_sysfs),
		cmocka_unit_test_setup(test_partitions_that_overlap, empty_sysfs),
		cmocka_unit_test_setup(test_mirror, empty_sysfs),
		cmocka_unit_test_setup(test_ring, empty_sysfs),
		cmocka_unit_test_setup(test_without_a_node, empty_sysfs),
		cmocka_unit_test_setup(test_holder_is_told, empty_sysfs),
	};
	const char *missing;
	int failed = 0;

	for (unsigned i = 0; i < NR_DEVICES; i++)
		device[i] = (struct loop_device){-1, -1, ""};
	missing = prepare();
	if (missing)
		printf("1..0 # SKIP %s\n", missing);
	else
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		loop_detach(&device[i]);
	return failed;
}
