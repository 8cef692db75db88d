/*
 * What a disk's data lies on: one open file or block device, used with direct I/O only.
 *
 * Control thread opens and closes; queue threads use the descriptor in between. Owns the
 * descriptor. Never logs: failures come as a sentence for the log and for hotplug-error.
 * Formats are never probed: the bytes are the disk's (XSA-48).
 */
#ifndef BACKEND_DATA_STORAGE_H
#define BACKEND_DATA_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/discard.h"
#include "backend/util/problem.h"

/* The unit of every size and position a guest sees, whatever the medium has (D1). */
#define STORAGE_SECTOR_SIZE 512u

/* Which file or device it is, whatever its name: device and inode, or the block device's number. */
struct storage_identity {
	uint64_t device;
	uint64_t number;
};

struct storage {
	int fd; /* -1 when closed; O_DIRECT, O_RDONLY if read_only, O_DSYNC if write_through */
	uint64_t nr_sectors; /* 512-byte units, when it was opened; struct disk has those of now */
	unsigned
		physical_sector_size; /* bytes; what the guest should align to: a file system's block */
	unsigned unit;                /* bytes, 512 to 4096: what direct I/O moves at least */
	unsigned memory_align;        /* bytes: where a buffer for direct I/O may begin */
	bool read_only;
	bool write_through; /* O_DSYNC: a write is answered when it is on stable media */
	bool is_block_device;
	struct discard discard; /* zeros, if nobody asked or it is read_only */
	struct storage_identity identity;
};

/* How to open it. */
enum storage_flags {
	STORAGE_READ_ONLY = 1,
	STORAGE_WRITE_THROUGH = 2,
	STORAGE_DISCARD =
		4, /* if it is to be written, find out whether it can be given back, too */
};

/*
 * Open @path as @flags (STORAGE_*) say and find out size and alignment. Refuses what cannot be served: neither file nor
 * block device, empty or not a multiple of that unit, no direct I/O, or direct I/O only in units
 * above 4096 bytes. Returns -errno with a sentence in @ret_problem and @ret_storage closed. Blocks.
 */
int storage_open(const char *path, unsigned flags, struct storage *ret_storage,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/*
 * The size of now, in bytes; a device's may change at any time, a file's whenever somebody likes. -errno when it cannot
 * be had. Any thread. Blocks where a file system has to ask a server.
 */
int storage_size(const struct storage *storage, uint64_t *ret_size_bytes)
	__attribute__((nonnull, warn_unused_result));

static inline bool storage_identity_same(
	const struct storage_identity *a, const struct storage_identity *b)
{
	return a->device == b->device && a->number == b->number;
}

/* fdatasync, again where a signal or the freezer came in between: 0 or -errno. Any thread. Waits for the storage. */
int storage_sync(int fd) __attribute__((warn_unused_result));

/* Close. May be called twice; does not flush: who closes orderly has flushed before. */
void storage_close(struct storage *storage) __attribute__((nonnull));

#endif
