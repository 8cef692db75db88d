/*
 * R4: both ends find the same number of slots in a ring of so many pages, and none of them crosses
 * the end. Xen's ring.h is the reference for the native layout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ring/wire.h"

static void slots_per_ring(void **state)
{
	/* Both slot sizes give the same counts up to 32 pages: PROTOCOL.md says so to frontends. */
	static const struct {
		unsigned nr_pages, nr_slots;
	} table[] = {{1, 32}, {2, 64}, {4, 128}, {8, 256}, {16, 512}, {32, 1024}};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(wire_nr_slots(WIRE_ABI_64, table[i].nr_pages), table[i].nr_slots);
		assert_int_equal(wire_nr_slots(WIRE_ABI_32, table[i].nr_pages), table[i].nr_slots);
	}
}

static void all_slots_lie_inside_the_pages(void **state)
{
	(void)state;
	for (unsigned abi = 0; abi < 2; abi++)
		for (unsigned nr_pages = 1; nr_pages <= 64; nr_pages++) {
			unsigned n = wire_nr_slots(abi, nr_pages);
			size_t size = nr_pages * (size_t)WIRE_PAGE_SIZE;

			assert_int_equal(n & (n - 1), 0);
			assert_true(64 + n * wire_slot_size(abi) <= size);
			assert_true(64 + 2 * n * wire_slot_size(abi) > size);
		}
}

static void xen_agrees(void **state)
{
	(void)state;
	for (unsigned nr_pages = 1; nr_pages <= 32; nr_pages *= 2)
		assert_int_equal(wire_nr_slots(WIRE_ABI_NATIVE, nr_pages),
			__CONST_RING_SIZE(blkif, nr_pages * (size_t)WIRE_PAGE_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_per_ring),
		cmocka_unit_test(all_slots_lie_inside_the_pages),
		cmocka_unit_test(xen_agrees),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
