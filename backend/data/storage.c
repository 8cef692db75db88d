#include "backend/data/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/data/filesystem.h"

/* Alignment in memory when the kernel does not say: no Linux driver asks for more. */
#define SAFE_MEMORY_ALIGN 4096u

/* What a block of the storage may have: it fits a page. */
#define UNIT_MAX 4096u

static int no_direct_io(const char *path, struct problem *ret_problem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char fs[FILESYSTEM_NAME_MAX];

	filesystem_name(fd, fs);
	if (fd >= 0)
		(void)close(fd);
	return problem_set(ret_problem, -EINVAL,
		"'%s': %s does not support direct I/O (O_DIRECT), without which guest data would pass through the host page cache and not be safe: put the image on ext4, xfs or a block device",
		path, fs);
}

/* Look before opening: opening a FIFO or a tape may block or act. */
static int check_type(const char *path, struct problem *ret_problem)
{
	struct stat st;

	if (path[0] != '/')
		return problem_set(ret_problem, -EINVAL,
			"'%s': not an absolute path: name the image from the root directory", path);
	if (stat(path, &st) < 0) {
		int r = -errno;

		return problem_set(ret_problem, r,
			"'%s': %s: make the image or activate the volume, or correct the path in the disk's configuration",
			path, strerror(-r));
	}
	if (S_ISDIR(st.st_mode))
		return problem_set(ret_problem, -EISDIR,
			"'%s' is a directory: name a disk image or a block device", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return problem_set(ret_problem, -ENOTBLK,
			"'%s' is neither a regular file nor a block device", path);
	return 0;
}

static int open_direct(const char *path, struct storage *s, struct problem *ret_problem)
{
	int flags = (s->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC | O_NOCTTY;

	if (s->write_through)
		flags |= O_DSYNC;
	s->fd = open(path, flags);
	if (s->fd >= 0)
		return 0;
	if (errno == EINVAL)
		return no_direct_io(path, ret_problem);
	if (errno == EROFS || errno == EACCES || errno == EPERM) {
		int r = -errno;

		return problem_set(ret_problem, r, "'%s' cannot be opened for %s: %s%s", path,
			s->read_only ? "reading" : "reading and writing", strerror(-r),
			s->read_only ? "" : "; give the disk access 'r' if the guest only reads");
	}
	return problem_set(ret_problem, -errno, "'%s' cannot be opened: %s", path, strerror(errno));
}

static int probe_block_device(
	const char *path, struct storage *s, unsigned *ret_unit, struct problem *ret_problem)
{
	uint64_t size_bytes = 0;
	unsigned physical;
	int logical;
	int r;

	s->is_block_device = true;
	r = storage_size(s, &size_bytes);
	if (r == 0 &&
		(ioctl(s->fd, BLKSSZGET, &logical) < 0 || ioctl(s->fd, BLKPBSZGET, &physical) < 0))
		r = -errno;
	if (r)
		return problem_set(ret_problem, r, "'%s': size and sector size are unknown: %s",
			path, strerror(-r));
	s->nr_sectors = size_bytes / STORAGE_SECTOR_SIZE;
	s->physical_sector_size = physical;
	*ret_unit = (unsigned)logical;
	return 0;
}

/*
 * The file system's block, within what guests know as a physical sector. A write of less makes it
 * zero or read the rest of a new block, in the thread that submits it.
 */
static unsigned preferred_unit(const struct stat *st)
{
	unsigned unit = STORAGE_SECTOR_SIZE;

	while (unit < SAFE_MEMORY_ALIGN && (blksize_t)unit < st->st_blksize)
		unit *= 2;
	return unit;
}

static int probe_file(
	const char *path, struct storage *s, unsigned *ret_unit, struct problem *ret_problem)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return problem_set(ret_problem, -errno, "'%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return problem_set(
			ret_problem, -ENOTBLK, "'%s' was replaced while it was opened", path);
	if (st.st_size % STORAGE_SECTOR_SIZE)
		return problem_set(ret_problem, -EINVAL,
			"'%s': its size of %lld bytes is not a multiple of 512: extend it with truncate -s %%512",
			path, (long long)st.st_size);
	s->nr_sectors = (uint64_t)st.st_size / STORAGE_SECTOR_SIZE;
	s->physical_sector_size = preferred_unit(&st);
	*ret_unit = STORAGE_SECTOR_SIZE;
	return 0;
}

/*
 * What direct I/O wants, from the kernel (statx, Linux 6.1) where it says so. Both zero means "no
 * direct I/O on this file". -ENOSYS when it does not say.
 */
static int ask_kernel(int fd, unsigned *ret_unit, unsigned *ret_memory_align)
{
	struct statx stx = {0};

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0)
		return -ENOSYS;
	if (!(stx.stx_mask & STATX_DIOALIGN))
		return -ENOSYS;
	*ret_unit = stx.stx_dio_offset_align;
	*ret_memory_align = stx.stx_dio_mem_align;
	return 0;
}

