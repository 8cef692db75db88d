/*
 * Both ends of one ring in private memory, for unit tests.
 *
 * One thread, unless a test says otherwise. The pages are static; nothing needs to be freed.
 */
#ifndef TESTS_UNIT_RING_PAIR_H
#define TESTS_UNIT_RING_PAIR_H

#include "ring/backring.h"
#include "ring/frontring.h"

#define RING_PAIR_PAGES 16

struct ring_pair {
	struct frontring front;
	struct backring back;
	uint8_t pages[RING_PAIR_PAGES * WIRE_PAGE_SIZE] __attribute__((aligned(WIRE_PAGE_SIZE)));
};

/* A connected, idle ring whose indexes have already counted up to @start. */
static inline void ring_pair_init(
	struct ring_pair *pair, enum wire_abi abi, unsigned nr_pages, uint32_t start)
{
	frontring_init(&pair->front, abi, pair->pages, nr_pages);
	backring_init(&pair->back, abi, pair->pages, nr_pages);
	pair->front.req_prod_pvt = pair->front.req_prod_pub = pair->front.rsp_cons = start;
	pair->back.req_cons = pair->back.rsp_prod_pvt = pair->back.rsp_prod_pub = start;
	pair->front.shared->req_prod = pair->front.shared->rsp_prod = start;
	pair->front.shared->req_event = pair->front.shared->rsp_event = start + 1;
}

/* Put one request that differs from others only in its id. */
static inline void ring_pair_put(struct ring_pair *pair, uint64_t id)
{
	struct blk_request req = {.id = id, .op = BLKIF_OP_READ, .nr_segments = 1};
	struct wire_slot slot;

	frontring_encode(pair->front.abi, &req, &slot);
	frontring_put(&pair->front, &slot);
}

/* Publish what was put or answered, where a test does not care about the notification. */
static inline void ring_pair_push_requests(struct ring_pair *pair)
{
	bool notify = frontring_push(&pair->front);

	(void)notify;
}

static inline void ring_pair_push_responses(struct ring_pair *pair)
{
	bool notify = backring_push(&pair->back);

	(void)notify;
}

/* Take one request and return its id. The caller knows that there is one. */
static inline uint64_t ring_pair_take(struct ring_pair *pair)
{
	struct blk_request req;
	struct wire_slot slot;

	backring_take(&pair->back, &slot);
	blk_request_decode(pair->back.abi, &slot, &req);
	return req.id;
}

#endif
