/*
 * XSA-391, the frontend's half of R16: responses to requests that were never made are noticed before
 * one of them is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

static void only_possible_producer_indexes_are_sane(void **state)
{
	static const uint32_t starts[] = {0, 0xfffffff0, 0xffffffff};

	(void)state;
	for (unsigned s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (unsigned sent = 0; sent <= 32; sent++)
			for (int64_t offset = -40; offset <= 40; offset++) {
				ring_pair_init(&pair, WIRE_ABI_64, 1, starts[s]);
				for (unsigned i = 0; i < sent; i++)
					ring_pair_put(&pair, i);
				ring_pair_push_requests(&pair);
				pair.front.shared->rsp_prod = starts[s] + (uint32_t)offset;
				assert_int_equal(frontring_is_sane(&pair.front),
					offset >= 0 && offset <= sent);
			}
}

/* A request that was written but not pushed cannot have a response. */
static void unpushed_requests_do_not_count(void **state)
{
	(void)state;
	ring_pair_init(&pair, WIRE_ABI_32, 1, 0);
	ring_pair_put(&pair, 1);
	pair.front.shared->rsp_prod = 1;
	assert_false(frontring_is_sane(&pair.front));
	ring_pair_push_requests(&pair);
	assert_true(frontring_is_sane(&pair.front));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_possible_producer_indexes_are_sane),
		cmocka_unit_test(unpushed_requests_do_not_count),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
