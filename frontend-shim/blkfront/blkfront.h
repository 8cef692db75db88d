/*
 * A guest's block frontend, as a C library: what Linux's xen-blkfront does, in the order it does it,
 * through the real libxenstore, libxengnttab (gntshr) and libxenevtchn of the domain it runs in.
 *
 * One thread at a time per object; blkfront/sync.h lets several threads block on one disk. Owns the
 * ring page, the data pages, the event channel and the store connection. Never logs and never exits:
 * errors are returned and blkfront_error() has them in words. Waits only in the functions that say
 * so, for events, with a deadline. Deliberately able to misbehave: see the last section.
 *
 *   create -> connect -> submit* push reap* wait -> close -> connect ... -> destroy
 *
 * Requests belong to the caller and must stay where they are from submit to completion.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_H
#define FRONTEND_SHIM_BLKFRONT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "frontend-shim/blkfront/options.h"
#include "frontend-shim/blkfront/pages.h"
#include "ring/frontring.h"

struct blkfront;

/* What the backend published when it was Connected. */
struct blkfront_disk {
	uint64_t nr_sectors; /* 512-byte units; follows a resize */
	unsigned sector_size;
	unsigned physical_sector_size;
	unsigned info; /* VDISK_* */
	bool flush;
	bool barrier;
	bool discard;
	bool discard_secure;
	uint32_t discard_granularity; /* bytes; meaningful with discard */
	uint32_t discard_alignment;
	bool persistent;       /* both sides want it */
	bool indirect;         /* such requests are offered */
	unsigned max_segments; /* of one request; more than 11 are indirect */
};

struct blkfront_stats {
	uint64_t requests;
	uint64_t responses;
	uint64_t pushes;
	uint64_t notified;       /* events sent */
	uint64_t events;         /* events received */
	uint64_t dirty_padding;  /* responses that break R13 */
	uint64_t still_mapped;   /* pages the backend had not let go when we took them back */
	uint64_t grants_shared;  /* pages granted, ring included */
	uint64_t grants_revoked; /* pages taken back */
};

struct blkfront_request {
	/* The caller's. */
	uint64_t sector;
	void *data; /* nr_sectors * 512 bytes; NULL leaves the pages as they are */
	void (*done)(struct blkfront_request *req); /* NULL: wait for blkfront_next_done() */
	/*
	 * For tests that look at whole pages, NULL for all others. Of requests with pages: they have @data, and
	 * nobody but us has seen them; the answer is there, and they are still granted.
	 */
	void (*granted)(struct blkfront_request *req);
	void (*answered)(struct blkfront_request *req);
	void *opaque;
	unsigned queue;       /* which ring, modulo how many there are */
	unsigned nr_sectors;  /* of data; laid out from options.first_sect on, unless */
	unsigned nr_segments; /* this is not 0: then the caller's own layout, of any values */
	struct blk_segment seg[BLK_SEGMENTS_MAX]; /* the grefs are filled in */
	uint64_t discard_sectors;                 /* of BLKIF_OP_DISCARD, which has no data */
	bool discard_secure;
	uint8_t op;

	/* The result. */
	bool padding_is_zero;
	int16_t status; /* as on the wire */
	int error;      /* 0, or why there is no status: -ESHUTDOWN, -EPROTO */

	/* Private; between granted() and answered() the pages may be looked at. */
	struct blkfront_page page[BLK_SEGMENTS_MAX];
	struct blkfront_page
		descriptor; /* where the segments lie, if address is not NULL: more than 11 */
	struct blkfront_request *next;
	unsigned nr_pages;
};

/* The largest request there can be: its pages, less what the first does not use. */
#define BLKFRONT_MAX_SECTORS 2048u
_Static_assert(BLKFRONT_MAX_SECTORS == BLK_SEGMENTS_MAX * WIRE_PAGE_SECTORS, "256 pages of 8");

/*
 * Open the Xen libraries and find the backend of @options->frontend. -ENOENT without such a
 * frontend, -EINVAL for options that contradict each other, or what the libraries say. Copies
 * @options. @ret_error, if not NULL, gets a sentence to be freed by the caller.
 */
int blkfront_create(const struct blkfront_options *options, struct blkfront **ret_front,
	char **ret_error) __attribute__((nonnull(1, 2), warn_unused_result));

/*
 * Let go of everything without a word, as a killed guest does. Close first for an orderly end.
 * Outstanding requests are forgotten, not completed. NULL is fine.
 */
void blkfront_destroy(struct blkfront *front);

/*
 * Shake hands until both ends are Connected. First puts right what a predecessor left behind, as
 * Linux's xenbus_reset_frontend() does. Blocks, each step for options.timeout_ms at most:
 * -ETIMEDOUT; -ECONNREFUSED when the backend goes Closing instead. After a failure nothing is
 * shared and the frontend's state is Closed.
 */
int blkfront_connect(struct blkfront *front) __attribute__((nonnull, warn_unused_result));

