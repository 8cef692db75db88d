/*
 * The random guest's own parts: its model of a disk, and a script whose good requests are good and whose bad ones are bad, on any
 * disk, by the worker's own judgement, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guest_model.h"
#include "tests/lib/guest_script.h"

#define SECTOR WIRE_SECTOR_SIZE

static void test_model(void **state)
{
	struct guest_model model;
	uint8_t data[3 * SECTOR];

	(void)state;
	memset(data, 7, sizeof(data));
	assert_int_equal(guest_model_init(&model, 8), 0);
	guest_model_write(&model, 2, 3, data);
	assert_int_equal(guest_model_compare(&model, 2, 3, data), 3 * SECTOR);
	/* One byte that is another, and its neighbours on the disk. */
	data[700] = 6;
	assert_int_equal(guest_model_compare(&model, 2, 3, data), 700);
	memset(data, 0, sizeof(data));
	assert_int_equal(guest_model_compare(&model, 1, 1, data), SECTOR);
	assert_int_equal(guest_model_compare(&model, 5, 3, data), 3 * SECTOR);
	assert_int_equal(guest_model_compare(&model, 4, 1, data), 0);
	guest_model_zero(&model, 4, 1, false);
	assert_int_equal(guest_model_compare(&model, 4, 1, data), SECTOR);
	guest_model_fini(&model);
}

/* In doubt: zeros or what was there, by sector; what was seen then stays. */
static void test_doubt(void **state)
{
	struct guest_model model;
	uint8_t old[SECTOR], zeros[SECTOR] = {0}, half[SECTOR] = {0};

	(void)state;
	memset(old, 7, sizeof(old));
	memset(half, 7, sizeof(half) / 2);
	assert_int_equal(guest_model_init(&model, 4), 0);
	for (unsigned i = 0; i < 4; i++)
		guest_model_write(&model, i, 1, old);
	guest_model_zero(&model, 0, 3, true);
	assert_int_equal(guest_model_compare(&model, 0, 1, half), SECTOR / 2);
	assert_int_equal(guest_model_compare(&model, 0, 1, old), SECTOR);
	assert_int_equal(guest_model_compare(&model, 0, 1, zeros), 0);
	assert_int_equal(guest_model_compare(&model, 1, 1, zeros), SECTOR);
	assert_int_equal(guest_model_compare(&model, 1, 1, old), 0);
	guest_model_write(&model, 2, 1, old);
	assert_int_equal(guest_model_compare(&model, 2, 1, zeros), 0);
	assert_int_equal(guest_model_compare(&model, 3, 1, zeros), 0);
	guest_model_fini(&model);
}

/* What the worker makes of it, but for grants, which only Xen can judge. */
static int16_t judged(const struct guest_step *step, const struct guest_disk *disk)
{
	struct blk_request req = {
		.sector = step->sector,
		.nr_sectors = step->nr_sectors,
		.nr_segments = step->nr_segments,
		.op = step->op,
		.indirect = step->indirect,
	};
	const struct blk_limits limits = {
		.nr_sectors = disk->nr_sectors,
		.read_only = disk->read_only,
		.flush = disk->flush,
		.barrier = disk->barrier,
		.discard = disk->discard,
		.max_indirect_segments = disk->indirect ? BLK_SEGMENTS_MAX : 0,
	};
	int16_t status;

	memcpy(req.seg, step->seg, sizeof(req.seg));
	status = blk_reason_status(blk_request_check(&req, &limits));
	if (status == BLKIF_RSP_OKAY &&
		(step->kind == GUEST_BAD_GRANT || step->kind == GUEST_BAD_DESCRIPTOR))
		return BLKIF_RSP_ERROR;
	return status;
}

static struct guest_disk any_disk(struct dice *dice)
{
	struct guest_disk disk = {
		.nr_sectors = 2048 + dice_below(dice, 10000),
		.read_only = dice_one_in(dice, 4),
		.flush = dice_one_in(dice, 2),
		.barrier = dice_one_in(dice, 2),
		.discard = dice_one_in(dice, 2),
		.indirect = dice_one_in(dice, 2),
		.align = 1u << dice_below(dice, 4),
		.discard_align = 1u << dice_below(dice, 4),
		.for_qdisk = dice_one_in(dice, 4),
	};

	disk.discard &= !disk.read_only;
	disk.max_segments = disk.indirect ? dice_between(dice, 11, 256) : 11;
	return disk;
}

static void test_statuses(void **state)
{
	struct dice dice = {1};
	unsigned seen[GUEST_KIND_COUNT] = {0};

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct guest_disk disk = any_disk(&dice);
		struct guest_step step;

		for (uint64_t nr = 0; nr < 100; nr++) {
			guest_script_next(&dice, &disk, nr, &step);
			assert_int_equal(guest_step_status(&step, &disk), judged(&step, &disk));
			assert_true(guest_step_is_bad(&step) || step.nr_sectors == 0 ||
				    step.sector + step.nr_sectors <= disk.nr_sectors);
			seen[step.kind]++;
		}
	}
	for (unsigned kind = 0; kind < GUEST_KIND_COUNT; kind++)
		assert_true(seen[kind] > 0);
}

static void test_repeats(void **state)
{
	struct dice first = {42}, second = {42};
	struct guest_disk disk = any_disk(&(struct dice){7});
	struct guest_step a, b;

	(void)state;
	for (uint64_t nr = 0; nr < 1000; nr++) {
		guest_script_next(&first, &disk, nr, &a);
		guest_script_next(&second, &disk, nr, &b);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
