/*
 * One guest's memory as a queue sees it: grants mapped, unmapped and copied.
 *
 * Thread: the control thread for open and close, the queue thread in between. Owns a libxengnttab
 * handle of its own (a handle must not be shared by threads). Counts every map and unmap in the
 * queue's statistics; guest_close() with pages still mapped is our bug. The library's own error
 * messages are off, because a guest could cause any number of them (XSA-180). Sources: xengnttab.h,
 * grant_table.h.
 */
#ifndef BACKEND_DATA_GUEST_H
#define BACKEND_DATA_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/wire.h"

struct budget;
struct queue_stats;
struct xengntdev_handle;
struct xentoollog_logger;

enum guest_access {
	GUEST_READ, /* a page that was granted read-only will do */
	GUEST_READ_WRITE,
	GUEST_ACCESSES
};

struct guest {
	struct xengntdev_handle *handle;
	struct xentoollog_logger *quiet;
	struct queue_stats *stats;
	struct budget *budget;
	unsigned max_pages;
	unsigned nr_pages; /* of data, mapped now */
	bool has_counted;  /* it took from the budget or gave back, since the last rest */
	bool map_failed[GUEST_ACCESSES]; /* since the pass began */
	uint32_t domid;
};

/*
 * -errno when /dev/xen/gntdev cannot be used. Of data, @max_pages are mapped at a time, and as many as @budget, which
 * stays the caller's, lets this host's workers have together; NULL: any.
 */
int guest_open(struct guest *guest, uint32_t domid, unsigned max_pages, struct budget *budget,
	struct queue_stats *stats) __attribute__((nonnull(1, 5), warn_unused_result));

/* NULL handle and twice are fine. Whatever is still mapped goes with it. */
void guest_close(struct guest *guest) __attribute__((nonnull));

/*
 * Map the @n pages of a ring contiguously, readable and writable. NULL with errno set when the guest did not
 * grant them so, or the host's limits are reached; then nothing is mapped. @refs is not changed.
 */
void *guest_map_ring(struct guest *guest, uint32_t *refs, unsigned n)
	__attribute__((nonnull, warn_unused_result));
void guest_unmap_ring(struct guest *guest, void *pages, unsigned n) __attribute__((nonnull));

/*
 * The same for pages of data. They count: EDQUOT when there would be too many, of ours or of the host's, which a
 * guest_unmap() of ours may change.
 */
void *guest_map(struct guest *guest, enum guest_access access, uint32_t *refs, unsigned n)
	__attribute__((nonnull, warn_unused_result));

/*
 * Whether it is worth trying: where a guest_map() for that access has failed for another reason than EDQUOT, none is until the next pass. A failed
 * attempt costs the kernel and Xen much, a guest can ask for any number with grants that are not good, and copies tell the good from the
 * bad.
 */
bool guest_may_map(const struct guest *guest, enum guest_access access) __attribute__((nonnull));
void guest_begin_pass(struct guest *guest) __attribute__((nonnull));

/* Undo one guest_map() exactly. */
void guest_unmap(struct guest *guest, void *pages, unsigned n) __attribute__((nonnull));

/*
 * A queue that is idle gives back what its process has reserved of the host's budget and no page needs: only if it was this one that
 * took or gave back since the last time, so that it does so once, and not from one that is busy.
 */
bool guest_may_rest(const struct guest *guest) __attribute__((nonnull));
void guest_rest(struct guest *guest) __attribute__((nonnull));

enum guest_copy_direction {
	GUEST_COPY_IN,  /* from the guest's page to us */
	GUEST_COPY_OUT, /* from us to the guest's page */
};

struct guest_copy {
	uint32_t ref;
	uint16_t offset_bytes; /* in the guest's page; offset + length stays within it */
	uint16_t length_bytes;
	void *local;
	uint32_t tag; /* the caller's */
	bool failed;  /* the result, of this part alone */
};

/* The most parts of one guest_copy_all(): the largest request and more, 46 of those that fit their slot. */
#define GUEST_COPY_MAX 512u

/*
 * Copy all @n parts with one call and set .failed of each: a part fails alone, when its grant is
 * not good. All fail when the call itself does.
 */
void guest_copy_all(struct guest *guest, enum guest_copy_direction direction,
	struct guest_copy *parts, unsigned n) __attribute__((nonnull));

#endif