/* Read one sector in each plausible unit until one is accepted. 0 when none is. */
static unsigned find_unit(const struct storage *s)
{
	void *buffer;
	unsigned unit;

	if (posix_memalign(&buffer, SAFE_MEMORY_ALIGN, SAFE_MEMORY_ALIGN))
		return 0;
	for (unit = STORAGE_SECTOR_SIZE; unit <= SAFE_MEMORY_ALIGN; unit *= 2)
		if (pread(s->fd, buffer, unit, 0) >= 0 || errno != EINVAL)
			break;
	free(buffer);
	return unit > SAFE_MEMORY_ALIGN ? 0 : unit;
}

static int probe_alignment(
	const char *path, struct storage *s, unsigned unit, struct problem *ret_problem)
{
	unsigned dio_unit;

	if (ask_kernel(s->fd, &dio_unit, &s->memory_align) < 0) {
		dio_unit = find_unit(s);
		s->memory_align = SAFE_MEMORY_ALIGN;
	}
	if (dio_unit == 0)
		return no_direct_io(path, ret_problem);
	if (dio_unit > unit)
		unit = dio_unit;
	if (unit > s->physical_sector_size)
		s->physical_sector_size = unit;
	if (unit > UNIT_MAX)
		return problem_set(ret_problem, -ENOTSUP,
			"'%s': direct I/O only in units of %u bytes: up to %u are supported", path,
			unit, UNIT_MAX);
	if (s->nr_sectors % (unit / STORAGE_SECTOR_SIZE))
		return problem_set(ret_problem, -EINVAL,
			"'%s': its size is not a multiple of %u bytes, which its storage takes at least: extend it with truncate -s %%%u",
			path, unit, unit);
	s->unit = unit;
	if (s->memory_align < STORAGE_SECTOR_SIZE)
		s->memory_align = STORAGE_SECTOR_SIZE;
	return 0;
}

int storage_open(
	const char *path, unsigned flags, struct storage *ret_storage, struct problem *ret_problem)
{
	struct storage s = {.fd = -1,
		.read_only = (flags & STORAGE_READ_ONLY) != 0,
		.write_through = (flags & STORAGE_WRITE_THROUGH) != 0};
	unsigned unit;
	struct stat st;
	int r;

	*ret_storage = s;
	r = check_type(path, ret_problem);
	if (r)
		return r;
	r = open_direct(path, &s, ret_problem);
	if (r)
		return r;
	if (fstat(s.fd, &st) < 0) {
		r = problem_set(ret_problem, -errno, "'%s': %s", path, strerror(errno));
		storage_close(&s);
		return r;
	}
	s.identity = S_ISBLK(st.st_mode) ? (struct storage_identity){0, st.st_rdev}
					 : (struct storage_identity){st.st_dev, st.st_ino};
	if (S_ISBLK(st.st_mode))
		r = probe_block_device(path, &s, &unit, ret_problem);
	else
		r = probe_file(path, &s, &unit, ret_problem);
	if (r == 0 && s.nr_sectors == 0)
		r = problem_set(ret_problem, -EINVAL,
			"'%s' is empty: a disk has at least one sector of 512 bytes", path);
	if (r == 0)
		r = probe_alignment(path, &s, unit, ret_problem);
	if (r) {
		storage_close(&s);
		return r;
	}
	if (!s.read_only && flags & STORAGE_DISCARD)
		discard_probe(s.fd, s.is_block_device, &s.discard);
	*ret_storage = s;
	return 0;
}

int storage_size(const struct storage *storage, uint64_t *ret_size_bytes)
{
	uint64_t size_bytes;
	struct stat st;

	if (!storage->is_block_device) {
		if (fstat(storage->fd, &st) < 0)
			return -errno;
		*ret_size_bytes = (uint64_t)st.st_size;
		return 0;
	}
	if (ioctl(storage->fd, BLKGETSIZE64, &size_bytes) < 0)
		return -errno;
	*ret_size_bytes = size_bytes;
	return 0;
}

int storage_sync(int fd)
{
	int r;

	do
		r = fdatasync(fd) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

void storage_close(struct storage *storage)
{
	if (storage->fd >= 0)
		(void)close(storage->fd);
	storage->fd = -1;
}
