/*
 * Who may use an image: byte-range locks on the same bytes and with the same meaning as QEMU's image locking, and for a block
 * device that is written an exclusive claim (O_EXCL) beside them.
 *
 * QEMU (block/file-posix.c) locks byte 100 + i, shared, for what it does with an image, and byte 200 + i for what it lets nobody
 * else do; i is 0 for reading, 1 for writing, 3 for changing the size. Whoever comes looks whether others hold the counterpart of what he
 * wants. All locks are those of an open file description (F_OFD_SETLK): they end with whoever holds them, whatever he dies of.
 * They are advice: cp and dd ask nobody. The kernel keeps an exclusive claim, against mounts, LVM, md and other claims, not
 * against who opens the device in another way.
 *
 * An image has its blocks in common with other nodes: loop devices, partitions, the file or disk below it. Who opens one of those locks other
 * bytes, so it is owned there, too.
 *
 * The descriptors are ones of its own, so that they stay while the image is opened anew in another cache mode. Any thread, one at
 * a time; never logs. May block where a file system asks a server.
 */
#ifndef QEMU_DM_BRIDGE_OWNERSHIP_OWNERSHIP_H
#define QEMU_DM_BRIDGE_OWNERSHIP_OWNERSHIP_H

#include <stdbool.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/nodes/same_blocks.h"

/* With another node of the image's own device. */
#define OWNERSHIP_BESIDE_MAX (SAME_BLOCKS_MAX + 1)

enum ownership_access {
	OWNERSHIP_READ,         /* nobody may write or resize it; others may read */
	OWNERSHIP_WRITE,        /* the same, and we write it */
	OWNERSHIP_SHARED_WRITE, /* others may write it, too (mode w!); nobody may resize it */
	OWNERSHIP_LOOK, /* others may do what they like with it: what we read may just be changing */
};

struct ownership {
	int fd;                           /* -1: nothing is owned */
	int beside[OWNERSHIP_BESIDE_MAX]; /* on the other nodes of its blocks */
	unsigned nr_beside;
};

/*
 * Own what @image_fd is open on. 0; or a number below:
 *   -EBUSY   somebody has it in a way that does not go with @access; the sentence says who, as far as /proc tells
 *   -ENOLCK  its file system has no such locks: it is ours, but nobody is kept from it; the sentence says so
 * or another -errno with a sentence. @owner is to be given up after 0 and -ENOLCK. It owned nothing before.
 */
int ownership_take(struct ownership *owner, int image_fd, enum ownership_access access,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/*
 * Who has what @fd is open on, by locks; @fd holds none, and gets one that means nothing. Claims nothing. 0: nobody. -EBUSY: the sentence
 * says who. -ENOLCK: its file system has no such locks.
 */
int ownership_look(int fd, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * Own it on all other nodes of its blocks, too, after ownership_take() has not failed: @blocks are those of the image. Results as there, but -ENOLCK
 * may also be for a node that cannot be reached; all others are owned then. After other failures @owner is to be given up.
 */
int ownership_take_beside(struct ownership *owner, const struct same_blocks *blocks,
	enum ownership_access access, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * Whether a writer's claim would fail for something that does not go away by itself: a file system that is mounted from a device with the image's
 * blocks, or another device on it. 0, or -EBUSY with a sentence. What passes is no promise.
 */
int ownership_check(const struct same_blocks *blocks, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* May be called twice. */
void ownership_give_up(struct ownership *owner) __attribute__((nonnull));

#endif
