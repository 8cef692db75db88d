/*
 * The kinds of storage there are: a regular file, a block device, nothing.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/data/engine.h"
#include "backend/data/storage.h"

/* ---- both ---- */

/* Again where a signal or the freezer came in between: that says nothing about the data. */
static int sync_fd(const struct storage *s)
{
	int r;

	do
		r = fdatasync(s->fd) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

static int discard_fd(const struct storage *s, uint64_t offset_bytes, uint64_t length_bytes,
	bool secure, const atomic_bool *stop)
{
	return discard_range(s->fd, &s->discard, offset_bytes, length_bytes, secure, stop);
}

static int create_engine(enum storage_engine which, unsigned capacity, struct engine **ret_engine)
{
	return which == STORAGE_URING ? engine_uring_create(capacity, ret_engine)
				      : engine_aio_create(capacity, ret_engine);
}

/* ---- a regular file ---- */

/*
 * The file system's block, within what guests know as a physical sector. A write of less makes it
 * zero or read the rest of a new block, in the thread that submits it.
 */
static unsigned preferred_unit(const struct stat *st)
{
	unsigned unit = STORAGE_SECTOR_SIZE;

	while (unit < STORAGE_UNIT_MAX && (blksize_t)unit < st->st_blksize)
		unit *= 2;
	return unit;
}

static int probe_file(const char *path, struct storage *s, struct problem *problem)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return problem_set(problem, -errno, "'%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return problem_set(
			problem, -ENOTBLK, "'%s' was replaced while it was opened", path);
	if (st.st_size % STORAGE_SECTOR_SIZE)
		return problem_set(problem, -EINVAL,
			"'%s': its size of %lld bytes is not a multiple of 512: extend it with truncate -s %%512",
			path, (long long)st.st_size);
	s->nr_sectors = (uint64_t)st.st_size / STORAGE_SECTOR_SIZE;
	s->physical_sector_size = preferred_unit(&st);
	s->unit = STORAGE_SECTOR_SIZE;
	return 0;
}

static int size_of_file(const struct storage *s, uint64_t *ret_size_bytes)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return -errno;
	*ret_size_bytes = (uint64_t)st.st_size;
	return 0;
}

const struct storage_kind storage_file = {
	.name = "file",
	.probe = probe_file,
	.size = size_of_file,
	.sync = sync_fd,
	.discard = discard_fd,
	.create_engine = create_engine,
};

/* ---- a block device ---- */

static int size_of_device(const struct storage *s, uint64_t *ret_size_bytes)
{
	uint64_t size_bytes;

	if (ioctl(s->fd, BLKGETSIZE64, &size_bytes) < 0)
		return -errno;
	*ret_size_bytes = size_bytes;
	return 0;
}

static int probe_device(const char *path, struct storage *s, struct problem *problem)
{
	uint64_t size_bytes = 0;
	unsigned physical;
	int logical;
	int r = size_of_device(s, &size_bytes);

	if (r == 0 &&
		(ioctl(s->fd, BLKSSZGET, &logical) < 0 || ioctl(s->fd, BLKPBSZGET, &physical) < 0))
		r = -errno;
	if (r)
		return problem_set(problem, r, "'%s': size and sector size are unknown: %s", path,
			strerror(-r));
	s->nr_sectors = size_bytes / STORAGE_SECTOR_SIZE;
	s->physical_sector_size = physical;
	s->unit = (unsigned)logical;
	return 0;
}

const struct storage_kind storage_block = {
	.name = "block",
	.probe = probe_device,
	.size = size_of_device,
	.sync = sync_fd,
	.discard = discard_fd,
	.create_engine = create_engine,
};

/* ---- nothing ---- */

/* Its descriptor is that of an empty file as large as the disk. */
static int sync_nothing(const struct storage *s)
{
	(void)s;
	return 0;
}

static int discard_nothing(const struct storage *s, uint64_t offset_bytes, uint64_t length_bytes,
	bool secure, const atomic_bool *stop)
{
	(void)s;
	(void)offset_bytes;
	(void)length_bytes;
	(void)secure;
	(void)stop;
	return 0;
}

static int create_no_engine(
	enum storage_engine which, unsigned capacity, struct engine **ret_engine)
{
	(void)which;
	return engine_null_create(capacity, ret_engine);
}

const struct storage_kind storage_null = {
	.name = "null",
	.probe = probe_file,
	.size = size_of_file,
	.sync = sync_nothing,
	.discard = discard_nothing,
	.create_engine = create_no_engine,
};
