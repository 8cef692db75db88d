/*
 * Hears of it when the size of an open storage may have changed, without asking anybody:
 *
 *   regular file   inotify, that a file which was open for writing has been closed: truncate -s, qemu-img resize,
 *                  fallocate and dd all end so
 *   block device   the kernel's uevent that the device has changed: lvextend, losetup -c, a rescan
 *
 * Not all is heard of: truncate(2) opens no file, and partitions change without an event. So whoever uses this
 * looks at the size now and then as well.
 *
 * Control thread only. Never logs. Owns its descriptors, and none of the storage's.
 */
#ifndef BACKEND_CONTROL_SIZE_WATCH_H
#define BACKEND_CONTROL_SIZE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/problem.h"

struct storage;

struct size_watch {
	int fd; /* an epoll: readable when there is something to heed; the same all its life */
	int source_fd; /* inotify or netlink; -1 while nothing is watched */
	bool is_block_device;
	unsigned major, minor; /* of the block device */
};

/* Nothing is watched yet. -errno without descriptors. */
int size_watch_init(struct size_watch *watch) __attribute__((nonnull, warn_unused_result));

/* May be called twice. */
void size_watch_fini(struct size_watch *watch) __attribute__((nonnull));

/*
 * Watch @storage, which must be open, until size_watch_clear(). What happened to it before is not told. On failure
 * nothing is watched, and -errno comes with a sentence.
 */
int size_watch_set(struct size_watch *watch, const struct storage *storage,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* May be called twice. Before the storage is closed: that would be told, too. */
void size_watch_clear(struct size_watch *watch) __attribute__((nonnull));

/* fd is readable: take what there is. True if the size may have changed. Never blocks; bounded. */
bool size_watch_heed(struct size_watch *watch) __attribute__((nonnull, warn_unused_result));

#endif
