/*
 * R17: a push notifies exactly when the peer's event threshold lies in what the push published:
 * old < event <= new, whatever the absolute values are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

static const uint32_t starts[] = {0, 5, 0x7ffffff8, 0xfffffff0, 0xffffffff};

/* The threshold relative to the old index: everything near, and the far side of the circle. */
#define NEAR       40
#define FAR_COUNT  3
#define NR_OFFSETS (2 * NEAR + 1 + FAR_COUNT)

static int64_t offset_at(unsigned i)
{
	static const int64_t far[FAR_COUNT] = {INT32_MIN, INT32_MAX, INT32_MAX - 1};

	return i < FAR_COUNT ? far[i] : (int64_t)i - FAR_COUNT - NEAR;
}

static bool wants_event(int64_t offset, unsigned published)
{
	return offset > 0 && offset <= (int64_t)published;
}

static void responses(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (unsigned n = 0; n <= 32; n++)
			for (unsigned o = 0; o < NR_OFFSETS; o++) {
				ring_pair_init(&pair, WIRE_ABI_64, 1, starts[s]);
				for (unsigned i = 0; i < n; i++)
					ring_pair_put(&pair, i);
				ring_pair_push_requests(&pair);
				assert_int_equal(backring_available(&pair.back), n);
				for (unsigned i = 0; i < n; i++)
					backring_respond(&pair.back, ring_pair_take(&pair),
						BLKIF_OP_READ, BLKIF_RSP_OKAY);
				pair.back.shared->rsp_event = starts[s] + (uint32_t)offset_at(o);
				assert_int_equal(
					backring_push(&pair.back), wants_event(offset_at(o), n));
				assert_int_equal(pair.back.shared->rsp_prod, starts[s] + n);
			}
}

static void requests(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (unsigned n = 0; n <= 32; n++)
			for (unsigned o = 0; o < NR_OFFSETS; o++) {
				ring_pair_init(&pair, WIRE_ABI_32, 1, starts[s]);
				for (unsigned i = 0; i < n; i++)
					ring_pair_put(&pair, i);
				pair.front.shared->req_event = starts[s] + (uint32_t)offset_at(o);
				assert_int_equal(
					frontring_push(&pair.front), wants_event(offset_at(o), n));
				assert_int_equal(pair.front.shared->req_prod, starts[s] + n);
			}
}

/* One event per threshold: a second push without a new one is silent. */
static void an_event_is_sent_once(void **state)
{
	(void)state;
	ring_pair_init(&pair, WIRE_ABI_64, 1, 0xfffffffe);
	for (unsigned i = 0; i < 4; i++) {
		ring_pair_put(&pair, i);
		assert_int_equal(frontring_push(&pair.front), i == 0);
	}
	assert_int_equal(backring_available(&pair.back), 4);
	for (unsigned i = 0; i < 4; i++) {
		backring_respond(&pair.back, ring_pair_take(&pair), BLKIF_OP_READ, BLKIF_RSP_OKAY);
		assert_int_equal(backring_push(&pair.back), i == 0);
	}
}

/* A push with nothing to publish neither notifies nor touches the page. */
static void an_empty_push_is_silent(void **state)
{
	(void)state;
	ring_pair_init(&pair, WIRE_ABI_64, 1, 0);
	pair.back.shared->rsp_event = 0;
	pair.back.shared->rsp_prod = 77;
	assert_false(backring_push(&pair.back));
	assert_int_equal(pair.back.shared->rsp_prod, 77);
	pair.front.shared->req_event = 0;
	assert_false(frontring_push(&pair.front));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses),
		cmocka_unit_test(requests),
		cmocka_unit_test(an_event_is_sent_once),
		cmocka_unit_test(an_empty_push_is_silent),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
