#include "tests/lib/page_count.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CACHESTAT_CALL 451 /* the same on every architecture; newer than Debian 12's headers */

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

static int size_of(int fd, uint64_t *ret_size_bytes)
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

static bool is_overlay(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

static int ask_cachestat(int fd, uint64_t *ret_pages)
{
	struct cachestat_range all = {0};
	struct cachestat_counts counts = {0};

	if (syscall(CACHESTAT_CALL, fd, &all, &counts, 0) < 0)
		return -errno;
	*ret_pages = counts.cached;
	return 0;
}

static int ask_mincore(int fd, uint64_t size_bytes, uint64_t *ret_pages)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	size_t n = (size_t)((size_bytes + page_size - 1) / page_size);
	unsigned char *resident;
	uint64_t pages = 0;
	void *map;
	int r = 0;

	*ret_pages = 0;
	if (n == 0)
		return 0;
	map = mmap(NULL, n * page_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	resident = malloc(n);
	if (!resident)
		r = -ENOMEM;
	else if (mincore(map, n * page_size, resident) < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < n; i++)
		pages += resident[i] & 1;
	free(resident);
	(void)munmap(map, n * page_size);
	*ret_pages = pages;
	return r;
}

int page_count(int fd, bool by_mincore, struct page_count *ret_count)
{
	struct page_count a = {.method = "cachestat"};
	int r = size_of(fd, &a.size_bytes);

	if (r)
		return r;
	if (!by_mincore && !is_overlay(fd))
		r = ask_cachestat(fd, &a.pages);
	else
		r = -ENOSYS;
	if (r) {
		a.method = "mincore";
		r = ask_mincore(fd, a.size_bytes, &a.pages);
	}
	if (r == 0)
		*ret_count = a;
	return r;
}
