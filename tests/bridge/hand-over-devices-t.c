/*
 * What one path to an image's blocks has written into its page cache is there for every other path after hand_over(), and what
 * others have read before is not stale (B2, B3): loop devices, partitions, whole disks.
 *
 * Where udev looks at new devices it fills their page caches when it likes: so these are judged by the result and by what is
 * read, and not counted again.
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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/fs.h>

#include "qemu-dm-bridge/nodes/holders.h"
#include "qemu-dm-bridge/pagecache/hand_over.h"
#include "qemu-dm-bridge/pagecache/write_back.h"
#include "tests/bridge/bridge.h"
#include "tests/lib/block_devices.h"

static const struct hand_over_terms patient = {.timeout_ms = 60000};
static const struct hand_over_terms best_effort = {.best_effort = true};
static struct hand_over_result result;
static struct problem problem;

static void succeeds(int fd, const struct hand_over_terms *terms)
{
	if (hand_over(fd, "image", terms, &result, &problem))
		fail_msg("%s", problem.text);
	if (!terms->best_effort)
		assert_int_equal(result.pages_left, 0);
}

static int byte_of(int fd, uint64_t offset)
{
	unsigned char byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	return byte;
}

/* Past the page cache, on the descriptor of a loop device or another that was opened without that. */
static void write_directly(const char *path, uint64_t offset, int byte)
{
	static _Alignas(BLOCK) unsigned char block[BLOCK];
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	memset(block, byte, sizeof(block));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, block, BLOCK, (off_t)offset), BLOCK);
	(void)close(fd);
}

/* An image of 64 MiB and a loop device over it, or two. */
struct world {
	int file;
	struct loop_device loop, second;
};

static void set_up(struct world *w, unsigned nr_loops)
{
	w->file = scratch_file("file", 64 * MIB);
	w->second = (struct loop_device){-1, -1, ""};
	assert_int_equal(loop_attach(w->file, &w->loop), 0);
	if (nr_loops == 2)
		assert_int_equal(loop_attach(w->file, &w->second), 0);
}

static void take_down(struct world *w)
{
	loop_detach(&w->second);
	loop_detach(&w->loop);
	(void)close(w->file);
	(void)unlink(in_scratch("file"));
}

static void test_dirty_loop(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1);
	fill_dirty(w.loop.fd, 8 * MIB, MIB, 7);
	succeeds(w.file, &patient);
	assert_int_equal(result.nr_nodes, 2);
	assert_true(result.pages_before >= MIB / BLOCK);
	assert_int_equal(byte_on_medium(in_scratch("file"), 8 * MIB), 7);
	assert_int_equal(byte_on_medium(in_scratch("file"), 9 * MIB - BLOCK), 7);
	take_down(&w);
}

/*
 * From above to below, so one round is enough: what the loop device has written is in the file's cache, and goes from there. Unless
 * udev has read through the loop device just then.
 */
static void test_one_round_is_enough(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1);
	for (unsigned i = 0; i < 100 && (i == 0 || cached_now(w.file).pages > 0); i++) {
		fill_dirty(w.loop.fd, 8 * MIB, MIB, 7);
		succeeds(w.file, &best_effort);
	}
	assert_int_equal(cached_now(w.file).pages, 0);
	assert_int_equal(byte_on_medium(in_scratch("file"), 8 * MIB), 7);
	take_down(&w);
}

static void test_stale_loop(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1);
	assert_int_equal(byte_of(w.loop.fd, 8 * MIB), 0);
	write_directly(in_scratch("file"), 8 * MIB, 9);
	assert_int_equal(byte_of(w.loop.fd, 8 * MIB), 0); /* the hazard */
	succeeds(w.file, &patient);
	assert_int_equal(byte_of(w.loop.fd, 8 * MIB), 9);
	take_down(&w);
}

