/*
 * R15: indexes count all requests ever made, modulo 2^32. A ring works across the wrap as anywhere
 * else, empty and full are told apart, and requests keep their order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

static const uint32_t starts[] = {0, 1, 0x7ffffff0, 0x80000000, 0xfffffff0, 0xffffffff};

/* Fill the ring, see that it is full for both ends, empty it, see that it is empty for both. */
static void fill_and_drain(uint64_t *next_id)
{
	unsigned n = pair.front.nr_slots;
	struct frontring_response rsp;
	uint64_t id = *next_id;

	assert_int_equal(frontring_free(&pair.front), n);
	assert_int_equal(backring_available(&pair.back), 0);
	for (unsigned i = 0; i < n; i++)
		ring_pair_put(&pair, id + i);
	assert_int_equal(frontring_free(&pair.front), 0);
	/* Nothing is visible before it is pushed. */
	assert_int_equal(backring_available(&pair.back), 0);
	ring_pair_push_requests(&pair);
	assert_int_equal(backring_available(&pair.back), n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(ring_pair_take(&pair), id + i);
	assert_int_equal(backring_available(&pair.back), 0);
	assert_int_equal(backring_outstanding(&pair.back), n);
	for (unsigned i = 0; i < n; i++)
		backring_respond(&pair.back, id + i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(backring_outstanding(&pair.back), 0);
	assert_false(frontring_get(&pair.front, &rsp));
	ring_pair_push_responses(&pair);
	for (unsigned i = 0; i < n; i++) {
		assert_true(frontring_get(&pair.front, &rsp));
		assert_int_equal(rsp.id, id + i);
	}
	assert_false(frontring_get(&pair.front, &rsp));
	*next_id = id + n;
}

static void full_rings_across_the_wrap(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (unsigned abi = 0; abi < 2; abi++)
			for (unsigned nr_pages = 1; nr_pages <= RING_PAIR_PAGES; nr_pages *= 2) {
				uint64_t id = 0;

				ring_pair_init(&pair, abi, nr_pages, starts[s]);
				for (unsigned round = 0; round < 4; round++)
					fill_and_drain(&id);
				assert_false(pair.back.broken);
				assert_int_equal(
					pair.back.req_cons, starts[s] + 4 * pair.back.nr_slots);
			}
}

/* One at a time, so that the wrap falls between request and response, push and take. */
static void single_requests_across_the_wrap(void **state)
{
	struct frontring_response rsp;

	(void)state;
	for (unsigned abi = 0; abi < 2; abi++) {
		ring_pair_init(&pair, abi, 1, 0xffffffe0);
		for (uint64_t id = 0; id < 100; id++) {
			ring_pair_put(&pair, id);
			assert_true(frontring_push(&pair.front));
			assert_int_equal(backring_available(&pair.back), 1);
			assert_int_equal(ring_pair_take(&pair), id);
			assert_false(backring_final_check(&pair.back));
			backring_respond(&pair.back, id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
			assert_true(backring_push(&pair.back));
			assert_true(frontring_get(&pair.front, &rsp));
			assert_int_equal(rsp.id, id);
			assert_false(frontring_final_check(&pair.front));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_rings_across_the_wrap),
		cmocka_unit_test(single_requests_across_the_wrap),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
