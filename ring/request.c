#include "ring/request.h"

#include <string.h>

#include "ring/checked.h"

static void decode_segments(const struct wire_segment *wire, unsigned n, struct blk_segment *seg)
{
	for (unsigned i = 0; i < n; i++) {
		seg[i].gref = wire[i].gref;
		seg[i].first_sect = wire[i].first_sect;
		seg[i].last_sect = wire[i].last_sect;
	}
}

static void decode_indirect(
	enum wire_abi abi, const struct wire_slot *slot, struct blk_request *ret_req)
{
	ret_req->indirect = true;
	ret_req->op = slot->i64.indirect_op;
	ret_req->nr_segments = slot->i64.nr_segments;
	if (abi == WIRE_ABI_32) {
		ret_req->handle = slot->i32.handle;
		ret_req->id = slot->i32.id;
		ret_req->sector = slot->i32.sector_number;
		memcpy(ret_req->indirect_gref, slot->i32.gref, sizeof(ret_req->indirect_gref));
		return;
	}
	ret_req->handle = slot->i64.handle;
	ret_req->id = slot->i64.id;
	ret_req->sector = slot->i64.sector_number;
	memcpy(ret_req->indirect_gref, slot->i64.gref, sizeof(ret_req->indirect_gref));
}

static void decode_discard(
	enum wire_abi abi, const struct wire_slot *slot, struct blk_request *ret_req)
{
	ret_req->nr_segments = 0;
	ret_req->secure = slot->d64.flag & BLKIF_DISCARD_SECURE;
	ret_req->handle = slot->d64.handle;
	if (abi == WIRE_ABI_32) {
		ret_req->id = slot->d32.id;
		ret_req->sector = slot->d32.sector_number;
		ret_req->nr_sectors = slot->d32.nr_sectors;
		return;
	}
	ret_req->id = slot->d64.id;
	ret_req->sector = slot->d64.sector_number;
	ret_req->nr_sectors = slot->d64.nr_sectors;
}

void blk_request_decode(
	enum wire_abi abi, const struct wire_slot *slot, struct blk_request *ret_req)
{
	ret_req->nr_sectors = 0;
	/* Here, both layouts agree. */
	if (slot->r64.operation == BLKIF_OP_INDIRECT) {
		decode_indirect(abi, slot, ret_req);
		return;
	}
	ret_req->indirect = false;
	ret_req->op = slot->r64.operation;
	if (ret_req->op == BLKIF_OP_DISCARD) {
		decode_discard(abi, slot, ret_req);
		return;
	}
	ret_req->nr_segments = slot->r64.nr_segments;
	if (abi == WIRE_ABI_32) {
		ret_req->handle = slot->r32.handle;
		ret_req->id = slot->r32.id;
		ret_req->sector = slot->r32.sector_number;
		decode_segments(slot->r32.seg, WIRE_SEGMENTS_MAX, ret_req->seg);
		return;
	}
	ret_req->handle = slot->r64.handle;
	ret_req->id = slot->r64.id;
	ret_req->sector = slot->r64.sector_number;
	decode_segments(slot->r64.seg, WIRE_SEGMENTS_MAX, ret_req->seg);
}

/* ---- indirect requests ---- */

unsigned blk_request_indirect_pages(const struct blk_request *req)
{
	return (req->nr_segments - 1u) / WIRE_SEGMENTS_PER_PAGE + 1;
}

/* The segments of the page @i. */
static unsigned indirect_segments(const struct blk_request *req, unsigned i)
{
	unsigned left = req->nr_segments - i * WIRE_SEGMENTS_PER_PAGE;

	return left < WIRE_SEGMENTS_PER_PAGE ? left : WIRE_SEGMENTS_PER_PAGE;
}

unsigned blk_request_indirect_bytes(const struct blk_request *req, unsigned i)
{
	return indirect_segments(req, i) * (unsigned)sizeof(struct wire_segment);
}

void blk_request_decode_indirect(struct blk_request *req, unsigned i, const void *copy)
{
	decode_segments(
		copy, indirect_segments(req, i), &req->seg[(size_t)i * WIRE_SEGMENTS_PER_PAGE]);
}

