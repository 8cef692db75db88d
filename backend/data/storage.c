#include "backend/data/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/data/filesystem.h"

/* Alignment in memory when the kernel does not say: no Linux driver asks for more. */
#define SAFE_MEMORY_ALIGN 4096u

/* Headers before Linux 5.15 have it not. */
#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, __u64)
#endif

/* Of a name that names nothing. */
#define NULL_PREFIX "null:"

/* Long enough for a name below /proc/self/fd. */
#define OWN_NAME_MAX 32

/* What is open, whatever has become of its name. */
static const char *own_name(const struct storage *s, char name[OWN_NAME_MAX])
{
	(void)snprintf(name, OWN_NAME_MAX, "/proc/self/fd/%d", s->fd);
	return name;
}

static int no_direct_io(const char *path, struct problem *ret_problem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char fs[FILESYSTEM_NAME_MAX];

	filesystem_name(fd, fs);
	if (fd >= 0)
		(void)close(fd);
	return problem_set(ret_problem, -EINVAL,
		"'%s': %s does not support direct I/O (O_DIRECT), without which guest data would pass through the host page cache: put the image on ext4, xfs or a block device, or choose cache=writethrough or cache=writeback",
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

static int open_flags(const struct storage *s)
{
	return (s->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY |
	       (cache_is_direct(s->cache) ? O_DIRECT : 0) |
	       (cache_writes_through(s->cache) ? O_DSYNC : 0);
}

static int open_image(const char *path, struct storage *s, struct problem *ret_problem)
{
	s->fd = open(path, open_flags(s));
	if (s->fd >= 0)
		return 0;
	if (errno == EINVAL && cache_is_direct(s->cache))
		return no_direct_io(path, ret_problem);
	if (errno == EROFS || errno == EACCES || errno == EPERM) {
		int r = -errno;

		return problem_set(ret_problem, r, "'%s' cannot be opened for %s: %s%s", path,
			s->read_only ? "reading" : "reading and writing", strerror(-r),
			s->read_only ? "" : "; give the disk access 'r' if the guest only reads");
	}
	return problem_set(ret_problem, -errno, "'%s' cannot be opened: %s", path, strerror(errno));
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
static unsigned find_unit(int fd)
{
	void *buffer;
	unsigned unit;

	if (posix_memalign(&buffer, SAFE_MEMORY_ALIGN, SAFE_MEMORY_ALIGN))
		return 0;
	for (unit = STORAGE_SECTOR_SIZE; unit <= SAFE_MEMORY_ALIGN; unit *= 2)
		if (pread(fd, buffer, unit, 0) >= 0 || errno != EINVAL)
			break;
	free(buffer);
	return unit > SAFE_MEMORY_ALIGN ? 0 : unit;
}

/* The same for what is open without O_DIRECT: 0, too, if that cannot be had. */
static unsigned find_direct_unit(const struct storage *s)
{
	char name[OWN_NAME_MAX];
	unsigned unit = 0;
	int fd;

	if (cache_is_direct(s->cache))
		return find_unit(s->fd);
	fd = open(own_name(s, name), O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0) {
		unit = find_unit(fd);
		(void)close(fd);
	}
	return unit;
}

/* What direct I/O needs, as far as there is any: .unit is 0 where there is none. */
static void probe_alignment(struct storage *s, unsigned logical)
{
	if (ask_kernel(s->fd, &s->unit, &s->memory_align) < 0) {
		s->unit = find_direct_unit(s);
		s->memory_align = SAFE_MEMORY_ALIGN;
	}
	if (s->unit > 0 && s->unit < logical)
		s->unit = logical;
	if (s->memory_align < STORAGE_SECTOR_SIZE)
		s->memory_align = STORAGE_SECTOR_SIZE;
}

static int check_direct(const char *path, const struct storage *s, struct problem *ret_problem)
{
	if (s->unit == 0)
		return no_direct_io(path, ret_problem);
	if (s->unit > STORAGE_UNIT_MAX)
		return problem_set(ret_problem, -ENOTSUP,
			"'%s': direct I/O only in units of %u bytes: up to %u are supported", path,
			s->unit, STORAGE_UNIT_MAX);
	if (s->nr_sectors % (s->unit / STORAGE_SECTOR_SIZE))
		return problem_set(ret_problem, -EINVAL,
			"'%s': its size is not a multiple of %u bytes, which its storage takes at least: extend it with truncate -s %%%u",
			path, s->unit, s->unit);
	return 0;
}

/*
 * Through the page cache any sector can be moved. But what direct I/O needs is kept to all the same, where there is such: so the
 * mode can change while requests wait that were made ready for the other (D7).
 */
static int settle_alignment(const char *path, struct storage *s, struct problem *ret_problem)
{
	struct problem ignored;
	unsigned logical = s->unit;

	probe_alignment(s, logical);
	if (cache_is_direct(s->cache)) {
		int r = check_direct(path, s, ret_problem);

		if (r)
			return r;
	} else if (check_direct(path, s, &ignored)) {
		s->unit = STORAGE_SECTOR_SIZE;
	}
	if (s->unit > s->physical_sector_size)
		s->physical_sector_size = s->unit;
	return 0;
}

static int probe_kind(const char *path, struct storage *s, struct problem *ret_problem)
{
	int r = s->kind->probe(path, s, ret_problem);

	if (r == 0 && s->nr_sectors == 0)
		return problem_set(ret_problem, -EINVAL,
			"'%s' is empty: a disk has at least one sector of 512 bytes", path);
	return r;
}

static uint64_t disk_number(int fd, dev_t device)
{
	uint64_t number;

	if (major(device) == SCSI_CDROM_MAJOR || ioctl(fd, BLKGETDISKSEQ, &number) < 0)
		return 0;
	return number;
}

static struct storage_identity identity_of(int fd, const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct storage_identity){0, st->st_rdev, disk_number(fd, st->st_rdev)};
	return (struct storage_identity){st->st_dev, st->st_ino, 0};
}

static int probe(const char *path, struct storage *s, struct problem *ret_problem)
{
	struct stat st;
	int r;

	if (fstat(s->fd, &st) < 0)
		return problem_set(ret_problem, -errno, "'%s': %s", path, strerror(errno));
	s->kind = S_ISBLK(st.st_mode) ? &storage_block : &storage_file;
	s->identity = identity_of(s->fd, &st);
	r = probe_kind(path, s, ret_problem);
	return r ? r : settle_alignment(path, s, ret_problem);
}

static int open_and_probe(const char *path, struct storage *s, struct problem *ret_problem)
{
	int r = check_type(path, ret_problem);

	if (r == 0)
		r = open_image(path, s, ret_problem);
	return r ? r : probe(path, s, ret_problem);
}

/* For benches: as large as its name says, and there is nothing to be found out about it. */
static int open_null(const char *path, struct storage *s, struct problem *ret_problem)
{
	const char *digits = path + sizeof(NULL_PREFIX) - 1;
	unsigned long long size_bytes;
	char *end;

	errno = 0;
	size_bytes = strtoull(digits, &end, 10);
	if (errno || *digits < '0' || *digits > '9' || *end || size_bytes > INT64_MAX)
		return problem_set(ret_problem, -EINVAL,
			"'%s': behind " NULL_PREFIX " comes a number of bytes", path);
	s->kind = &storage_null;
	s->fd = memfd_create("null", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)size_bytes) < 0)
		return problem_set(ret_problem, -errno, "'%s': %s", path, strerror(errno));
	s->unit = STORAGE_SECTOR_SIZE;
	s->memory_align = STORAGE_SECTOR_SIZE;
	return probe_kind(path, s, ret_problem);
}

bool storage_is_null(const char *path)
{
	return strncmp(path, NULL_PREFIX, sizeof(NULL_PREFIX) - 1) == 0;
}

int storage_open(const char *path, const struct storage_terms *terms, struct storage *ret_storage,
	struct problem *ret_problem)
{
	struct storage s = {.fd = -1, .read_only = terms->read_only, .cache = terms->cache};
	int r;

	*ret_storage = s;
	r = storage_is_null(path) ? open_null(path, &s, ret_problem)
				  : open_and_probe(path, &s, ret_problem);
	if (r) {
		storage_close(&s);
		return r;
	}
	if (!s.read_only && terms->discard)
		discard_probe(s.fd, storage_is_block_device(&s), &s.discard);
	*ret_storage = s;
	return 0;
}

/* ---- again, in another mode ---- */

static int not_reopened(int error, enum cache_mode cache, struct problem *ret_problem)
{
	if (error == -EINVAL && cache_is_direct(cache))
		return problem_set(ret_problem, error,
			"cache mode %s needs direct I/O, which the image's file system does not have",
			cache_mode_name(cache));
	return problem_set(ret_problem, error,
		"the image cannot be opened again for cache mode %s: %s%s", cache_mode_name(cache),
		strerror(-error),
		error == -EMFILE || error == -ENFILE ? ": raise the limit of open files" : "");
}

/* Whether requests that were made ready for the old one can be served by direct I/O on @s. Reads, where the kernel does not say. */
static int check_direct_unit(
	const struct storage *s, const struct storage *old, struct problem *problem)
{
	struct storage found = *s;
	int r = probe("the image", &found, problem);

	if (r)
		return r;
	if (found.unit != old->unit)
		return problem_set(problem, -EINVAL,
			"cache mode %s would move blocks of %u bytes instead of %u: not while the guest's driver is connected",
			cache_mode_name(s->cache), found.unit, old->unit);
	return 0;
}

/* The same place, and usable. From direct I/O to direct I/O nothing is asked of a storage that may be slow just now. */
static int check_same(const struct storage *s, const struct storage *old, struct problem *problem)
{
	struct storage_identity identity;
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return problem_set(problem, -errno, "the image: %s", strerror(errno));
	identity = identity_of(s->fd, &st);
	if (!storage_identity_same(&identity, &old->identity))
		return problem_set(problem, -ENXIO,
			"the image was another file or device when it was opened again");
	if (!cache_is_direct(s->cache) || cache_is_direct(old->cache))
		return 0;
	return check_direct_unit(s, old, problem);
}

int storage_reopen(const struct storage *storage, enum cache_mode cache,
	struct storage *ret_storage, struct problem *ret_problem)
{
	struct storage s = *storage;
	char name[OWN_NAME_MAX];
	int r;

	*ret_storage = (struct storage){.fd = -1};
	if (storage->kind == &storage_null)
		return problem_set(ret_problem, -ENOTSUP, "a null storage has one cache mode");
	s.cache = cache;
	s.fd = open(own_name(storage, name), open_flags(&s));
	if (s.fd < 0)
		return not_reopened(-errno, cache, ret_problem);
	r = check_same(&s, storage, ret_problem);
	if (r) {
		storage_close(&s);
		return r;
	}
	*ret_storage = s;
	return 0;
}

/* ---- in use ---- */

int storage_size(const struct storage *storage, uint64_t *ret_size_bytes)
{
	return storage->kind->size(storage, ret_size_bytes);
}

int storage_sync(const struct storage *storage)
{
	return storage->kind->sync(storage);
}

void storage_drop_pages(const struct storage *storage)
{
	(void)posix_fadvise(storage->fd, 0, 0, POSIX_FADV_DONTNEED);
}

void storage_close(struct storage *storage)
{
	if (storage->fd >= 0)
		(void)close(storage->fd);
	storage->fd = -1;
}
