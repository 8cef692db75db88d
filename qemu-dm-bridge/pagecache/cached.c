#include "cached.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CACHESTAT_CALL 451 /* the same on every architecture; newer than the headers of Debian 12 */

/* Bytes mapped at a time: address space only, and a vector of 16 KiB on the stack. */
#define WINDOW       (64u << 20)
#define WINDOW_PAGES (WINDOW / 4096u)

/* As in <linux/mman.h> of Linux 6.5. */
struct cachestat_range {
	uint64_t offset;
	uint64_t length; /* 0: to the end */
};

struct cachestat_counts {
	uint64_t cached;
	uint64_t dirty;
	uint64_t writeback;
	uint64_t evicted;
	uint64_t recently_evicted;
};

int cached_size(int fd, uint64_t *ret_size_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, ret_size_bytes) < 0 ? -errno : 0;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_size_bytes = (uint64_t)st.st_size;
	return 0;
}

/* The file system of the file; a device's node may well lie on a tmpfs. */
static bool lies_on(int fd, const long types[], unsigned nr_types)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
		return false;
	for (unsigned i = 0; i < nr_types; i++)
		if ((long)fs.f_type == types[i])
			return true;
	return false;
}

bool cached_is_storage(int fd)
{
	static const long types[] = {TMPFS_MAGIC, RAMFS_MAGIC, HUGETLBFS_MAGIC};

	return lies_on(fd, types, sizeof(types) / sizeof(types[0]));
}

static bool is_overlay(int fd)
{
	static const long types[] = {OVERLAYFS_SUPER_MAGIC};

	return lies_on(fd, types, 1);
}

/* ---- cachestat ---- */

int cached_range(int fd, uint64_t offset, uint64_t length, struct cached *ret_cached)
{
	struct cachestat_range range = {offset, length};
	struct cachestat_counts counts = {0};

	if (is_overlay(fd))
		return -ENOSYS;
	if (syscall(CACHESTAT_CALL, fd, &range, &counts, 0) < 0)
		return -errno;
	*ret_cached = (struct cached){counts.cached, counts.dirty + counts.writeback, true};
	return 0;
}

/* ---- mincore ---- */

/* What the kernel asks before mincore tells the truth; else it calls every page cached. */
static int may_ask(int fd)
{
	struct stat st;
	char name[32];

	if (fstat(fd, &st) < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (geteuid() == st.st_uid || faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) == 0)
		return 0;
	return -EPERM;
}

static int count_window(int fd, uint64_t offset, size_t length, uint64_t *pages)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	size_t n = (length + page_size - 1) / page_size;
	unsigned char resident[WINDOW_PAGES];
	void *map = mmap(NULL, n * page_size, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	r = mincore(map, n * page_size, resident) < 0 ? -errno : 0;
	(void)munmap(map, n * page_size);
	for (size_t i = 0; r == 0 && i < n; i++)
		*pages += resident[i] & 1u;
	return r;
}

int cached_mincore(int fd, struct cached *ret_cached)
{
	uint64_t size_bytes, offset, pages = 0;
	int r = cached_size(fd, &size_bytes);

	if (r == 0)
		r = may_ask(fd);
	for (offset = 0; r == 0 && offset < size_bytes; offset += WINDOW) {
		uint64_t rest = size_bytes - offset;

		r = count_window(fd, offset, rest < WINDOW ? (size_t)rest : WINDOW, &pages);
	}
	if (r == 0)
		*ret_cached = (struct cached){.pages = pages};
	return r;
}

/* ---- whichever there is ---- */

int cached_count(int fd, struct cached *ret_cached)
{
	uint64_t size_bytes;
	int r = cached_size(fd, &size_bytes);

	if (r)
		return r;
	r = cached_range(fd, 0, 0, ret_cached);
	/* Newer than a filter of system calls is, it fails with -EPERM. */
	return r == -ENOSYS || r == -EPERM || r == -EOPNOTSUPP ? cached_mincore(fd, ret_cached) : r;
}
