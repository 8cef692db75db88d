/*
 * A request's data between the guest's pages and memory direct I/O can use. Queue thread only.
 *
 * DIRECT: the pages stay mapped and the I/O is done on them, nothing is copied.
 * MAPPED: the same on pages that are mapped for the request, and unmapped before it is answered (XSA-396).
 * COPY: buffers of ours are filled from, or emptied into, the guest by grant copy; all copies of
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

/*
 * Direct I/O takes memory only from certain addresses on, and whole blocks of the storage in one piece; pages themselves are
 * always fine.
 */
static bool is_aligned(const struct queue *q, const struct slot *slot)
{
	const struct storage *storage = &q->disk->storage;
	const struct blk_request *req = &slot->req;

	if (edges_any(slot->edges))
		return false;
	for (unsigned i = 0; i < req->nr_segments; i++)
		if (segment_offset(&req->seg[i]) & (storage->memory_align - 1) ||
			segment_bytes(&req->seg[i]) & (storage->unit - 1))
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

	if (!q->cfg.persistent || !is_aligned(q, slot))
		return false;
	if (pcache_room(&q->pcache) < req->nr_segments)
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
	stat_add(&q->stats.segments_persistent, req->nr_segments);
	return true;
}

/* ---- mapped for the request ---- */

static bool try_map(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	const struct blk_request *req = &slot->req;
	/* What the guest writes it need not let us write. */
	enum guest_access access = blk_op_writes(req->op) ? GUEST_READ : GUEST_READ_WRITE;
	uint32_t refs[LIMIT_SEGMENTS];
	uint8_t *pages;

	if (!q->cfg.map_each || !guest_may_map(&q->guest, access) || !is_aligned(q, slot))
		return false;
	for (unsigned i = 0; i < req->nr_segments; i++)
		refs[i] = req->seg[i].gref;
	pages = guest_map(&q->guest, access, refs, req->nr_segments);
	if (pages == NULL)
		return false;
	for (unsigned i = 0; i < req->nr_segments; i++)
		q->iov[s][i] = (struct iovec){
			.iov_base =
				pages + (size_t)i * WIRE_PAGE_SIZE + segment_offset(&req->seg[i]),
			.iov_len = segment_bytes(&req->seg[i]),
		};
	slot->way = SLOT_MAPPED;
	stat_add(&q->stats.segments_mapped, req->nr_segments);
	return true;
}

/* Its first iovec lies in the first page. */
static void unmap(struct queue *q, unsigned s)
{
	const struct blk_request *req = &q->slot[s].req;
	uint8_t *first = q->iov[s][0].iov_base;

	guest_unmap(&q->guest, first - segment_offset(&req->seg[0]), req->nr_segments);
}

/* ---- copy ---- */

/* A request's data are cut at the ends of its segments and of its chunks. */
#define PARTS_MAX (LIMIT_SEGMENTS + BUFFERS_REQUEST_MAX)

_Static_assert(PARTS_MAX <= GUEST_COPY_MAX, "every request fits one call");

static bool has_room_for(const struct queue *q, const struct slot *slot)
{
	return q->nr_parts + slot->req.nr_segments + slot->nr_chunks <= GUEST_COPY_MAX;
}

/* The copies between the segments of @s and its chunks, which are filled one after the other. */
static void add_parts(struct queue *q, unsigned s)
{
	const struct slot *slot = &q->slot[s];
	unsigned placed = slot->edges.head_bytes;

	stat_add(&q->stats.segments_copied, slot->req.nr_segments);
	for (unsigned i = 0; i < slot->req.nr_segments; i++) {
		const struct blk_segment *seg = &slot->req.seg[i];
		unsigned offset = segment_offset(seg), end = offset + segment_bytes(seg);

		while (offset < end) {
			uint16_t chunk = slot->chunk[placed / BUFFERS_CHUNK];
			unsigned n = BUFFERS_CHUNK - placed % BUFFERS_CHUNK;

			if (n > end - offset)
				n = end - offset;
			q->parts[q->nr_parts++] = (struct guest_copy){
				.ref = seg->gref,
				.offset_bytes = (uint16_t)offset,
				.length_bytes = (uint16_t)n,
				.local = buffers_chunk(&q->buffers, chunk) + placed % BUFFERS_CHUNK,
				.tag = s,
			};
			placed += n;
			offset += n;
		}
	}
}

/* False when there are no buffers. */
static bool try_copy(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	size_t left = slot->req.nr_sectors * WIRE_SECTOR_SIZE + slot->edges.head_bytes +
		      slot->edges.tail_bytes;
	unsigned nr_iovecs = (unsigned)((left - 1) / BUFFERS_CHUNK) + 1;
	unsigned n = nr_iovecs + slot_needs_edges(slot);

	if (!buffers_get(&q->buffers, n, slot->chunk))
		return false;
	slot->way = SLOT_COPY;
	slot->nr_chunks = (uint16_t)n;
	for (unsigned i = 0; i < nr_iovecs; i++) {
		q->iov[s][i] = (struct iovec){
			.iov_base = buffers_chunk(&q->buffers, slot->chunk[i]),
			.iov_len = left < BUFFERS_CHUNK ? left : BUFFERS_CHUNK,
		};
		left -= q->iov[s][i].iov_len;
	}
	return true;
}

/* ---- the two stages ---- */

static void copy_in(struct queue *q)
{
	guest_copy_all(&q->guest, GUEST_COPY_IN, q->parts, q->nr_parts);
	for (unsigned i = 0; i < q->nr_parts; i++)
		if (q->parts[i].failed && q->slot[q->parts[i].tag].state != SLOT_DONE)
			slot_fail_guest(q, q->parts[i].tag);
	q->nr_parts = 0;
}

/* The @i-th of those taken finds no buffers: it waits, and so do those behind it. */
static void wait_for_buffers(struct queue *q, unsigned i)
{
	for (unsigned j = i; j < q->taken.n; j++)
		q->waiting.slot[q->waiting.n++] = q->taken.slot[j];
	q->taken.n = i;
}

void move_in(struct queue *q)
{
	q->nr_parts = 0;
	for (unsigned i = 0; i < q->taken.n; i++) {
		unsigned s = q->taken.slot[i];

		if (q->slot[s].req.nr_segments == 0 || try_direct(q, s) || try_map(q, s))
			continue;
		if (!try_copy(q, s)) {
			wait_for_buffers(q, i);
			break;
		}
		if (!blk_op_writes(q->slot[s].req.op))
			continue;
		if (!has_room_for(q, &q->slot[s]))
			copy_in(q);
		add_parts(q, s);
	}
	copy_in(q);
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
		const struct slot *slot = &q->slot[q->done.slot[i]];

		if (!has_data_for_guest(slot))
			continue;
		if (!has_room_for(q, slot))
			copy_out(q);
		add_parts(q, q->done.slot[i]);
	}
	copy_out(q);
	for (unsigned i = 0; i < q->done.n; i++) {
		unsigned s = q->done.slot[i];
		struct slot *slot = &q->slot[s];

		if (slot->way == SLOT_DIRECT)
			let_go(q, slot, slot->req.nr_segments);
		else if (slot->way == SLOT_MAPPED)
			unmap(q, s);
		else if (slot->way == SLOT_COPY)
			buffers_put(&q->buffers, slot->chunk, slot->nr_chunks);
	}
}
