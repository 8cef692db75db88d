/*
 * How many pages of a file or block device the host's page cache holds, as a test counts them: with no line of the code that empties it.
 *
 * Asks cachestat(2). Where that is missing (Linux < 6.5), or the file lies on overlayfs, where it
 * answers 0 whatever is cached, it maps the file and asks mincore(2). Neither brings a page in. Any thread.
 */
#ifndef TESTS_LIB_PAGE_COUNT_H
#define TESTS_LIB_PAGE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct page_count {
	uint64_t pages;
	uint64_t size_bytes;
	const char *method; /* cachestat or mincore */
};

/* @by_mincore: even where cachestat works. 0 or -errno. */
int page_count(int fd, bool by_mincore, struct page_count *ret_count)
	__attribute__((nonnull, warn_unused_result));

#endif
