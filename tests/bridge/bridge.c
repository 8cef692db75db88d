#include "tests/bridge/bridge.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 30000

static char scratch[128];

static bool is_usable(const char *folder)
{
	char probe[160];
	struct statfs fs;
	int fd;

	if (statfs(folder, &fs) || fs.f_type == OVERLAYFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC)
		return false;
	(void)snprintf(probe, sizeof(probe), "%s/probe", folder);
	fd = open(probe, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	(void)unlink(probe);
	return fd >= 0 && close(fd) == 0;
}

int scratch_make(void)
{
	const char *const candidates[] = {getenv("BLKBACK_BUILD"), "/var/tmp", "/tmp"};

	for (unsigned i = 0; i < 3; i++) {
		if (!candidates[i])
			continue;
		(void)snprintf(scratch, sizeof(scratch), "%.80s/bridge-t.XXXXXX", candidates[i]);
		if (!mkdtemp(scratch))
			continue;
		if (is_usable(scratch))
			return 0;
		(void)rmdir(scratch);
	}
	return -1;
}

void scratch_remove(void)
{
	(void)rmdir(scratch);
}

const char *in_scratch(const char *name)
{
	static char paths[4][192];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

int scratch_file(const char *name, uint64_t size_bytes)
{
	int fd = open(in_scratch(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
	return fd;
}

void fill(int fd, uint64_t offset, uint64_t length, int byte)
{
	char block[BLOCK];

	memset(block, byte, sizeof(block));
	for (uint64_t done = 0; done < length; done += BLOCK)
		assert_int_equal(pwrite(fd, block, BLOCK, (off_t)(offset + done)), BLOCK);
}

void fill_dirty(int fd, uint64_t offset, uint64_t length, int byte)
{
	struct cached cached = {0};

	for (unsigned i = 0; i < 100; i++) {
		fill(fd, offset, length, byte);
		if (cached_range(fd, offset, length, &cached) || cached.dirty * BLOCK == length)
			return;
	}
	fail_msg("the kernel writes faster than the test");
}

void read_all(int fd)
{
	uint64_t size_bytes;
	char block[BLOCK];

	assert_int_equal(cached_size(fd, &size_bytes), 0);
	for (uint64_t at = 0; at < size_bytes; at += BLOCK)
		assert_true(pread(fd, block, BLOCK, (off_t)at) > 0);
}

int byte_on_medium(const char *path, uint64_t offset)
{
	static _Alignas(BLOCK) unsigned char block[BLOCK];
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, block, BLOCK, (off_t)offset), BLOCK);
	(void)close(fd);
	return memcmp(block, block + 1, BLOCK - 1) == 0 ? block[0] : -1;
}

struct cached cached_now(int fd)
{
	struct cached cached;

	assert_int_equal(cached_count(fd, &cached), 0);
	return cached;
}

struct child child_hold(void (*prepare)(void *arg), void *arg)
{
	int to[2], from[2];
	struct child child;
	char byte = 0;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	child.pid = fork();
	if (child.pid == 0) {
		(void)prctl(PR_SET_NAME, "holder-of-it");
		(void)close(to[1]);
		/* None of its parent's but for what is prepared. */
		for (int fd = 3; fd < 256; fd++)
			if (fd != to[0] && fd != from[1])
				(void)close(fd);
		prepare(arg);
		(void)!write(from[1], "x", 1);
		(void)!read(to[0], &byte, 1);
		_exit(0);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	assert_int_equal(
		poll(&(struct pollfd){.fd = from[0], .events = POLLIN}, 1, DEADLINE_MS), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	(void)close(from[0]);
	child.to = to[1];
	return child;
}

void child_end(struct child *child)
{
	int status;

	(void)close(child->to);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, 0);
}

void map_path(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	volatile char *map = mmap(NULL, 4 * BLOCK, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		_exit(1);
	for (unsigned i = 0; i < 4; i++)
		(void)map[i * BLOCK];
	(void)close(fd);
}
