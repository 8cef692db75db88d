/*
 * A request's data between the guest's pages and memory direct I/O can use. Queue thread only.
 *
 * DIRECT: the pages are mapped persistently and the I/O is done on them, nothing is copied.
 * COPY: the slot's buffer is filled from, or emptied into, the guest by grant copy; all copies of
 * one pass and direction are one call, as long as they fit.
 */
#include <string.h>

#include "backend/data/queue_impl.h"

static unsigned segment_bytes(const struct blk_segment *seg)
{
	return (unsigned)(seg->last_sect - seg->first_sect + 1) * WIRE_SECTOR_SIZE;
}

static unsigned segment_offset(const struct blk_segment *seg)
{
	return seg->first_sect * WIRE_SECTOR_SIZE;
}

/* ---- direct ---- */

/* Direct I/O takes memory only from certain addresses on; pages themselves are always fine. */
static bool is_aligned(const struct queue *q, const struct blk_request *req)
{
	unsigned mask = q->disk->storage.memory_align - 1;

	for (unsigned i = 0; i < req->nr_segments; i++)
		if (segment_offset(&req->seg[i]) & mask)
			return false;
	return true;
}

static void let_go(struct queue *q, struct slot *slot, unsigned nr_pages)
{
	for (unsigned i = 0; i < nr_pages; i++)
		pcache_put(&q->pcache, slot->page[i]);
}

/* Pin every page of the request, or none. */
static bool try_direct(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	const struct blk_request *req = &slot->req;

	if (!q->cfg.persistent || !is_aligned(q, req))
		return false;
	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blk_segment *seg = &req->seg[i];
		uint16_t page = pcache_get(&q->pcache, seg->gref);

		if (page == PCACHE_NONE) {
			let_go(q, slot, i);
			return false;
		}
		slot->page[i] = page;
		q->iov[s][i] = (struct iovec){
			.iov_base =
				(uint8_t *)pcache_address(&q->pcache, page) + segment_offset(seg),
			.iov_len = segment_bytes(seg),
		};
	}
	slot->way = SLOT_DIRECT;
	stat_add(&q->stats.segments_mapped, req->nr_segments);
	return true;
}

/* ---- copy ---- */

static void add_parts(struct queue *q, unsigned s)
{
	const struct blk_request *req = &q->slot[s].req;
	uint8_t *local = slot_buffer(q, s);

	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blk_segment *seg = &req->seg[i];

		q->parts[q->nr_parts++] = (struct guest_copy){
			.ref = seg->gref,
			.offset_bytes = (uint16_t)segment_offset(seg),
			.length_bytes = (uint16_t)segment_bytes(seg),
			.local = local,
			.tag = s,
		};
		local += segment_bytes(seg);
	}
}

static void use_copy(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];

	slot->way = SLOT_COPY;
	if (s >= q->nr_touched)
		q->nr_touched = s + 1;
	q->iov[s][0] = (struct iovec){
		.iov_base = slot_buffer(q, s),
		.iov_len = (size_t)slot->req.nr_sectors * WIRE_SECTOR_SIZE,
	};
	if (blk_op_writes(slot->req.op))
		add_parts(q, s);
}

/* ---- the two stages ---- */

_Static_assert(
	LIMIT_TAKE_PER_PASS *LIMIT_SEGMENTS <= GUEST_COPY_MAX, "a pass's writes are one call");

void move_in(struct queue *q)
{
	q->nr_parts = 0;
	for (unsigned i = 0; i < q->taken.n; i++) {
		unsigned s = q->taken.slot[i];

		if (q->slot[s].req.nr_segments > 0 && !try_direct(q, s))
			use_copy(q, s);
	}
	guest_copy_all(&q->guest, GUEST_COPY_IN, q->parts, q->nr_parts);
	for (unsigned i = 0; i < q->nr_parts; i++) {
		unsigned s = q->parts[i].tag;

		if (!q->parts[i].failed || q->slot[s].state == SLOT_DONE)
			continue;
		stat_add(&q->stats.failed_guest, 1);
		slot_finish(q, s, BLKIF_RSP_ERROR);
	}
}

static bool has_data_for_guest(const struct slot *slot)
{
	return slot->way == SLOT_COPY && slot->req.op == BLKIF_OP_READ &&
	       slot->status == BLKIF_RSP_OKAY;
}

static void copy_out(struct queue *q)
{
	guest_copy_all(&q->guest, GUEST_COPY_OUT, q->parts, q->nr_parts);
	for (unsigned i = 0; i < q->nr_parts; i++) {
		struct slot *slot = &q->slot[q->parts[i].tag];

		if (!q->parts[i].failed || slot->status != BLKIF_RSP_OKAY)
			continue;
		stat_add(&q->stats.failed_guest, 1);
		slot->status = BLKIF_RSP_ERROR;
		queue_report(q);
	}
	q->nr_parts = 0;
}

void move_out(struct queue *q)
{
	q->nr_parts = 0;
	for (unsigned i = 0; i < q->done.n; i++) {
		struct slot *slot = &q->slot[q->done.slot[i]];

		if (has_data_for_guest(slot)) {
			if (q->nr_parts > GUEST_COPY_MAX - LIMIT_SEGMENTS)
				copy_out(q);
			add_parts(q, q->done.slot[i]);
		} else if (slot->way == SLOT_DIRECT) {
			let_go(q, slot, slot->req.nr_segments);
		}
	}
	copy_out(q);
}
