/*
 * Cache modes, with QEMU's names and meanings: rule D6 of backend/DESIGN.md, blkback-cache(7).
 *
 *                   page cache of the host   a write is answered when it is   a flush
 *   none            bypassed                 with the device                  fdatasync
 *   directsync      bypassed                 on stable media                  fdatasync, with little to do
 *   writethrough    used                     on stable media                  fdatasync, with little to do
 *   writeback       used                     in the page cache                fdatasync
 *   unsafe          used                     in the page cache                does nothing
 *
 * Pure; any thread.
 */
#ifndef BACKEND_UTIL_CACHE_H
#define BACKEND_UTIL_CACHE_H

#include <stdbool.h>

enum cache_mode {
	CACHE_NONE,
	CACHE_DIRECTSYNC,
	CACHE_WRITETHROUGH,
	CACHE_WRITEBACK,
	CACHE_UNSAFE,
	CACHE_MODE_COUNT,
};

/* As QEMU calls it. */
const char *cache_mode_name(enum cache_mode mode) __attribute__((returns_nonnull));

/* One of those names, or "volatile", which is unsafe. False, and nothing set, for anything else. */
bool cache_mode_parse(const char *text, enum cache_mode *ret_mode)
	__attribute__((nonnull, warn_unused_result));

/* O_DIRECT: the host's page cache is bypassed. */
bool cache_is_direct(enum cache_mode mode);

/* O_DSYNC: an answered write is on stable media, so that the guest sees a disk without a write cache. */
bool cache_writes_through(enum cache_mode mode);

/* An answered flush has made durable what it covers. */
bool cache_flushes(enum cache_mode mode);

/* The mode that goes the same way to the storage, but writes through: unsafe becomes writethrough. */
enum cache_mode cache_mode_writing_through(enum cache_mode mode);

#endif
