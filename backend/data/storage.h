/*
 * What a disk's data lies on: one open file or block device.
 *
 * Control thread opens, opens again and closes; queue threads and their helpers use it in between. Owns the
 * descriptor. Never logs: failures come as a sentence for the log and for hotplug-error.
 * Formats are never probed: the bytes are the disk's (XSA-48).
 */
#ifndef BACKEND_DATA_STORAGE_H
#define BACKEND_DATA_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/data/discard.h"
#include "backend/util/cache.h"
#include "backend/util/problem.h"

/* The unit of every size and position a guest sees, whatever the medium has (D1). */
#define STORAGE_SECTOR_SIZE 512u

/* What a block of the storage may have: it fits a page. */
#define STORAGE_UNIT_MAX 4096u

struct engine;
struct storage;

/* What direct I/O is done with, where there is a choice. */
enum storage_engine {
	STORAGE_AIO,
	STORAGE_URING,
};

/*
 * A kind of storage, and what it has to keep so that the promises of D2 to D6 hold above it:
 *
 *   A write that has ended with 0 is seen by every read that begins later. If the storage writes through (D6) it is on
 *   stable media, whatever else was or was not flushed. It may be done again with the same data.
 *   One that failed may be there, or in part. Sectors are never torn, and nothing beside it changes.
 *   sync(): all writes that ended before it began are on stable media when it says 0. Anything else says nothing about any of
 *   them, and neither does a sync() that works later.
 *   discard(): the range reads as zeros, as it was, or a mixture, by whole blocks; after a loss of power too.
 *
 * All functions may block.
 */
struct storage_kind {
	const char *name; /* as blkbackctl shows it */
	/* Fill in nr_sectors, physical_sector_size and unit of @s, whose .fd is open. -errno with a sentence. */
	int (*probe)(const char *path, struct storage *s, struct problem *problem);
	/* The size of now, or -errno. */
	int (*size)(const struct storage *s, uint64_t *ret_size_bytes);
	/* 0 or -errno. */
	int (*sync)(const struct storage *s);
	/* See discard_range(). */
	int (*discard)(const struct storage *s, uint64_t offset_bytes, uint64_t length_bytes,
		bool secure, const atomic_bool *stop);
	/*
	 * What a queue moves data with: for so many I/Os at a time, one of them a SYNC. Errors as of engine_aio_create() and
	 * engine_uring_create().
	 */
	int (*create_engine)(
		enum storage_engine which, unsigned capacity, struct engine **ret_engine);
};

extern const struct storage_kind storage_file;
extern const struct storage_kind storage_block;
extern const struct storage_kind storage_null; /* nothing, for benches: it keeps none of this */

/*
 * Which file or device it is, whatever its name: device and inode, or the block device's number. That one may be another disk's later: so
 * there is the number of the disk, too, which the kernel gives once (diskseq, Linux 5.15). 0 where it has none, and for CD drives, whose
 * media come and go.
 */
struct storage_identity {
	uint64_t device;
	uint64_t number;
	uint64_t disk;
};

struct storage {
	const struct storage_kind *kind;
	int fd;                /* -1 when closed; opened as .read_only and .cache say */
	enum cache_mode cache; /* D6 */
	uint64_t nr_sectors; /* 512-byte units, when it was opened; struct disk has those of now */
	unsigned
		physical_sector_size; /* bytes; what the guest should align to: a file system's block */
	unsigned
		unit; /* bytes, 512 to 4096: what direct I/O moves at least, in every mode that is */
	unsigned memory_align; /* bytes: where a buffer for direct I/O may begin */
	bool read_only;
	struct discard discard; /* zeros, if nobody asked or it is read_only */
	struct storage_identity identity;
};

/* How to open it. */
struct storage_terms {
	bool read_only;
	enum cache_mode cache;
	bool discard; /* if it is to be written, find out whether it can be given back, too */
};

/*
 * Open @path by @terms, a name or, for benches, "null:" and a number of bytes, and find out size and alignment. Refuses what cannot be served: neither file nor
 * block device, empty or not a multiple of that unit; and for direct I/O, where there is none, or only in units
 * above 4096 bytes. Returns -errno with a sentence in @ret_problem and @ret_storage closed. Blocks.
 */
int storage_open(const char *path, const struct storage_terms *terms, struct storage *ret_storage,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/*
 * Open what @storage is open on once more, whatever has become of its name, in another cache mode. Everything else about it is as
 * in @storage, its unit and alignment too: where that cannot be, or the mode cannot, -errno with a sentence, and
 * @ret_storage closed. @storage stays as it is, and open. Blocks.
 */
int storage_reopen(const struct storage *storage, enum cache_mode cache,
	struct storage *ret_storage, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * The size of now, in bytes; a device's may change at any time, a file's whenever somebody likes. -errno when it cannot
 * be had. Any thread. Blocks where a file system has to ask a server.
 */
int storage_size(const struct storage *storage, uint64_t *ret_size_bytes)
	__attribute__((nonnull, warn_unused_result));

static inline bool storage_identity_same(
	const struct storage_identity *a, const struct storage_identity *b)
{
	return a->device == b->device && a->number == b->number && a->disk == b->disk;
}

/* Whether storage_open() takes @path for no name of a file, but for nothing of some size. */
bool storage_is_null(const char *path) __attribute__((nonnull));

static inline bool storage_is_block_device(const struct storage *storage)
{
	return storage->kind == &storage_block;
}

/* An answered write is on stable media (D6). */
static inline bool storage_writes_through(const struct storage *storage)
{
	return cache_writes_through(storage->cache);
}

/*
 * What was written is on stable media, whatever the mode: 0 or -errno, see struct storage_kind. Any thread. Waits for the
 * storage.
 */
int storage_sync(const struct storage *storage) __attribute__((nonnull, warn_unused_result));

/* What the page cache of this host has of it may go. Of no consequence but for memory, and who looks at it. */
void storage_drop_pages(const struct storage *storage) __attribute__((nonnull));

/* Close. May be called twice; does not flush: who closes orderly has flushed before. */
void storage_close(struct storage *storage) __attribute__((nonnull));

#endif
