/*
 * R13 (XSA-216): a response is exactly these bytes. Its padding is zero even where the slot was
 * dirty, and nothing is written beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

struct expected {
	enum wire_abi abi;
	unsigned slot_size, response_size;
	uint8_t bytes[16];
};

/* id 0x0807060504030201, operation 0xab, status -5 (0xfffb) */
static const struct expected expected[] = {
	{WIRE_ABI_64, 112, 16, {1, 2, 3, 4, 5, 6, 7, 8, 0xab, 0, 0xfb, 0xff, 0, 0, 0, 0}},
	{WIRE_ABI_32, 108, 12, {1, 2, 3, 4, 5, 6, 7, 8, 0xab, 0, 0xfb, 0xff}},
};

#define FOR_EACH_ABI(e)                                                                            \
	for (const struct expected *e = expected; e < expected + sizeof(expected) / sizeof(*e); e++)

/* The whole ring, dirty, with all its requests taken. */
static void dirty_ring(enum wire_abi abi, uint32_t start)
{
	ring_pair_init(&pair, abi, 1, start);
	memset(pair.pages + 64, 0xff, sizeof(pair.pages) - 64);
	pair.front.shared->req_prod = start + 32;
	assert_int_equal(backring_available(&pair.back), 32);
	for (unsigned i = 0; i < 32; i++)
		(void)ring_pair_take(&pair);
}

static void each_slot_gets_its_bytes_and_no_more(void **state)
{
	(void)state;
	FOR_EACH_ABI(e)
	{
		static uint8_t want[sizeof(pair.pages)];

		/* The 3 marks a start in the middle: slot numbers are index modulo 32. */
		dirty_ring(e->abi, 0xfffffff3);
		memcpy(want, pair.pages, sizeof(want));
		for (unsigned i = 0; i < 32; i++) {
			unsigned slot = (0xfffffff3u + i) % 32;

			backring_respond(&pair.back, 0x0807060504030201, 0xab, -5);
			memcpy(want + 64 + slot * e->slot_size, e->bytes, e->response_size);
			assert_memory_equal(pair.pages, want, sizeof(want));
		}
		/* Only now does anything in the header change, and only rsp_prod. */
		ring_pair_push_responses(&pair);
		((struct wire_ring_header *)want)->rsp_prod = 0xfffffff3u + 32;
		assert_memory_equal(pair.pages, want, sizeof(want));
	}
}

static void every_status_and_operation_is_echoed(void **state)
{
	static const int16_t statuses[] = {0, -1, -2, -5, 1, INT16_MIN, INT16_MAX};

	(void)state;
	FOR_EACH_ABI(e)
	{
		for (unsigned op = 0; op < 256; op++)
			for (unsigned s = 0; s < sizeof(statuses) / sizeof(statuses[0]); s++) {
				struct frontring_response rsp;

				dirty_ring(e->abi, 0);
				backring_respond(
					&pair.back, UINT64_MAX - op, (uint8_t)op, statuses[s]);
				ring_pair_push_responses(&pair);
				assert_true(frontring_get(&pair.front, &rsp));
				assert_true(rsp.id == UINT64_MAX - op);
				assert_int_equal(rsp.op, op);
				assert_int_equal(rsp.status, statuses[s]);
				assert_true(rsp.padding_is_zero);
				assert_false(frontring_get(&pair.front, &rsp));
			}
	}
}

/* The check the other tests rely on does see dirt, in every padding byte. */
static void dirty_padding_is_noticed(void **state)
{
	static const unsigned padding64[] = {9, 12, 13, 14, 15};
	struct frontring_response rsp;

	(void)state;
	for (unsigned i = 0; i < sizeof(padding64) / sizeof(padding64[0]); i++) {
		dirty_ring(WIRE_ABI_64, 0);
		backring_respond(&pair.back, 1, 0, 0);
		pair.pages[64 + padding64[i]] = 1;
		ring_pair_push_responses(&pair);
		assert_true(frontring_get(&pair.front, &rsp));
		assert_false(rsp.padding_is_zero);
	}
	dirty_ring(WIRE_ABI_32, 0);
	backring_respond(&pair.back, 1, 0, 0);
	pair.pages[64 + 9] = 1;
	ring_pair_push_responses(&pair);
	assert_true(frontring_get(&pair.front, &rsp));
	assert_false(rsp.padding_is_zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_slot_gets_its_bytes_and_no_more),
		cmocka_unit_test(every_status_and_operation_is_echoed),
		cmocka_unit_test(dirty_padding_is_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
