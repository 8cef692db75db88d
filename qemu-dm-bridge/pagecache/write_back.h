/*
 * One open file or block device: its dirty pages to the storage, its clean ones out of the page cache.
 *
 * Any thread; the caller's descriptor, for reading or writing; waits for the storage; never logs.
 */
#ifndef BRIDGE_PAGECACHE_WRITE_BACK_H
#define BRIDGE_PAGECACHE_WRITE_BACK_H

/* Called between two pieces; what it returns, if not 0, ends the writing. */
typedef int write_back_step(void *arg);

/*
 * Write all dirty pages and wait until they are on stable storage. In pieces of a few MiB, found by cachestat(2), so that the work goes by
 * what is dirty and not by the size; without cachestat in one. 0 or -errno: an error of the storage, which is told once, or what the step said.
 */
int write_back(int fd, write_back_step *step, void *arg)
	__attribute__((nonnull(2), warn_unused_result));

/*
 * Drop what is clean and that nobody maps or pins. On a block device by BLKFLSBUF, which takes CAP_SYS_ADMIN and sees to buffers that
 * file systems have left, else by advice. 0 or -errno; that pages stay is no error.
 */
int write_back_drop(int fd) __attribute__((warn_unused_result));

#endif
