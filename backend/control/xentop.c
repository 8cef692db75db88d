#include "backend/control/xentop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* libxenstat reads the record alone; tapdisk's file is a page, and other readers map that. */
#define FILE_SIZE 4096

#define NAME_MAX_LEN 48

static void dir_name(char name[NAME_MAX_LEN], uint32_t pid)
{
	(void)snprintf(name, NAME_MAX_LEN, "td3-%u", pid);
}

static void file_name(char name[NAME_MAX_LEN], uint32_t domid, uint32_t devid)
{
	(void)snprintf(name, NAME_MAX_LEN, "vbd-%u-%u", domid, devid);
}

/* ---- making it ---- */

/* Anybody may have guessed our pid and made the directory before us: then it is no place for us. */
static int open_own_dir(int base_fd, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(base_fd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return fd;
	(void)close(fd);
	return -EPERM;
}

/* The page is allocated now: on a full tmpfs a later store would be a bus error. */
static int map_new_file(int dir_fd, const char *name, struct record_file **ret_file)
{
	void *page;
	int fd, r;

	(void)unlinkat(dir_fd, name, 0);
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, FILE_SIZE);
	if (r) {
		(void)close(fd);
		return r;
	}
	page = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	r = page == MAP_FAILED ? -errno : 0;
	(void)close(fd);
	if (r == 0)
		*ret_file = page;
	return r;
}

static int make(struct xentop *xentop, const char *dir)
{
	char name[NAME_MAX_LEN];
	int base_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (base_fd < 0)
		return -errno;
	dir_name(name, (uint32_t)getpid());
	xentop->dir_fd = open_own_dir(base_fd, name);
	(void)close(base_fd);
	if (xentop->dir_fd < 0)
		return xentop->dir_fd;
	file_name(name, xentop->domid, xentop->devid);
	return map_new_file(xentop->dir_fd, name, &xentop->file);
}

int xentop_init(struct xentop *xentop, const char *dir, uint32_t domid, uint32_t devid,
	struct problem *ret_problem)
{
	int r;

	*xentop = (struct xentop){.dir = dir, .dir_fd = -1, .domid = domid, .devid = devid};
	r = make(xentop, dir);
	if (r) {
		xentop_fini(xentop);
		return problem_set(ret_problem, r, "no statistics for xentop below '%s': %s", dir,
			strerror(-r));
	}
	xentop->file->record.version = RECORD_VERSION;
	return 0;
}

/* ---- removing it ---- */

void xentop_fini(struct xentop *xentop)
{
	if (xentop->file)
		(void)munmap(xentop->file, FILE_SIZE);
	xentop->file = NULL;
	if (xentop->dir_fd < 0)
		return;
	(void)close(xentop->dir_fd);
	xentop->dir_fd = -1;
	xentop_remove(xentop->dir, (uint32_t)getpid(), xentop->domid, xentop->devid);
}

/* The directory of a worker, which is nobody's but ours, or -1. */
static int open_dead_dir(int base_fd, uint32_t pid)
{
	char name[NAME_MAX_LEN];
	struct stat st;
	int fd;

	dir_name(name, pid);
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

bool xentop_was_lost(const char *dir, uint32_t pid, uint32_t domid, uint32_t devid)
{
	char name[NAME_MAX_LEN];
	struct record_file file = {.lost = 0};
	int base_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dir_fd = base_fd < 0 ? -1 : open_dead_dir(base_fd, pid), fd = -1;
	bool was_lost = false;

	file_name(name, domid, devid);
	if (dir_fd >= 0)
		fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		was_lost = read(fd, &file, sizeof(file)) == sizeof(file) && file.lost != 0;
		(void)close(fd);
	}
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (base_fd >= 0)
		(void)close(base_fd);
	return was_lost;
}

void xentop_remove(const char *dir, uint32_t pid, uint32_t domid, uint32_t devid)
{
	char name[NAME_MAX_LEN];
	int base_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dir_fd;

	if (base_fd < 0)
		return;
	dir_name(name, pid);
	dir_fd = openat(base_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd >= 0) {
		char file[NAME_MAX_LEN];

		file_name(file, domid, devid);
		(void)unlinkat(dir_fd, file, 0);
		(void)close(dir_fd);
		/* Fails when a living process keeps other records there: that is as it should be. */
		(void)unlinkat(base_fd, name, AT_REMOVEDIR);
	}
	(void)close(base_fd);
}
