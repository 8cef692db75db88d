#include "backend/data/blocking.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "backend/data/storage.h"
#include "backend/util/limits.h"

/* What is left of the data. */
struct rest {
	struct iovec iov[LIMIT_SEGMENTS];
	unsigned first;
	unsigned n;
	uint64_t offset_bytes;
	uint64_t size_bytes;
};

static void drop_bytes(struct rest *rest, size_t size_bytes)
{
	rest->offset_bytes += size_bytes;
	rest->size_bytes -= size_bytes;
	while (rest->n > 0 && size_bytes >= rest->iov[rest->first].iov_len) {
		size_bytes -= rest->iov[rest->first].iov_len;
		rest->first++;
		rest->n--;
	}
	if (size_bytes > 0) {
		struct iovec *iov = &rest->iov[rest->first];

		iov->iov_base = (uint8_t *)iov->iov_base + size_bytes;
		iov->iov_len -= size_bytes;
	}
}

static ssize_t move(const struct engine_io *io, const struct rest *rest)
{
	const struct iovec *iov = &rest->iov[rest->first];

	if (io->verb == ENGINE_READ)
		return preadv(io->storage->fd, iov, (int)rest->n, (off_t)rest->offset_bytes);
	return pwritev(io->storage->fd, iov, (int)rest->n, (off_t)rest->offset_bytes);
}

/* A part of it is no error: what comes next says what it is. Nothing at all is the end of the file. */
static int move_all(const struct engine_io *io)
{
	struct rest rest = {
		.n = io->nr_iov, .offset_bytes = io->offset_bytes, .size_bytes = io->size_bytes};

	memcpy(rest.iov, io->iov, io->nr_iov * sizeof(rest.iov[0]));
	while (rest.size_bytes > 0) {
		ssize_t n = move(io, &rest);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			/* What is left over after a part may be no whole block. */
			return errno == EINVAL && rest.size_bytes < io->size_bytes ? -EIO : -errno;
		if (n == 0)
			return -EIO;
		drop_bytes(&rest, (size_t)n);
	}
	return 0;
}

int blocking_io(const struct engine_io *io)
{
	switch (io->verb) {
	case ENGINE_SYNC:
		return storage_sync(io->storage);
	case ENGINE_DISCARD:
		return io->storage->kind->discard(
			io->storage, io->offset_bytes, io->size_bytes, io->secure, io->stop);
	case ENGINE_READ:
	case ENGINE_WRITE:
		break;
	}
	return move_all(io);
}
