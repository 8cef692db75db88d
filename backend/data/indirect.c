/*
 * The segments of indirect requests, brought in from the guest's pages they lie in: each page is copied once, and
 * judged is the copy (R26). Queue thread only.
 */
#include <assert.h>

#include "backend/data/queue_impl.h"
#include "ring/barrier.h"

_Static_assert(LIMIT_TAKE_PER_PASS *BLK_INDIRECT_PAGES <= GUEST_COPY_MAX, "one call copies all");

/* The private copy of page @page of the @i-th indirect request taken. */
static uint8_t *copy_of(struct queue *q, unsigned i, unsigned page)
{
	assert(i < LIMIT_TAKE_PER_PASS);
	return (uint8_t *)q->descriptors[i] + (size_t)page * WIRE_PAGE_SIZE;
}

/* Where the frontend lets us keep its pages mapped, these are kept, too. */
static bool copy_mapped(struct queue *q, uint32_t gref, unsigned n, uint8_t *ret_copy)
{
	uint16_t page = q->cfg.persistent ? pcache_get(&q->pcache, gref) : PCACHE_NONE;

	if (page == PCACHE_NONE)
		return false;
	shared_copy(ret_copy, pcache_address(&q->pcache, page), n);
	pcache_put(&q->pcache, page);
	return true;
}

static void fetch_one(struct queue *q, unsigned s, unsigned i)
{
	const struct blk_request *req = &q->slot[s].req;

	for (unsigned page = 0; page < blk_request_indirect_pages(req); page++) {
		unsigned n = blk_request_indirect_bytes(req, page);
		uint8_t *copy = copy_of(q, i, page);

		if (copy_mapped(q, req->indirect_gref[page], n, copy))
			continue;
		q->parts[q->nr_parts++] = (struct guest_copy){
			.ref = req->indirect_gref[page],
			.length_bytes = (uint16_t)n,
			.local = copy,
			.tag = s,
		};
	}
}

static void fetch_all(struct queue *q)
{
	unsigned nr_indirect = 0;

	q->nr_parts = 0;
	for (unsigned i = 0; i < q->taken.n; i++)
		if (q->slot[q->taken.slot[i]].state == SLOT_INDIRECT)
			fetch_one(q, q->taken.slot[i], nr_indirect++);
	guest_copy_all(&q->guest, GUEST_COPY_IN, q->parts, q->nr_parts);
	for (unsigned i = 0; i < q->nr_parts; i++)
		if (q->parts[i].failed && q->slot[q->parts[i].tag].state != SLOT_DONE)
			slot_fail_guest(q, q->parts[i].tag);
}

static void decode(struct queue *q, struct blk_request *req, unsigned i)
{
	for (unsigned page = 0; page < blk_request_indirect_pages(req); page++)
		blk_request_decode_indirect(req, page, copy_of(q, i, page));
}

void indirect_fetch(struct queue *q)
{
	unsigned n = 0, nr_indirect = 0;

	fetch_all(q);
	for (unsigned i = 0; i < q->taken.n; i++) {
		unsigned s = q->taken.slot[i];
		struct slot *slot = &q->slot[s];

		/* Those that are not are, or have been a moment ago. */
		if (slot->state != SLOT_TAKEN)
			nr_indirect++;
		if (slot->state == SLOT_INDIRECT) {
			decode(q, &slot->req, nr_indirect - 1);
			slot_judge(q, s);
		}
		/* What was refused is on its way back. */
		if (slot->state == SLOT_TAKEN)
			q->taken.slot[n++] = (uint16_t)s;
	}
	q->taken.n = n;
}
