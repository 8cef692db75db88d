/*
 * R6 (XSA-155): what a guest does to a slot after it was taken changes nothing, and the producer
 * index is read once per look: a guest that moves it meanwhile gains nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

static void a_taken_request_cannot_be_changed(void **state)
{
	(void)state;
	for (unsigned abi = 0; abi < 2; abi++) {
		struct wire_slot slot, before;

		ring_pair_init(&pair, abi, 1, 0);
		ring_pair_put(&pair, 7);
		ring_pair_push_requests(&pair);
		assert_int_equal(backring_available(&pair.back), 1);
		backring_take(&pair.back, &slot);
		before = slot;
		memset(pair.pages + 64, 0xff, WIRE_PAGE_SIZE - 64);
		assert_memory_equal(slot.bytes, before.bytes, wire_slot_size(abi));
	}
}

static void a_slot_is_copied_to_its_last_byte(void **state)
{
	(void)state;
	for (unsigned abi = 0; abi < 2; abi++) {
		struct wire_slot slot;

		ring_pair_init(&pair, abi, 1, 31);
		for (unsigned i = 0; i < WIRE_PAGE_SIZE - 64; i++)
			pair.pages[64 + i] = (uint8_t)(i * 7 + i / 256);
		pair.front.shared->req_prod = 32;
		assert_int_equal(backring_available(&pair.back), 1);
		backring_take(&pair.back, &slot);
		assert_memory_equal(slot.bytes, pair.pages + 64 + 31 * wire_slot_size(abi),
			wire_slot_size(abi));
	}
}

static void moving_the_index_meanwhile_gains_nothing(void **state)
{
	(void)state;
	ring_pair_init(&pair, WIRE_ABI_64, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		ring_pair_put(&pair, i);
	ring_pair_push_requests(&pair);
	assert_int_equal(backring_available(&pair.back), 3);
	pair.front.shared->req_prod = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ring_pair_take(&pair), i);
	/* The next look finds the producer behind what was taken. */
	assert_int_equal(backring_available(&pair.back), 0);
	assert_true(pair.back.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taken_request_cannot_be_changed),
		cmocka_unit_test(a_slot_is_copied_to_its_last_byte),
		cmocka_unit_test(moving_the_index_meanwhile_gains_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