/* The image is a loop device: its file, and the other loop device over that, are the same blocks. */
static void test_two_loops(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 2);
	fill_dirty(w.second.fd, 8 * MIB, MIB, 7);
	assert_int_equal(byte_of(w.loop.fd, 20 * MIB), 0);
	fill_dirty(w.second.fd, 20 * MIB, BLOCK, 6);
	succeeds(w.loop.fd, &patient);
	assert_int_equal(result.nr_nodes, 3);
	assert_int_equal(byte_of(w.loop.fd, 8 * MIB), 7);
	assert_int_equal(byte_of(w.loop.fd, 20 * MIB), 6);
	assert_int_equal(byte_on_medium(in_scratch("file"), 20 * MIB), 6);
	take_down(&w);
}

/* A partition's cache and the whole disk's are two. */
static void test_partition_and_disk(void **state)
{
	struct world w;
	int partition;

	(void)state;
	set_up(&w, 1);
	partition = loop_add_partition(&w.loop, 1, 16 * MIB, 8 * MIB);
	assert_true(partition >= 0);

	assert_int_equal(byte_of(partition, 0), 0);
	fill_dirty(w.loop.fd, 16 * MIB, MIB, 5);
	succeeds(partition, &patient);
	assert_int_equal(result.nr_nodes, 3);
	assert_int_equal(byte_of(partition, 0), 5);
	assert_int_equal(byte_on_medium(in_scratch("file"), 16 * MIB), 5);

	assert_int_equal(byte_of(w.loop.fd, 20 * MIB), 0);
	fill_dirty(partition, 4 * MIB, MIB, 6);
	succeeds(w.loop.fd, &patient);
	assert_int_equal(byte_of(w.loop.fd, 20 * MIB), 6);
	assert_int_equal(byte_on_medium(in_scratch("file"), 20 * MIB), 6);

	fill_dirty(partition, MIB, MIB, 4);
	succeeds(w.file, &patient);
	assert_int_equal(byte_on_medium(in_scratch("file"), 17 * MIB), 4);
	(void)close(partition);
	take_down(&w);
}

/* Whose pages stay is told even if it is another path's. */
static void test_mapped_on_another_path(void **state)
{
	const struct hand_over_terms hasty = {.timeout_ms = 50};
	struct child child;
	struct world w;
	char words[80];

	(void)state;
	set_up(&w, 1);
	child = child_hold(map_path, w.loop.path);
	(void)snprintf(
		words, sizeof(words), "holder-of-it (pid %d, has it mapped)", (int)child.pid);
	assert_int_equal(hand_over(w.file, "image", &hasty, &result, &problem), -EBUSY);
	if (!strstr(problem.text, words) || !strstr(problem.text, w.loop.path))
		fail_msg("'%s' or '%s' is not in: %s", words, w.loop.path, problem.text);
	child_end(&child);
	succeeds(w.file, &patient);
	take_down(&w);
}

static void open_for_writing(void *path)
{
	if (open(path, O_RDWR | O_CLOEXEC) < 0)
		_exit(1);
}

/* By its number, though we have opened another node of it. */
static void test_holder_of_a_device(void **state)
{
	struct holder holders[4];
	struct child child;
	struct world w;
	struct stat st;
	unsigned n;
	int other;

	(void)state;
	set_up(&w, 1);
	assert_int_equal(fstat(w.loop.fd, &st), 0);
	assert_int_equal(mknod(in_scratch("node"), S_IFBLK | 0600, st.st_rdev), 0);
	other = open(in_scratch("node"), O_RDONLY | O_CLOEXEC);
	assert_true(other >= 0);
	child = child_hold(open_for_writing, w.loop.path);
	assert_int_equal(holders_find(other, holders, 4, &n), 0);
	/* udev may look at it, too. */
	assert_true(n >= 1);
	while (n > 1 && holders[n - 1].pid != child.pid)
		n--;
	assert_int_equal(holders[n - 1].pid, child.pid);
	assert_int_equal(holders[n - 1].how, HOLDER_WRITES);
	assert_string_equal(holders[n - 1].name, "holder-of-it");
	child_end(&child);
	(void)close(other);
	(void)unlink(in_scratch("node"));
	take_down(&w);
}

