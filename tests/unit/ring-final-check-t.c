/*
 * R18: between "there is no work" and sleeping, work may arrive. Whichever side of the final check
 * it arrives on, the sleeper sees it or the other end notifies: never neither.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

static struct ring_pair pair;

static const uint32_t starts[] = {0, 0xfffffff0, 0xffffffff};

#define FOR_EACH_START(start)                                                                      \
	for (const uint32_t *start = starts; start < starts + sizeof(starts) / sizeof(*start);     \
		start++)

static void push_request(uint64_t id, bool expect_event)
{
	ring_pair_put(&pair, id);
	assert_int_equal(frontring_push(&pair.front), expect_event);
}

static void push_response(uint64_t id, bool expect_event)
{
	backring_respond(&pair.back, id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(backring_push(&pair.back), expect_event);
}

/* A backend that has drained the ring once, so that its old threshold is used up. */
static void drained_backend(uint32_t start)
{
	ring_pair_init(&pair, WIRE_ABI_64, 1, start);
	push_request(1, true);
	assert_int_equal(backring_available(&pair.back), 1);
	assert_int_equal(ring_pair_take(&pair), 1);
	assert_int_equal(backring_available(&pair.back), 0);
}

static void a_request_before_the_check_is_seen(void **state)
{
	(void)state;
	FOR_EACH_START(start)
	{
		drained_backend(*start);
		/* The frontend sees the used-up threshold, so it sends no event. */
		push_request(2, false);
		assert_true(backring_final_check(&pair.back));
		assert_int_equal(backring_available(&pair.back), 1);
		assert_int_equal(ring_pair_take(&pair), 2);
		/* The threshold the check left behind lies in the past: still no event. */
		push_request(3, false);
		assert_true(backring_final_check(&pair.back));
	}
}

static void a_request_after_the_check_sends_an_event(void **state)
{
	(void)state;
	FOR_EACH_START(start)
	{
		drained_backend(*start);
		assert_false(backring_final_check(&pair.back));
		push_request(2, true);
		push_request(3, false);
		assert_int_equal(backring_available(&pair.back), 2);
	}
}

/* Woken by something else, the backend withdraws its threshold; the next check sets it again. */
static void a_withdrawn_threshold_sends_no_event(void **state)
{
	(void)state;
	FOR_EACH_START(start)
	{
		drained_backend(*start);
		assert_false(backring_final_check(&pair.back));
		backring_withdraw(&pair.back);
		push_request(2, false);
		push_request(3, false);
		assert_true(backring_final_check(&pair.back));
		assert_int_equal(ring_pair_take(&pair), 2);
		assert_int_equal(ring_pair_take(&pair), 3);
		backring_withdraw(&pair.back);
		push_request(4, false);
		assert_int_equal(backring_available(&pair.back), 1);
		assert_int_equal(ring_pair_take(&pair), 4);
		assert_false(backring_final_check(&pair.back));
		push_request(5, true);
	}
}

/* A frontend with two requests out that has consumed the first response. */
static void drained_frontend(uint32_t start)
{
	struct frontring_response rsp;

	drained_backend(start);
	push_request(2, false);
	assert_int_equal(backring_available(&pair.back), 1);
	assert_int_equal(ring_pair_take(&pair), 2);
	push_response(1, true);
	assert_true(frontring_get(&pair.front, &rsp));
	assert_false(frontring_get(&pair.front, &rsp));
}

static void a_response_before_the_check_is_seen(void **state)
{
	struct frontring_response rsp;

	(void)state;
	FOR_EACH_START(start)
	{
		drained_frontend(*start);
		push_response(2, false);
		assert_true(frontring_final_check(&pair.front));
		assert_true(frontring_get(&pair.front, &rsp));
		assert_int_equal(rsp.id, 2);
	}
}

static void a_response_after_the_check_sends_an_event(void **state)
{
	struct frontring_response rsp;

	(void)state;
	FOR_EACH_START(start)
	{
		drained_frontend(*start);
		assert_false(frontring_final_check(&pair.front));
		push_response(2, true);
		assert_true(frontring_get(&pair.front, &rsp));
		assert_int_equal(rsp.id, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_before_the_check_is_seen),
		cmocka_unit_test(a_request_after_the_check_sends_an_event),
		cmocka_unit_test(a_withdrawn_threshold_sends_no_event),
		cmocka_unit_test(a_response_before_the_check_is_seen),
		cmocka_unit_test(a_response_after_the_check_sends_an_event),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
