#include "ring/backring.h"

#include <string.h>

#include "ring/barrier.h"

void backring_init(struct backring *ring, enum wire_abi abi, void *shared, unsigned nr_pages)
{
	*ring = (struct backring){
		.shared = shared,
		.abi = abi,
		.nr_slots = wire_nr_slots(abi, nr_pages),
	};
}

bool backring_is_fresh(const struct backring *ring)
{
	return shared_load(&ring->shared->rsp_prod) == 0;
}

static void *slot_address(const struct backring *ring, uint32_t index)
{
	uint8_t *slots = (uint8_t *)ring->shared + sizeof(struct wire_ring_header);

	return slots + (size_t)(index & (ring->nr_slots - 1)) * wire_slot_size(ring->abi);
}

/*
 * The producer may be ahead of the responses by at most one ring: anything else, wrap-around
 * backwards included, is a broken frontend (CVE-2010-4247). A request that was taken must not be
 * taken again, so the producer may not fall behind the consumer either.
 */
unsigned backring_available(struct backring *ring)
{
	uint32_t req_prod;

	if (ring->broken)
		return 0;
	/* Read the producer index, then (in backring_take) the slots it covers. */
	req_prod = shared_load_acquire(&ring->shared->req_prod);
	if (req_prod - ring->rsp_prod_pvt > ring->nr_slots ||
		req_prod - ring->req_cons > ring->nr_slots) {
		ring->broken = true;
		return 0;
	}
	return req_prod - ring->req_cons;
}

bool backring_has_requests(const struct backring *ring)
{
	return !ring->broken && shared_load(&ring->shared->req_prod) != ring->req_cons;
}

void backring_take(struct backring *ring, struct wire_slot *ret_slot)
{
	/* The slot's bytes are read here and nowhere else; everything later looks at *ret_slot. */
	shared_copy(ret_slot->bytes, slot_address(ring, ring->req_cons), wire_slot_size(ring->abi));
	ring->req_cons++;
}

void backring_respond(struct backring *ring, uint64_t id, uint8_t op, int16_t status)
{
	void *slot = slot_address(ring, ring->rsp_prod_pvt);

	if (ring->broken)
		return;
	if (ring->abi == WIRE_ABI_32) {
		struct wire_response_32 rsp = {.id = id, .operation = op, .status = status};

		memcpy(slot, &rsp, sizeof(rsp));
	} else {
		struct wire_response_64 rsp = {.id = id, .operation = op, .status = status};

		memcpy(slot, &rsp, sizeof(rsp));
	}
	ring->rsp_prod_pvt++;
}

bool backring_push(struct backring *ring)
{
	uint32_t old;
	uint32_t new = ring->rsp_prod_pvt;
	uint32_t rsp_event;

	if (ring->broken)
		return false;
	/* Only we write rsp_prod in good faith, but the page is shared: trust the value we keep. */
	old = ring->rsp_prod_pub;
	if (old == new)
		return false;
	/* Write the responses, then publish the index that covers them. */
	shared_store_release(&ring->shared->rsp_prod, new);
	ring->rsp_prod_pub = new;
	/* Publish the index, then look whether the frontend sleeps. */
	shared_full_barrier();
	rsp_event = shared_load(&ring->shared->rsp_event);
	return new - rsp_event < new - old;
}

void backring_withdraw(struct backring *ring)
{
	/* A frontend that does not see it in time sends an event that is not needed. */
	if (!ring->broken)
		shared_store(&ring->shared->req_event, ring->req_cons);
}

bool backring_final_check(struct backring *ring)
{
	if (ring->broken)
		return false;
	shared_store(&ring->shared->req_event, ring->req_cons + 1);
	/* Ask for an event, then look for a request that came before the frontend saw that. */
	shared_full_barrier();
	return backring_available(ring) > 0;
}