/* The file below has lost its name: still handed over by its descriptor; without one it can be nobody's but the loop device's. */
static void test_removed_file(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1);
	(void)unlink(in_scratch("file"));
	fill_dirty(w.loop.fd, 8 * MIB, MIB, 7);
	succeeds(w.file, &patient);
	assert_int_equal(result.nr_nodes, 2);
	assert_int_equal(result.nr_unreachable, 0);
	assert_int_equal(byte_of(w.file, 8 * MIB), 7);

	fill_dirty(w.loop.fd, 9 * MIB, MIB, 8);
	succeeds(w.loop.fd, &patient);
	assert_int_equal(result.nr_nodes, 2);
	assert_int_equal(result.nr_unreachable, 1);
	assert_int_equal(byte_of(w.file, 9 * MIB), 8);
	take_down(&w);
}

/* A file in memory is left alone; the loop device over it has a page cache like any other. */
static void test_loop_over_memory(void **state)
{
	int memory = memfd_create("image", MFD_CLOEXEC);
	struct loop_device loop;

	(void)state;
	assert_int_equal(ftruncate(memory, 8 * MIB), 0);
	assert_int_equal(loop_attach(memory, &loop), 0);
	fill_dirty(loop.fd, MIB, MIB, 7);
	succeeds(memory, &patient);
	assert_int_equal(result.nr_nodes, 2);
	assert_int_equal(result.nr_in_memory, 1);
	assert_int_equal(byte_of(memory, MIB), 7);
	loop_detach(&loop);
	(void)close(memory);
}

/* Without CAP_SYS_ADMIN a device's pages go by advice. udev may read anew. */
static void test_drop_without_rights(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1);
	for (unsigned i = 0; i < 100 && (i == 0 || cached_now(w.loop.fd).pages > 0); i++) {
		assert_int_equal(byte_of(w.loop.fd, 8 * MIB), 0);
		/* Of this thread: its capabilities go with it. */
		assert_int_equal(syscall(SYS_setresuid, -1, 65534, -1), 0);
		assert_int_equal(ioctl(w.loop.fd, BLKFLSBUF, 0), -1);
		assert_int_equal(write_back_drop(w.loop.fd), 0);
		assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	}
	assert_int_equal(cached_now(w.loop.fd).pages, 0);
	take_down(&w);
}

/* A full file system below the loop device: what cannot be written is told, whatever the terms. Twice: the first time is not the last. */
static void test_storage_fails(void **state)
{
	struct loop_device loop;
	int file;

	(void)state;
	assert_int_equal(mkdir(in_scratch("full"), 0700), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail_msg("no mount namespace");
	assert_int_equal(mount("none", in_scratch("full"), "tmpfs", 0, "size=1M"), 0);
	file = scratch_file("full/file", 8 * MIB);
	assert_int_equal(loop_attach(file, &loop), 0);
	for (unsigned i = 0; i < 2; i++) {
		fill_dirty(loop.fd, 0, 4 * MIB, 7);
		assert_true(hand_over(loop.fd, "image", i ? &best_effort : &patient, &result,
				    &problem) < 0);
		assert_non_null(strstr(problem.text, "'image': what the page cache holds of"));
		assert_non_null(strstr(problem.text, "cannot be written"));
	}
	loop_detach(&loop);
	(void)close(file);
	assert_int_equal(umount2(in_scratch("full"), MNT_DETACH), 0);
	assert_int_equal(rmdir(in_scratch("full")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dirty_loop),
		cmocka_unit_test(test_one_round_is_enough),
		cmocka_unit_test(test_stale_loop),
		cmocka_unit_test(test_two_loops),
		cmocka_unit_test(test_partition_and_disk),
		cmocka_unit_test(test_mapped_on_another_path),
		cmocka_unit_test(test_holder_of_a_device),
		cmocka_unit_test(test_removed_file),
		cmocka_unit_test(test_loop_over_memory),
		cmocka_unit_test(test_drop_without_rights),
		cmocka_unit_test(test_storage_fails),
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
