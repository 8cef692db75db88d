#include "ring/frontring.h"

#include <string.h>

#include "ring/barrier.h"

void frontring_init(struct frontring *ring, enum wire_abi abi, void *shared, unsigned nr_pages)
{
	*ring = (struct frontring){
		.shared = shared,
		.abi = abi,
		.nr_slots = wire_nr_slots(abi, nr_pages),
	};
	memset(shared, 0, (size_t)nr_pages * WIRE_PAGE_SIZE);
	shared_store(&ring->shared->req_event, 1);
	shared_store(&ring->shared->rsp_event, 1);
}

static void *slot_address(const struct frontring *ring, uint32_t index)
{
	uint8_t *slots = (uint8_t *)ring->shared + sizeof(struct wire_ring_header);

	return slots + (size_t)(index & (ring->nr_slots - 1)) * wire_slot_size(ring->abi);
}

unsigned frontring_free(const struct frontring *ring)
{
	return ring->nr_slots - (ring->req_prod_pvt - ring->rsp_cons);
}

void frontring_put(struct frontring *ring, const struct wire_slot *slot)
{
	memcpy(slot_address(ring, ring->req_prod_pvt), slot->bytes, wire_slot_size(ring->abi));
	ring->req_prod_pvt++;
}

bool frontring_push(struct frontring *ring)
{
	uint32_t old = ring->req_prod_pub;
	uint32_t new = ring->req_prod_pvt;

	if (old == new)
		return false;
	/* Write the requests, then publish the index that covers them. */
	shared_store_release(&ring->shared->req_prod, new);
	ring->req_prod_pub = new;
	/* Publish the index, then look whether the backend sleeps. */
	shared_full_barrier();
	return new - shared_load(&ring->shared->req_event) < new - old;
}

bool frontring_is_sane(const struct frontring *ring)
{
	uint32_t rsp_prod = shared_load(&ring->shared->rsp_prod);

	return rsp_prod - ring->rsp_cons <= ring->req_prod_pub - ring->rsp_cons;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

bool frontring_get(struct frontring *ring, struct frontring_response *ret_rsp)
{
	const void *slot = slot_address(ring, ring->rsp_cons);

	/* Read the producer index, then the responses it covers. */
	if (shared_load_acquire(&ring->shared->rsp_prod) == ring->rsp_cons)
		return false;
	if (ring->abi == WIRE_ABI_32) {
		struct wire_response_32 rsp;

		memcpy(&rsp, slot, sizeof(rsp));
		*ret_rsp = (struct frontring_response){
			rsp.id, rsp.operation, rsp.status, rsp.pad0 == 0};
	} else {
		struct wire_response_64 rsp;

		memcpy(&rsp, slot, sizeof(rsp));
		*ret_rsp = (struct frontring_response){rsp.id, rsp.operation, rsp.status,
			rsp.pad0 == 0 && all_zero(rsp.pad1, sizeof(rsp.pad1))};
	}
	ring->rsp_cons++;
	return true;
}

bool frontring_final_check(struct frontring *ring)
{
	shared_store(&ring->shared->rsp_event, ring->rsp_cons + 1);
	/* Ask for an event, then look for a response that came before the backend saw that. */
	shared_full_barrier();
	return shared_load_acquire(&ring->shared->rsp_prod) != ring->rsp_cons;
}

static void encode_segments(const struct blk_segment *seg, unsigned n, struct wire_segment *wire)
{
	for (unsigned i = 0; i < n; i++)
		wire[i] = (struct wire_segment){
			.gref = seg[i].gref,
			.first_sect = seg[i].first_sect,
			.last_sect = seg[i].last_sect,
		};
}

static void encode_indirect(
	enum wire_abi abi, const struct blk_request *req, struct wire_slot *ret_slot)
{
	ret_slot->i64.operation = BLKIF_OP_INDIRECT;
	ret_slot->i64.indirect_op = req->op;
	ret_slot->i64.nr_segments = req->nr_segments;
	if (abi == WIRE_ABI_32) {
		ret_slot->i32.handle = req->handle;
		ret_slot->i32.id = req->id;
		ret_slot->i32.sector_number = req->sector;
		memcpy(ret_slot->i32.gref, req->indirect_gref, sizeof(req->indirect_gref));
		return;
	}
	ret_slot->i64.handle = req->handle;
	ret_slot->i64.id = req->id;
	ret_slot->i64.sector_number = req->sector;
	memcpy(ret_slot->i64.gref, req->indirect_gref, sizeof(req->indirect_gref));
}

static void encode_discard(
	enum wire_abi abi, const struct blk_request *req, struct wire_slot *ret_slot)
{
	ret_slot->d64.operation = req->op;
	ret_slot->d64.flag = req->secure ? BLKIF_DISCARD_SECURE : 0;
	ret_slot->d64.handle = req->handle;
	if (abi == WIRE_ABI_32) {
		ret_slot->d32.id = req->id;
		ret_slot->d32.sector_number = req->sector;
		ret_slot->d32.nr_sectors = req->nr_sectors;
		return;
	}
	ret_slot->d64.id = req->id;
	ret_slot->d64.sector_number = req->sector;
	ret_slot->d64.nr_sectors = req->nr_sectors;
}

void frontring_encode_page(const struct blk_segment *seg, unsigned n, void *ret_page)
{
	encode_segments(seg, n, ret_page);
}

void frontring_encode(enum wire_abi abi, const struct blk_request *req, struct wire_slot *ret_slot)
{
	*ret_slot = (struct wire_slot){0};
	if (req->indirect) {
		encode_indirect(abi, req, ret_slot);
		return;
	}
	if (req->op == BLKIF_OP_DISCARD) {
		encode_discard(abi, req, ret_slot);
		return;
	}
	if (abi == WIRE_ABI_32) {
		ret_slot->r32.operation = req->op;
		ret_slot->r32.nr_segments = (uint8_t)req->nr_segments;
		ret_slot->r32.handle = req->handle;
		ret_slot->r32.id = req->id;
		ret_slot->r32.sector_number = req->sector;
		encode_segments(req->seg, WIRE_SEGMENTS_MAX, ret_slot->r32.seg);
		return;
	}
	ret_slot->r64.operation = req->op;
	ret_slot->r64.nr_segments = (uint8_t)req->nr_segments;
	ret_slot->r64.handle = req->handle;
	ret_slot->r64.id = req->id;
	ret_slot->r64.sector_number = req->sector;
	encode_segments(req->seg, WIRE_SEGMENTS_MAX, ret_slot->r64.seg);
}