enum blk_reason blk_request_check_indirect(
	const struct blk_request *req, const struct blk_limits *limits)
{
	if (limits->max_indirect_segments == 0)
		return BLK_BAD_OP;
	if (req->op != BLKIF_OP_READ && req->op != BLKIF_OP_WRITE)
		return BLK_BAD_OP;
	if (req->nr_segments == 0 || req->nr_segments > limits->max_indirect_segments)
		return BLK_BAD_SEGMENT_COUNT;
	return BLK_REQUEST_OK;
}

/* ---- every request ---- */

static bool op_is_offered(uint8_t op, const struct blk_limits *limits)
{
	switch (op) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
		return true;
	case BLKIF_OP_WRITE_BARRIER:
		return limits->barrier;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return limits->flush;
	case BLKIF_OP_DISCARD:
		return limits->discard;
	default:
		return false;
	}
}

/* R10. Adds the segments' lengths: at most 256 * 8, so the sum cannot overflow. */
static bool segments_are_inside_pages(struct blk_request *req)
{
	uint64_t nr_sectors = 0;

	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blk_segment *seg = &req->seg[i];

		if (seg->last_sect >= WIRE_PAGE_SECTORS || seg->first_sect > seg->last_sect)
			return false;
		nr_sectors += (uint64_t)(seg->last_sect - seg->first_sect) + 1;
	}
	req->nr_sectors = nr_sectors;
	return true;
}

/* The operation, and how many segments it has. */
static enum blk_reason check_shape(const struct blk_request *req, const struct blk_limits *limits)
{
	bool may_be_empty = blk_op_may_be_empty(req->op) || req->op == BLKIF_OP_DISCARD;

	if (req->indirect)
		return blk_request_check_indirect(req, limits);
	if (!op_is_offered(req->op, limits))
		return BLK_BAD_OP;
	if (req->nr_segments > WIRE_SEGMENTS_MAX || (req->nr_segments == 0 && !may_be_empty))
		return BLK_BAD_SEGMENT_COUNT;
	return BLK_REQUEST_OK;
}

enum blk_reason blk_request_check(struct blk_request *req, const struct blk_limits *limits)
{
	enum blk_reason reason = check_shape(req, limits);

	if (reason != BLK_REQUEST_OK)
		return reason;
	if (req->op != BLKIF_OP_DISCARD) {
		/* Old frontends leave -1 in the sector of an empty barrier: nothing to check (R9). */
		if (req->nr_segments == 0)
			return BLK_REQUEST_OK;
		if (!segments_are_inside_pages(req))
			return BLK_BAD_SEGMENT_RANGE;
	}
	if (blk_op_writes(req->op) && limits->read_only)
		return BLK_READ_ONLY;
	if (!checked_range_u64(req->sector, req->nr_sectors, limits->nr_sectors))
		return BLK_BEYOND_END;
	return BLK_REQUEST_OK;
}

int16_t blk_reason_status(enum blk_reason reason)
{
	switch (reason) {
	case BLK_REQUEST_OK:
		return BLKIF_RSP_OKAY;
	case BLK_BAD_OP:
		return BLKIF_RSP_EOPNOTSUPP;
	case BLK_BAD_SEGMENT_COUNT:
	case BLK_BAD_SEGMENT_RANGE:
	case BLK_BEYOND_END:
	case BLK_READ_ONLY:
	case BLK_REASON_COUNT:
		break;
	}
	return BLKIF_RSP_ERROR;
}

const char *blk_reason_text(enum blk_reason reason)
{
	static const char *const text[BLK_REASON_COUNT] = {
		[BLK_REQUEST_OK] = "no error",
		[BLK_BAD_OP] = "operation unknown or not offered",
		[BLK_BAD_SEGMENT_COUNT] = "number of segments out of range",
		[BLK_BAD_SEGMENT_RANGE] = "segment outside its page",
		[BLK_BEYOND_END] = "beyond the end of the disk",
		[BLK_READ_ONLY] = "write to a read-only disk",
	};

	return reason < BLK_REASON_COUNT ? text[reason] : "unknown reason";
}
