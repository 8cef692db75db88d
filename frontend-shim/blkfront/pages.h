/*
 * Pages a frontend grants to its backend: a pool granted once and used last in, first out, as Linux
 * does with persistent grants; and pages granted for one request.
 *
 * One thread at a time. Owns the pages, not the gntshr handle. Never logs.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_PAGES_H
#define FRONTEND_SHIM_BLKFRONT_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct xengntdev_handle;

struct blkfront_page {
	uint8_t *address;
	uint32_t gref;
};

struct blkfront_pages {
	struct xengntdev_handle *gntshr;
	uint32_t domid; /* of the backend */
	uint8_t *memory;
	unsigned nr_pages;
	struct blkfront_page *free; /* a stack */
	unsigned nr_free;
	uint64_t nr_shared;
	uint64_t nr_revoked;
	uint64_t nr_still_mapped;
};

/* Grant @nr_pages pages, writable, to @domid. 0 pages is fine. -errno leaves nothing behind. */
int blkfront_pages_init(struct blkfront_pages *pages, struct xengntdev_handle *gntshr,
	uint32_t domid, unsigned nr_pages) __attribute__((nonnull, warn_unused_result));

/* Take the whole pool back, whoever holds pages of it. Counters stay. */
void blkfront_pages_fini(struct blkfront_pages *pages) __attribute__((nonnull));

/* The page that was put back last: its cache lines and the backend's mapping are warm. */
bool blkfront_pages_get(struct blkfront_pages *pages, struct blkfront_page *ret_page)
	__attribute__((nonnull, warn_unused_result));
void blkfront_pages_put(struct blkfront_pages *pages, const struct blkfront_page *page)
	__attribute__((nonnull));

/* Grant @n (1..256) fresh pages outside the pool. -errno: none of them. */
int blkfront_pages_share(struct blkfront_pages *pages, unsigned n, bool writable,
	struct blkfront_page *ret_pages) __attribute__((nonnull, warn_unused_result));

/* Take back exactly what one blkfront_pages_share() gave. */
void blkfront_pages_unshare(struct blkfront_pages *pages, const struct blkfront_page *shared,
	unsigned n) __attribute__((nonnull));

#endif
