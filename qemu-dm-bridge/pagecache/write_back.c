#include "write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cached.h"

/* Dirty bytes that are waited for in one go: enough to keep a disk busy, little enough for a word in between. */
#define PIECE (32u << 20)

struct piece {
	uint64_t offset, length; /* 0 bytes: none */
};

static int sync_piece(int fd, struct piece piece, unsigned flags)
{
	int r;

	do
		r = sync_file_range(fd, (off_t)piece.offset, (off_t)piece.length, flags) < 0
			    ? -errno
			    : 0;
	while (r == -EINTR);
	return r;
}

static int start_piece(int fd, struct piece piece)
{
	return sync_piece(fd, piece, SYNC_FILE_RANGE_WRITE);
}

static int await_piece(int fd, struct piece piece)
{
	return sync_piece(fd, piece,
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

/* From @offset as much of @length as has no more dirty pages than a piece: half of it, until that is so. */
static int find_piece(int fd, uint64_t offset, uint64_t *length, uint64_t *ret_dirty)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	struct cached cached;
	int r;

	for (;;) {
		r = cached_range(fd, offset, *length, &cached);
		if (r)
			return r;
		if (cached.dirty * page_size <= PIECE || *length <= PIECE)
			break;
		*length = (*length / 2 + page_size - 1) / page_size * page_size;
	}
	*ret_dirty = cached.dirty;
	return 0;
}

/* One piece is on its way while the one before is waited for: the storage is never without work. */
static int write_piece(
	int fd, struct piece piece, struct piece *before, write_back_step *step, void *arg)
{
	int r = start_piece(fd, piece);

	if (r == 0 && before->length > 0) {
		r = step(arg);
		if (r == 0)
			r = await_piece(fd, *before);
	}
	*before = piece;
	return r;
}

/* What the final sync does all at once where pieces cannot be told. It waits for the last piece, too. */
static int write_pieces(int fd, write_back_step *step, void *arg)
{
	uint64_t size_bytes = 0, length, dirty;
	struct piece before = {0, 0};
	int r = cached_size(fd, &size_bytes);

	length = size_bytes;
	for (uint64_t offset = 0; r == 0 && offset < size_bytes; offset += length / 2) {
		if (length > size_bytes - offset)
			length = size_bytes - offset;
		if (find_piece(fd, offset, &length, &dirty))
			return 0;
		if (dirty > 0)
			r = write_piece(fd, (struct piece){offset, length}, &before, step, arg);
		/* The next one may be twice as long: so few calls find a piece, and none of them looks at all the rest. */
		length *= 2;
	}
	return r;
}

static int sync_all(int fd)
{
	int r;

	do
		r = fdatasync(fd) < 0 ? -errno : 0;
	while (r == -EINTR);
	/* A file system without a way to write has nothing to write: squashfs, iso9660. */
	return r == -EINVAL || r == -EROFS ? 0 : r;
}

int write_back(int fd, write_back_step *step, void *arg)
{
	int r = write_pieces(fd, step, arg);

	return r ? r : sync_all(fd);
}

int write_back_drop(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKFLSBUF, 0) == 0)
		return 0;
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
