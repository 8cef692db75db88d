/*
 * Random requests of every kind, good and bad, and how each has to be answered.
 *
 * One thread at a time; pure. The same seed and disk give the same requests, whatever the backend does and how long it takes, so
 * that two backends, or two runs, can be compared request by request. The first requests are one of each kind.
 * Statuses by PROTOCOL.md, rules R8-R12, R26, R27.
 */
#ifndef TESTS_LIB_GUEST_SCRIPT_H
#define TESTS_LIB_GUEST_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/request.h"
#include "tests/lib/dice.h"

enum guest_kind {
	GUEST_READ,
	GUEST_WRITE,
	GUEST_FLUSH,
	GUEST_FLUSH_WRITE,
	GUEST_BARRIER,
	GUEST_BARRIER_WRITE,
	GUEST_DISCARD,
	GUEST_SECURE_DISCARD,
	/* No honest guest makes those that follow, but for grants that are bad. */
	GUEST_BEYOND_END,
	GUEST_WRAPS_AROUND,
	GUEST_NO_SEGMENTS,
	GUEST_TOO_MANY_SEGMENTS,
	GUEST_BACKWARD_SEGMENT,
	GUEST_SEGMENT_BEYOND_PAGE,
	GUEST_UNKNOWN_OP,
	GUEST_BAD_GRANT,
	GUEST_BAD_DESCRIPTOR,
	GUEST_INDIRECT_OF_OTHER_OP,
	GUEST_DISCARD_BEYOND_END,
	GUEST_DISCARD_WRAPS_AROUND,
	GUEST_KIND_COUNT,
};

/* What the script has to know of the disk and of what its backend offers. */
struct guest_disk {
	uint64_t nr_sectors;   /* 2048 at least: one request may have as many */
	unsigned max_segments; /* of good reads and writes */
	bool read_only, flush, barrier, discard;
	bool indirect; /* such requests are offered, used or not */
	unsigned
		align; /* sectors, up to 8, that good requests and their segments are multiples of */
	unsigned discard_align; /* ... and good discards */
	/*
	 * QEMU takes some numbers beyond 2^55 for small ones: none of these are written to. It knows no indirect requests, but
	 * answers them as other frontends than ours could not tell: there are none, whatever is offered.
	 */
	bool for_qdisk;
};

struct guest_step {
	enum guest_kind kind;
	uint8_t op;
	bool indirect; /* of bad requests; with good ones the number of segments tells */
	bool secure;
	uint16_t nr_segments;
	uint64_t sector, nr_sectors;
	uint32_t bad_gref;                        /* of GUEST_BAD_GRANT and GUEST_BAD_DESCRIPTOR */
	unsigned bad_segment;                     /* which has it */
	uint64_t id;                              /* for a bad request */
	uint64_t data_seed;                       /* what is written: blkfront_pattern's */
	struct blk_segment seg[BLK_SEGMENTS_MAX]; /* without grants */
};

/* The request number @nr, from 0. */
void guest_script_next(struct dice *dice, const struct guest_disk *disk, uint64_t nr,
	struct guest_step *ret_step) __attribute__((nonnull));

/* BLKIF_RSP_* that has to answer it. Only BLKIF_RSP_OKAY may change the disk or the guest's pages. */
int16_t guest_step_status(const struct guest_step *step, const struct guest_disk *disk)
	__attribute__((nonnull));

static inline bool guest_step_is_bad(const struct guest_step *step)
{
	return step->kind >= GUEST_BEYOND_END;
}

static inline bool guest_step_is_discard(const struct guest_step *step)
{
	return step->op == BLKIF_OP_DISCARD;
}

/* "write", "bad-grant" ... */
const char *guest_kind_name(enum guest_kind kind);

#endif
