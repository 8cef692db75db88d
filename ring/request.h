/*
 * A guest's request: decoded from one ABI's bytes into one form, then checked against the disk.
 *
 * Any thread; pure functions, no state, never log. They work on the private copy that
 * backring_take() made, never on the ring (R6). Decoding cannot fail; every judgement is in
 * blk_request_check(), which looks at all rules before anything is done with the request. Only an
 * indirect request, whose segments lie in pages of their own, is judged in two steps: by its slot, before
 * those pages are fetched, and as a whole.
 * Source: blkif.h; PROTOCOL.md rules R5, R7-R12, R26.
 */
#ifndef RING_REQUEST_H
#define RING_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/wire.h"

struct blk_segment {
	uint32_t gref;
	uint8_t first_sect; /* 512-byte units inside the page, 0..7 */
	uint8_t last_sect;  /* inclusive */
};

/* The segments of the largest request that is ever served: 1 MiB, as from the kernel's backend. */
#define BLK_SEGMENTS_MAX 256u

/* The pages its segments lie in. */
#define BLK_INDIRECT_PAGES ((BLK_SEGMENTS_MAX - 1) / WIRE_SEGMENTS_PER_PAGE + 1)

/* Plain data: lives in the table of taken requests. */
struct blk_request {
	uint64_t id;     /* the guest's, echoed and never interpreted */
	uint64_t sector; /* 512-byte units */
	uint64_t
		nr_sectors; /* filled by blk_request_check(): the sum over the segments; a discard brings its own */
	uint16_t handle;      /* ignored, as all backends do */
	uint16_t nr_segments; /* as the guest wrote it; only BLK_REQUEST_OK bounds it */
	uint8_t op; /* BLKIF_OP_*, or anything else a guest wrote; of an indirect request, indirect_op */
	bool indirect;
	bool secure; /* of a discard: what was there must not be readable any more, by any means */
	uint32_t indirect_gref[WIRE_INDIRECT_PAGES]; /* of an indirect request */
	struct blk_segment seg[BLK_SEGMENTS_MAX];    /* beyond nr_segments they mean nothing */
};

/* What the disk admits. */
struct blk_limits {
	uint64_t nr_sectors; /* size, 512-byte units */
	bool read_only;
	bool flush;                     /* FLUSH_DISKCACHE was offered */
	bool barrier;                   /* WRITE_BARRIER was offered */
	bool discard;                   /* DISCARD was offered */
	uint16_t max_indirect_segments; /* 0: indirect requests were not offered */
};

/* Why a request was refused. Each has one status on the wire and one text for the log. */
enum blk_reason {
	BLK_REQUEST_OK = 0,
	BLK_BAD_OP,            /* unknown or not offered -> EOPNOTSUPP (R8) */
	BLK_BAD_SEGMENT_COUNT, /* 0 for read or write, or more than 11 (R9), or than was offered (R26) */
	BLK_BAD_SEGMENT_RANGE, /* first > last, or last beyond the page (R10) */
	BLK_BEYOND_END,        /* sector + length wraps or passes the end (R11) */
	BLK_READ_ONLY,         /* data or a discard for a read-only disk (R12) */
	BLK_REASON_COUNT,
};

/*
 * Translate @slot's bytes. Copies 11 segments whatever nr_segments says, and none of an indirect request, whose
 * indirect_gref it copies instead, or of a discard. The rest of @ret_req stays as it is.
 */
void blk_request_decode(enum wire_abi abi, const struct wire_slot *slot,
	struct blk_request *ret_req) __attribute__((nonnull));

/*
 * Judge an indirect request by its slot alone. After BLK_REQUEST_OK its segments lie in the first
 * blk_request_indirect_pages() pages of @req->indirect_gref.
 */
enum blk_reason blk_request_check_indirect(const struct blk_request *req,
	const struct blk_limits *limits) __attribute__((nonnull, warn_unused_result));

/* How many pages the segments of a good indirect request lie in, and how many bytes of the page @i are theirs. */
unsigned blk_request_indirect_pages(const struct blk_request *req) __attribute__((nonnull));
unsigned blk_request_indirect_bytes(const struct blk_request *req, unsigned i)
	__attribute__((nonnull));

/* Translate a good indirect request's segments from the private copy of its page @i. */
void blk_request_decode_indirect(struct blk_request *req, unsigned i, const void *copy)
	__attribute__((nonnull));

/*
 * Judge @req by every rule and fill @req->nr_sectors. Only after BLK_REQUEST_OK may the segments
 * and the sector be used.
 */
enum blk_reason blk_request_check(struct blk_request *req, const struct blk_limits *limits)
	__attribute__((nonnull, warn_unused_result));

/* BLKIF_RSP_* that answers a request refused for @reason. */
int16_t blk_reason_status(enum blk_reason reason);

/* A phrase for the log, lower case, no full stop. Never NULL. */
const char *blk_reason_text(enum blk_reason reason);

/* True for operations that may change what is on the disk. */
static inline bool blk_op_writes(uint8_t op)
{
	return op == BLKIF_OP_WRITE || op == BLKIF_OP_WRITE_BARRIER ||
	       op == BLKIF_OP_FLUSH_DISKCACHE || op == BLKIF_OP_DISCARD;
}

/* True for operations that may be empty (R9). */
static inline bool blk_op_may_be_empty(uint8_t op)
{
	return op == BLKIF_OP_WRITE_BARRIER || op == BLKIF_OP_FLUSH_DISKCACHE;
}

#endif
