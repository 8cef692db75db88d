/*
 * Hand an image over from those who use the host's page cache to those who go past it, or the other way round: write back
 * and drop all that the page cache holds of it, under whatever name (same_blocks.h), and see that nothing is left.
 *
 * Any thread, with CAP_SYS_ADMIN; owns nothing between calls; never logs. It waits: for the storage as long as that takes for one piece
 * (write_back.h), for all else until its deadline. It keeps nobody out: who reads the image a moment later fills the cache
 * again. So ownership comes first, and handing over after it.
 *
 * Plain data in and out but for the descriptor and the callback, so that a helper process can do it.
 */
#ifndef BRIDGE_PAGECACHE_HAND_OVER_H
#define BRIDGE_PAGECACHE_HAND_OVER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/problem.h"

struct same_blocks;

struct hand_over_terms {
	unsigned timeout_ms;
	/* When all is written, pages that somebody keeps are waited for no longer than this. 0: up to timeout_ms. */
	unsigned settle_ms;
	/* For a reader, or a disk that goes on in the page cache: one round without a deadline; pages that stay are no failure. */
	bool best_effort;
	/* With best_effort: the image's own pages stay, for who comes next goes through the same page cache. What is dirty is written all the same. */
	bool keep_image;
	/* Bytes that are still to be written, at most once a second. NULL: none. Not called where dirty pages cannot be told. */
	void (*progress)(void *arg, uint64_t dirty_bytes);
	void *arg;
};

struct hand_over_result {
	unsigned nr_nodes; /* looked at; some of them were left alone: */
	/* Their page cache is the storage, so there is nothing to hand over (tmpfs, ramfs, hugetlbfs). */
	unsigned nr_in_memory;
	/* Files below loop devices that have no name any more, or none here. */
	unsigned nr_unreachable;
	unsigned nr_rounds;
	bool dirty_known;
	/* What could not be written: nobody else is told of it again, for the kernel tells once. Whatever the -errno is, also one of a storage. */
	bool is_lost;
	uint64_t pages_before, dirty_before, pages_left;
	uint64_t duration_ns;
};

/*
 * @fd: the image, called @name in sentences. The result is written in any case, as far as things went. 0: nothing is left of it in the
 * page cache (or, by best effort, all of it is written). -errno with a sentence: -EBUSY (pages stay that somebody keeps: it says
 * whose, and who), -ETIMEDOUT (the storage is too slow), -EIO and the like (what was written there is lost), and those of
 * same_blocks_find() and cached_count().
 */
int hand_over(int fd, const char *name, const struct hand_over_terms *terms,
	struct hand_over_result *ret_result, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * Only look: .nr_nodes, .nr_in_memory, .nr_unreachable, .dirty_known, .pages_before and .dirty_before. Changes nothing. 0 or -errno with a
 * sentence. Where there is no cachestat it takes 3 ms for each GiB.
 */
int hand_over_look(int fd, const char *name, struct hand_over_result *ret_result,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* The same for an image whose nodes have been found just now. */
int hand_over_blocks(const struct same_blocks *blocks, const char *name,
	const struct hand_over_terms *terms, struct hand_over_result *ret_result,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

#endif
