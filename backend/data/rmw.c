/*
 * Writes on storage whose blocks are larger than a guest's sectors (D1): each has the blocks it touches to itself, and where it
 * ends in the middle of one, that block is read first and completed. Queue thread only.
 */
#include <string.h>

#include "backend/data/queue_impl.h"

static bool is_needed(const struct queue *q)
{
	return q->disk->ranges != NULL;
}

/* ---- the edges ---- */

static unsigned unit_of(const struct queue *q)
{
	return q->disk->storage.unit;
}

static uint64_t end_of(const struct slot *slot)
{
	return (slot->req.sector + slot->req.nr_sectors) << WIRE_SECTOR_SHIFT;
}

/* The block that @edge of the request lies in, in bytes. */
static uint64_t block_of(const struct queue *q, const struct slot *slot, enum slot_edge edge)
{
	uint64_t first = slot->req.sector << WIRE_SECTOR_SHIFT;
	uint64_t at = edge == EDGE_HEAD ? first : end_of(slot) - 1;

	return at & ~(uint64_t)(unit_of(q) - 1);
}

/* Where it is read to: the last of the request's buffers has room for both. */
static uint8_t *memory_of(const struct queue *q, const struct slot *slot, enum slot_edge edge)
{
	uint8_t *memory = buffers_chunk(&q->buffers, slot->chunk[slot->nr_chunks - 1]);

	return edge == EDGE_HEAD ? memory : memory + unit_of(q);
}

/* Byte @at of what the write writes. */
static uint8_t *byte_of(const struct queue *q, const struct slot *slot, size_t at)
{
	return buffers_chunk(&q->buffers, slot->chunk[at / BUFFERS_CHUNK]) + at % BUFFERS_CHUNK;
}

/* After what is known now: the edge that is to be read next. One block may be both. */
static enum slot_edge next_edge(const struct queue *q, const struct slot *slot)
{
	bool one_block = block_of(q, slot, EDGE_HEAD) == block_of(q, slot, EDGE_TAIL);

	if (slot->edge == EDGE_NONE && slot->edges.head_bytes > 0)
		return EDGE_HEAD;
	if (slot->edge != EDGE_TAIL && slot->edges.tail_bytes > 0 &&
		!(slot->edge == EDGE_HEAD && one_block))
		return EDGE_TAIL;
	return EDGE_NONE;
}

static void read_edge(struct queue *q, unsigned s, enum slot_edge edge)
{
	struct slot *slot = &q->slot[s];
	/* Its copy in buffers never needs so many. */
	struct iovec *iov = &q->iov[s][LIMIT_SEGMENTS - 1];
	struct engine_io io = {
		.verb = ENGINE_READ,
		.storage = &q->disk->storage,
		.offset_bytes = block_of(q, slot, edge),
		.iov = iov,
		.nr_iov = 1,
		.size_bytes = unit_of(q),
		.tag = s,
	};

	*iov = (struct iovec){.iov_base = memory_of(q, slot, edge), .iov_len = unit_of(q)};
	slot->edge = (uint8_t)edge;
	q->engine->ops->put(q->engine, &io);
}

/* What the storage had before and behind the guest's data, beside them. */
static void complete(const struct queue *q, const struct slot *slot)
{
	unsigned head = slot->edges.head_bytes, tail = slot->edges.tail_bytes;
	size_t end = head + (slot->req.nr_sectors << WIRE_SECTOR_SHIFT);
	bool one_block = block_of(q, slot, EDGE_HEAD) == block_of(q, slot, EDGE_TAIL);
	const uint8_t *behind = memory_of(q, slot, head > 0 && one_block ? EDGE_HEAD : EDGE_TAIL);

	memcpy(byte_of(q, slot, 0), memory_of(q, slot, EDGE_HEAD), head);
	if (tail > 0)
		memcpy(byte_of(q, slot, end), behind + unit_of(q) - tail, tail);
}

/* The blocks are its own: read what there is of them to be read, then write. */
static void go_on(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	enum slot_edge edge = next_edge(q, slot);

	if (edge != EDGE_NONE) {
		read_edge(q, s, edge);
		return;
	}
	if (edges_any(slot->edges))
		complete(q, slot);
	slot->edge = EDGE_NONE;
	io_move(q, s);
}

/* ---- the blocks ---- */

void rmw_start(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];
	unsigned unit = unit_of(q);

	slot->has_range = is_needed(q);
	if (!slot->has_range || disk_take_range(q->disk, q->cfg.index, s,
					(slot->req.sector << WIRE_SECTOR_SHIFT) / unit,
					(end_of(slot) - 1) / unit, edges_any(slot->edges)))
		go_on(q, s);
	else
		q->nr_blocked++;
}

void rmw_again(struct queue *q, unsigned s)
{
	q->slot[s].edge = EDGE_NONE;
	go_on(q, s);
}

void rmw_follow(struct queue *q)
{
	unsigned s;

	while (q->nr_blocked > 0 && disk_next_range(q->disk, q->cfg.index, &s)) {
		q->nr_blocked--;
		go_on(q, s);
	}
}

void rmw_end(struct queue *q, unsigned s)
{
	struct slot *slot = &q->slot[s];

	/* Those of ours that waited for it come with the next pass, which there is: an I/O has just ended. */
	if (slot->has_range)
		disk_release_range(q->disk, q->cfg.index, s);
	slot->has_range = false;
}

bool rmw_reap(struct queue *q, unsigned s, struct engine_done *done)
{
	struct slot *slot = &q->slot[s];

	if (slot->edge == EDGE_NONE)
		return false;
	if (done->error) {
		slot->edge = EDGE_NONE;
		done->refused = true;
		return false;
	}
	go_on(q, s);
	return true;
}
