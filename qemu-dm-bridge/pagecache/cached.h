/*
 * How much of an open file or block device the host's page cache holds.
 *
 * Any thread; owns nothing; never logs; brings no page in. Asks cachestat(2) (Linux 6.5), one call whatever the size. Where that is
 * missing, or the file lies on overlayfs, whose own inode never has pages so that cachestat says 0, the file is mapped
 * window by window and mincore(2) asked: that sees the inode below an overlay, but does not tell dirty pages, and takes time by
 * size. What mincore may not tell, for want of the right to write or own the file, it calls cached: that is -EPERM here.
 */
#ifndef BRIDGE_PAGECACHE_CACHED_H
#define BRIDGE_PAGECACHE_CACHED_H

#include <stdbool.h>
#include <stdint.h>

struct cached {
	uint64_t pages;   /* of sysconf(_SC_PAGESIZE) bytes */
	uint64_t dirty;   /* of these dirty or under writeback; 0 if not known */
	bool dirty_known; /* cachestat was asked */
};

/* From @offset, @length bytes, 0: to the end. 0, or -errno: -EINVAL if @fd is neither file nor block device, -ENOSYS without cachestat. */
int cached_range(int fd, uint64_t offset, uint64_t length, struct cached *ret_cached)
	__attribute__((nonnull, warn_unused_result));

/* All of it, by whichever way there is. 0 or -errno, see above. */
int cached_count(int fd, struct cached *ret_cached) __attribute__((nonnull, warn_unused_result));

/* The same by mincore(2), where cachestat would do, too. */
int cached_mincore(int fd, struct cached *ret_cached) __attribute__((nonnull, warn_unused_result));

/* Bytes of a file or block device. 0 or -errno. */
int cached_size(int fd, uint64_t *ret_size_bytes) __attribute__((nonnull, warn_unused_result));

/* Its pages are the storage itself (tmpfs, ramfs, hugetlbfs): there is nothing below that they could be written to. */
bool cached_is_storage(int fd);

#endif
