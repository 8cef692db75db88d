/*
 * A connected blkfront that any number of threads may block on, all their requests in flight at the
 * same time: what a guest's block layer does for its processes.
 *
 * Any thread, between create and destroy. Owns a blkfront, a reaper thread that waits for its
 * events, and one lock that guards the blkfront and is never held while sleeping, except during the
 * closing handshake, when there is nothing else to do. Never logs.
 *
 * When the backend wants to close, new calls fail, those in flight end, and the frontend follows it
 * to Closed, so that the toolstack can detach the disk. A backend that died merely stalls its
 * callers, as it stalls a real guest.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_SYNC_H
#define FRONTEND_SHIM_BLKFRONT_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include "frontend-shim/blkfront/blkfront.h"

struct blkfront_sync;

/* blkfront_create(), blkfront_connect() and the reaper. Errors as of those. */
int blkfront_sync_create(const struct blkfront_options *options, struct blkfront_sync **ret_sync,
	char **ret_error) __attribute__((nonnull(1, 2), warn_unused_result));

/* Close in an orderly way, or let go after the time-out. No call may be in progress. NULL is fine. */
void blkfront_sync_destroy(struct blkfront_sync *sync);

struct blkfront_disk blkfront_sync_disk(struct blkfront_sync *sync) __attribute__((nonnull));
struct blkfront_stats blkfront_sync_stats(struct blkfront_sync *sync) __attribute__((nonnull));

/*
 * Offsets and sizes are multiples of 512, or -EINVAL; a size may be anything up to 4 GiB. The first
 * error of any part is returned after all parts have ended: -EIO (a status other than 0 and -2),
 * -EOPNOTSUPP (status -2), -ESHUTDOWN or -ENOTCONN (no backend), -EPROTO (it misbehaved).
 */
int blkfront_sync_read(struct blkfront_sync *sync, void *data, size_t size_bytes,
	uint64_t offset_bytes) __attribute__((nonnull, warn_unused_result));
int blkfront_sync_write(struct blkfront_sync *sync, const void *data, size_t size_bytes,
	uint64_t offset_bytes) __attribute__((nonnull, warn_unused_result));

/*
 * Write so that the data is durable on return: the last part is a WRITE_BARRIER, which comes after
 * the other parts. Size 0 is an empty barrier.
 */
int blkfront_sync_barrier(struct blkfront_sync *sync, const void *data, size_t size_bytes,
	uint64_t offset_bytes) __attribute__((nonnull(1), warn_unused_result));

/* DISCARD of any length, whether it was offered or not: one request for all of it. */
int blkfront_sync_discard(struct blkfront_sync *sync, uint64_t size_bytes, uint64_t offset_bytes)
	__attribute__((nonnull, warn_unused_result));

/* FLUSH_DISKCACHE; an empty barrier if only that is offered; nothing if the disk has no cache. */
int blkfront_sync_flush(struct blkfront_sync *sync) __attribute__((nonnull, warn_unused_result));

#endif
