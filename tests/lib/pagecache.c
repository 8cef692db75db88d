/*
 * pagecache [-vmp] FILE: how many pages of a file or block device the host's page cache holds.
 *
 * Asks cachestat(2). Where that is missing (Linux < 6.5), or the file lies on overlayfs, where it
 * answers 0 whatever is cached, it maps the file and asks mincore(2). Neither brings a page in.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

struct answer {
	uint64_t pages;
	uint64_t size_bytes;
	const char *method;
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

static int ask(int fd, bool by_mincore, struct answer *ret_answer)
{
	struct answer a = {.method = "cachestat"};
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
		*ret_answer = a;
	return r;
}

/* All of it, where nobody can drop it, until standard input has something, or ends. */
static int pin(int fd)
{
	uint64_t size_bytes = 0;
	int r = size_of(fd, &size_bytes);
	char byte;

	if (r)
		return r;
	if (mmap(NULL, (size_t)size_bytes, PROT_READ, MAP_SHARED | MAP_LOCKED | MAP_POPULATE, fd,
		    0) == MAP_FAILED)
		return -errno;
	(void)puts("pinned");
	(void)fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0 ? -errno : 0;
}

static int usage(FILE *to, int code)
{
	(void)fputs(
		"usage: pagecache [-v] [-m] [-p] FILE\n"
		"Prints how many pages of FILE the page cache holds.\n"
		"  -v  also of how many, and how that was found out\n"
		"  -m  by mincore(2) even where cachestat(2) works\n"
		"  -p  bring all in first and keep it there, say 'pinned', until there is something to read\n",
		to);
	return code;
}

int main(int argc, char **argv)
{
	bool verbose = false, by_mincore = false, pinned = false;
	struct answer a = {0};
	int c, fd, r;

	while ((c = getopt(argc, argv, "vmph")) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == '?')
			return usage(stderr, 2);
		verbose |= c == 'v';
		by_mincore |= c == 'm';
		pinned |= c == 'p';
	}
	if (argc - optind != 1)
		return usage(stderr, 2);
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : pinned ? pin(fd) : 0;
	if (r == 0)
		r = ask(fd, by_mincore, &a);
	if (r) {
		(void)fprintf(stderr, "pagecache: '%s': %s\n", argv[optind], strerror(-r));
		return 1;
	}
	(void)close(fd);
	if (verbose)
		printf("%" PRIu64 " of %" PRIu64 " pages (%s)\n", a.pages,
			(a.size_bytes + (uint64_t)sysconf(_SC_PAGESIZE) - 1) /
				(uint64_t)sysconf(_SC_PAGESIZE),
			a.method);
	else
		printf("%" PRIu64 "\n", a.pages);
	return 0;
}