/*
 * Closing, Closed, and everything shared is taken back. The caller should have reaped all requests:
 * whatever is outstanding afterwards completes with -ESHUTDOWN. Blocks like blkfront_connect();
 * -ETIMEDOUT when the backend does not follow, but even then all is taken back. May be called
 * in any state, and blkfront_connect() again after it.
 */
int blkfront_close(struct blkfront *front) __attribute__((nonnull));

/* Valid after blkfront_connect() until blkfront_close(). */
const struct blkfront_disk *blkfront_disk(const struct blkfront *front) __attribute__((nonnull));

struct blkfront_stats blkfront_stats(const struct blkfront *front) __attribute__((nonnull));

/* Between a successful connect and close, whatever the backend does. */
bool blkfront_is_connected(const struct blkfront *front) __attribute__((nonnull));

/* The backend wants to close or already has: close when nothing is outstanding. */
bool blkfront_is_closing(const struct blkfront *front) __attribute__((nonnull));

/* Sectors in the largest request of this connection, given where its data begins in the first page. */
unsigned blkfront_max_sectors(const struct blkfront *front) __attribute__((nonnull));

/* ... if it is to fit the slot: what is neither READ nor WRITE has to. */
unsigned blkfront_max_direct_sectors(const struct blkfront *front) __attribute__((nonnull));

/* The last failure in words. Never NULL. */
const char *blkfront_error(const struct blkfront *front) __attribute__((nonnull));

/* The backend's state in the store as last seen; 0 when it is not there. */
unsigned blkfront_backend_state(const struct blkfront *front) __attribute__((nonnull));

/* Wait until the backend's state is in @mask, a set of 1 << state. -ETIMEDOUT. */
int blkfront_wait_backend(struct blkfront *front, unsigned mask)
	__attribute__((nonnull, warn_unused_result));

/*
 * Put one request on its ring, not yet visible to the backend. -EAGAIN when the ring or the pages
 * are used up: push, reap and try again. -EINVAL when it does not fit the segments one may have; -ENOTCONN,
 * -ESHUTDOWN (the backend is closing or gone), -EPROTO (it misbehaved).
 */
int blkfront_submit(struct blkfront *front, struct blkfront_request *req)
	__attribute__((nonnull, warn_unused_result));

/* Make all submitted requests visible and notify the backend if it asked for that. */
int blkfront_push(struct blkfront *front) __attribute__((nonnull, warn_unused_result));

/*
 * Complete every request that has a response. -EPROTO when a response cannot be right, by the rules
 * of Linux's blkfront: more responses than requests, an id that is not outstanding, another
 * operation. Then all requests complete with that error and only close and destroy are of use.
 */
int blkfront_reap(struct blkfront *front) __attribute__((nonnull, warn_unused_result));

/* Completed requests without a done function, oldest first; NULL when there are no more. */
struct blkfront_request *blkfront_next_done(struct blkfront *front) __attribute__((nonnull));

unsigned blkfront_outstanding(const struct blkfront *front) __attribute__((nonnull));

/*
 * Sleep until there is something to reap or the backend's state changed: 0. -ETIMEDOUT after
 * @timeout_ms (negative: never); -ESHUTDOWN when the backend is gone, all requests having been
 * completed with that error.
 */
int blkfront_wait(struct blkfront *front, int timeout_ms)
	__attribute__((nonnull, warn_unused_result));

/*
 * blkfront_wait() in pieces, for callers with a poll loop of their own: arm, and if that says true
 * poll the descriptors, then acknowledge what poll() found.
 */
#define BLKFRONT_NR_FDS 2
bool blkfront_arm(struct blkfront *front) __attribute__((nonnull, warn_unused_result));
void blkfront_poll_fds(struct blkfront *front, struct pollfd fds[BLKFRONT_NR_FDS])
	__attribute__((nonnull));
int blkfront_acknowledge(struct blkfront *front, const struct pollfd fds[BLKFRONT_NR_FDS])
	__attribute__((nonnull, warn_unused_result));

/* ---- for hostile tests ------------------------------------------------------------------------ */

/*
 * Put any bytes on the ring. @req completes when a response echoes the id and operation found in
 * them; its other members are not looked at and it has no pages.
 */
int blkfront_submit_raw(struct blkfront *front, const struct wire_slot *slot,
	struct blkfront_request *req) __attribute__((nonnull, warn_unused_result));

/* One granted data page for raw requests. False when none is free. Put it back after use. */
bool blkfront_page_get(struct blkfront *front, struct blkfront_page *ret_page)
	__attribute__((nonnull, warn_unused_result));
void blkfront_page_put(struct blkfront *front, const struct blkfront_page *page)
	__attribute__((nonnull));

/* A ring itself, to be bent in any way; @queue as in struct blkfront_request. Only while connected. */
struct frontring *blkfront_ring(struct blkfront *front, unsigned queue) __attribute__((nonnull));

/* An event, asked for or not. */
int blkfront_notify(struct blkfront *front, unsigned queue)
	__attribute__((nonnull, warn_unused_result));

/* Write one node of the frontend's directory; NULL removes it. */
int blkfront_write_node(struct blkfront *front, const char *key, const char *value)
	__attribute__((nonnull(1, 2), warn_unused_result));

#endif
