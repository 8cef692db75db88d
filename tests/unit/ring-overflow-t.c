/*
 * R16 (CVE-2010-4247): a producer index that cannot be right breaks the ring, at once and for good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

/* A ring where @taken requests were taken and not yet answered. */
static void start(enum wire_abi abi, uint32_t start, unsigned taken)
{
	ring_pair_init(&pair, abi, 1, start);
	for (unsigned i = 0; i < taken; i++)
		ring_pair_put(&pair, i);
	ring_pair_push_requests(&pair);
	assert_int_equal(backring_available(&pair.back), taken);
	for (unsigned i = 0; i < taken; i++)
		(void)ring_pair_take(&pair);
}

static void assert_stays_broken(void)
{
	static uint8_t before[sizeof(pair.pages)];

	assert_true(pair.back.broken);
	/* The guest repents: an index that would be fine, and an event request. Nothing helps. */
	pair.front.shared->req_prod = pair.back.req_cons + 1;
	pair.front.shared->rsp_event = pair.back.rsp_prod_pvt + 1;
	memcpy(before, pair.pages, sizeof(before));
	assert_int_equal(backring_available(&pair.back), 0);
	assert_false(backring_has_requests(&pair.back));
	assert_false(backring_final_check(&pair.back));
	backring_respond(&pair.back, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_false(backring_push(&pair.back));
	assert_true(pair.back.broken);
	assert_memory_equal(before, pair.pages, sizeof(before));
}

/* Every distance from the last response that matters, for every number of requests in flight. */
static void impossible_indexes_break_the_ring(void **state)
{
	static const uint32_t distances[] = {0, 1, 31, 32, 33, 34, 64, 0x7fffffff, 0x80000000,
		0x80000001, 0xffffffdf, 0xffffffe0, 0xfffffffe, 0xffffffff};
	static const uint32_t starts[] = {0, 0xfffffff0};

	(void)state;
	for (unsigned s = 0; s < 2; s++)
		for (unsigned taken = 0; taken <= 32; taken++)
			for (unsigned d = 0; d < sizeof(distances) / sizeof(distances[0]); d++) {
				uint32_t distance = distances[d];

				start(taken & 1 ? WIRE_ABI_32 : WIRE_ABI_64, starts[s], taken);
				pair.front.shared->req_prod = starts[s] + distance;
				if (distance >= taken && distance <= 32) {
					assert_int_equal(
						backring_available(&pair.back), distance - taken);
					assert_false(pair.back.broken);
					continue;
				}
				assert_int_equal(backring_available(&pair.back), 0);
				assert_stays_broken();
			}
}

/* The last look before sleeping is a look like any other. */
static void the_final_check_finds_it_too(void **state)
{
	(void)state;
	start(WIRE_ABI_64, 0, 3);
	pair.front.shared->req_prod = 33;
	assert_false(backring_final_check(&pair.back));
	assert_stays_broken();
}

/* Responses make room: what is an overflow before them is a full ring after them. */
static void responses_make_room(void **state)
{
	(void)state;
	start(WIRE_ABI_64, 0xfffffff0, 5);
	for (unsigned i = 0; i < 5; i++)
		backring_respond(&pair.back, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	pair.front.shared->req_prod = 0xfffffff0 + 5 + 32;
	assert_int_equal(backring_available(&pair.back), 32);
	pair.front.shared->req_prod++;
	assert_int_equal(backring_available(&pair.back), 0);
	assert_stays_broken();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_indexes_break_the_ring),
		cmocka_unit_test(the_final_check_finds_it_too),
		cmocka_unit_test(responses_make_room),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
