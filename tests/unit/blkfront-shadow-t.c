/*
 * The simulated guest believes exactly the responses Linux's blkfront believes: one per request, with
 * its id and its operation. Everything else is a backend that misbehaves (XSA-391, R13).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/blkfront/shadow.h"

#define SLOTS 32

static struct blkfront_shadow shadow;
static struct blkfront_request reqs[SLOTS];

static int setup(void **state)
{
	(void)state;
	return blkfront_shadow_init(&shadow, SLOTS);
}

static int teardown(void **state)
{
	(void)state;
	blkfront_shadow_fini(&shadow);
	blkfront_shadow_fini(&shadow);
	return 0;
}

static void each_request_is_found_once(void **state)
{
	struct blkfront_request *req = NULL;
	uint64_t id[SLOTS];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SLOTS; i++)
			id[i] = blkfront_shadow_add(&shadow, &reqs[i], (uint8_t)(i % 4));
		assert_int_equal(blkfront_shadow_outstanding(&shadow), SLOTS);
		for (unsigned i = 0; i < SLOTS; i++) {
			unsigned k = (i * 13 + round) % SLOTS;

			assert_int_equal(
				blkfront_shadow_match(&shadow, id[k], (uint8_t)(k % 4), &req), 0);
			assert_ptr_equal(req, &reqs[k]);
			/* A second response to it is one to nothing. */
			assert_int_equal(
				blkfront_shadow_match(&shadow, id[k], (uint8_t)(k % 4), &req),
				-ENOENT);
		}
		assert_int_equal(blkfront_shadow_outstanding(&shadow), 0);
	}
}

/* The id of an answered request stays wrong when its slot is in use again. */
static void old_ids_stay_dead(void **state)
{
	struct blkfront_request *req = NULL;
	uint64_t old, new;

	(void)state;
	old = blkfront_shadow_add(&shadow, &reqs[0], BLKIF_OP_READ);
	assert_int_equal(blkfront_shadow_match(&shadow, old, BLKIF_OP_READ, &req), 0);
	new = blkfront_shadow_add(&shadow, &reqs[1], BLKIF_OP_READ);
	assert_int_equal((uint32_t) new, (uint32_t)old);
	assert_int_equal(blkfront_shadow_match(&shadow, old, BLKIF_OP_READ, &req), -ENOENT);
	assert_int_equal(blkfront_shadow_match(&shadow, new, BLKIF_OP_READ, &req), 0);
	assert_ptr_equal(req, &reqs[1]);
}

static void another_operation_is_not_the_answer(void **state)
{
	struct blkfront_request *req = NULL;
	uint64_t id = blkfront_shadow_add(&shadow, &reqs[0], BLKIF_OP_WRITE);

	(void)state;
	for (unsigned op = 0; op < 256; op++)
		if (op != BLKIF_OP_WRITE)
			assert_int_equal(
				blkfront_shadow_match(&shadow, id, (uint8_t)op, &req), -EPROTO);
	assert_null(req);
	assert_int_equal(blkfront_shadow_match(&shadow, id, BLKIF_OP_WRITE, &req), 0);
}

static void unknown_ids_are_unknown(void **state)
{
	static const uint64_t ids[] = {0, 1, SLOTS - 1, SLOTS, UINT32_MAX, 1ull << 32, UINT64_MAX};
	struct blkfront_request *req = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(
			blkfront_shadow_match(&shadow, ids[i], BLKIF_OP_READ, &req), -ENOENT);
	assert_null(req);
}

/* Raw requests bring ids of their own, even the same one several times, as GRUB's always 0. */
static void foreign_ids_may_repeat(void **state)
{
	struct blkfront_request *req = NULL;

	(void)state;
	blkfront_shadow_add_foreign(&shadow, &reqs[0], 0, 0);
	blkfront_shadow_add_foreign(&shadow, &reqs[1], 200, 0);
	blkfront_shadow_add_foreign(&shadow, &reqs[2], 1, UINT64_MAX);
	assert_int_equal(blkfront_shadow_match(&shadow, 0, 200, &req), 0);
	assert_ptr_equal(req, &reqs[1]);
	assert_int_equal(blkfront_shadow_match(&shadow, 0, 200, &req), -EPROTO);
	assert_int_equal(blkfront_shadow_match(&shadow, UINT64_MAX, 1, &req), 0);
	assert_ptr_equal(req, &reqs[2]);
	assert_int_equal(blkfront_shadow_match(&shadow, 0, 0, &req), 0);
	assert_ptr_equal(req, &reqs[0]);
	assert_int_equal(blkfront_shadow_outstanding(&shadow), 0);
}

static void pop_empties_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOTS; i++)
		(void)blkfront_shadow_add(&shadow, &reqs[i], 0);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_non_null(blkfront_shadow_pop(&shadow));
	assert_null(blkfront_shadow_pop(&shadow));
	assert_int_equal(blkfront_shadow_outstanding(&shadow), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_request_is_found_once, setup, teardown),
		cmocka_unit_test_setup_teardown(old_ids_stay_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(
			another_operation_is_not_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_ids_are_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_ids_may_repeat, setup, teardown),
		cmocka_unit_test_setup_teardown(pop_empties_it, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
