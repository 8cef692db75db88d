/*
 * The bytes that are locked: QEMU's, and those by which our own workers know each other where several of them have disks beside each other.
 *
 * QEMU's RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE, and its numbers of what may be done: 0 reading, 1 writing, 3 changing the size. Beyond
 * them QEMU locks nothing. All locks are shared ones of an open file description. Any thread.
 */
#ifndef QEMU_DM_BRIDGE_OWNERSHIP_BYTES_H
#define QEMU_DM_BRIDGE_OWNERSHIP_BYTES_H

#include <stdbool.h>

#include "qemu-dm-bridge/ownership/ownership.h"

enum {
	BYTE_DOES = 100,
	BYTE_FORBIDS = 200,
	/* Added to one of those that the same description has: it is a disk's beside others, and has looked for strangers. */
	BYTE_BESIDE = 200,
	/* Who is about to, and has not looked yet. */
	BYTE_COMES = 500,
	/* Who only wants to be told who the others are. */
	BYTE_LOOKS = 501,
};

#define RIGHT_READ   1u
#define RIGHT_WRITE  2u
#define RIGHT_RESIZE 8u
#define NR_RIGHTS    4

struct rights {
	unsigned does, forbids; /* bits RIGHT_* */
};

/* On the image itself. */
struct rights bytes_rights(enum ownership_access access);

/* 0 or -errno. */
int bytes_lock(int fd, int byte) __attribute__((warn_unused_result));
int bytes_lock_rights(int fd, int base, unsigned rights) __attribute__((warn_unused_result));
/* One, or all of them. */
int bytes_unlock(int fd, int byte) __attribute__((warn_unused_result));
void bytes_unlock_all(int fd);
/* 1 if another description has it, or -errno. */
int bytes_is_locked(int fd, int byte) __attribute__((warn_unused_result));

/* What locking has failed with because somebody has locked all of a file for himself. */
bool bytes_is_conflict(int error);
/* "writes it": what the byte of somebody else means. */
const char *bytes_conflict(int byte);

#endif
