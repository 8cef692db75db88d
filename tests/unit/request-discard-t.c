/*
 * R27: a discard's slot in both layouts, and which of them are refused: whatever the numbers in it, nothing beyond the
 * end of the disk, and nothing of a read-only one.
 *
 * The slots are built byte by byte from the table of PROTOCOL.md; the verdicts are compared with an oracle that
 * calculates in 128 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring/frontring.h"
#include "ring/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	OKAY = 0,
	ERROR = -1,
	EOPNOTSUPP_ = -2
};

struct layout {
	enum wire_abi abi;
	unsigned id, sector, nr_sectors;
};

static const struct layout layouts[] = {
	{WIRE_ABI_64, 8, 16, 24},
	{WIRE_ABI_32, 4, 12, 20},
};

static void put_le(uint8_t *bytes, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static void fill_slot(const struct layout *l, uint8_t fill, uint8_t flag, struct wire_slot *slot)
{
	uint8_t *b = slot->bytes;

	memset(b, fill, sizeof(slot->bytes));
	b[0] = 5;
	b[1] = flag;
	put_le(b + 2, 0x1716, 2);
	put_le(b + l->id, 0x0807060504030201, 8);
	put_le(b + l->sector, 0xf8f7f6f5f4f3f2f1, 8);
	put_le(b + l->nr_sectors, 0xa8a7a6a5a4a3a2a1, 8);
}

static void every_field_is_read_from_its_offset(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(layouts); k++)
		for (unsigned flag = 0; flag < 256; flag++) {
			struct wire_slot slot;
			struct blk_request req;

			fill_slot(&layouts[k], 0xee, (uint8_t)flag, &slot);
			memset(&req, 0x77, sizeof(req));
			blk_request_decode(layouts[k].abi, &slot, &req);
			assert_int_equal(req.op, BLKIF_OP_DISCARD);
			assert_false(req.indirect);
			assert_int_equal(req.secure, flag & 1);
			assert_int_equal(req.nr_segments, 0);
			assert_int_equal(req.handle, 0x1716);
			assert_true(req.id == 0x0807060504030201);
			assert_true(req.sector == 0xf8f7f6f5f4f3f2f1);
			assert_true(req.nr_sectors == 0xa8a7a6a5a4a3a2a1);
		}
}

static void encoding_puts_every_field_at_its_offset(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(layouts); k++)
		for (unsigned flag = 0; flag < 2; flag++) {
			struct wire_slot expected, slot;
			struct blk_request req = {0};

			fill_slot(&layouts[k], 0, (uint8_t)flag, &expected);
			blk_request_decode(layouts[k].abi, &expected, &req);
			frontring_encode(layouts[k].abi, &req, &slot);
			assert_memory_equal(slot.bytes, expected.bytes, sizeof(slot.bytes));
		}
}

static int oracle(const struct blk_limits *disk, uint64_t sector, uint64_t nr_sectors)
{
	if (!disk->discard)
		return EOPNOTSUPP_;
	if (disk->read_only)
		return ERROR;
	return (unsigned __int128)sector + nr_sectors > disk->nr_sectors ? ERROR : OKAY;
}

static void every_range(void **state)
{
	static const uint64_t numbers[] = {0, 1, 7, 8, 999, 1000, 1001, UINT32_MAX, 1ull << 32,
		1ull << 54, 1ull << 55, (1ull << 63) - 1, 1ull << 63, UINT64_MAX - 1000,
		UINT64_MAX - 8, UINT64_MAX - 7, UINT64_MAX - 1, UINT64_MAX};
	static const uint64_t sizes[] = {0, 1, 1000, 1ull << 55, UINT64_MAX};

	(void)state;
	for (unsigned config = 0; config < 4; config++)
		for (unsigned size = 0; size < COUNT(sizes); size++)
			for (unsigned i = 0; i < COUNT(numbers); i++)
				for (unsigned k = 0; k < COUNT(numbers); k++) {
					struct blk_limits disk = {.nr_sectors = sizes[size],
						.read_only = config & 1,
						.discard = config & 2,
						.flush = true,
						.barrier = true};
					struct blk_request req = {.op = BLKIF_OP_DISCARD,
						.sector = numbers[i],
						.nr_sectors = numbers[k]};

					assert_int_equal(
						blk_reason_status(blk_request_check(&req, &disk)),
						oracle(&disk, numbers[i], numbers[k]));
					assert_true(req.nr_sectors == numbers[k]);
				}
}

/* Nothing in a slot makes a discard of an indirect request. */
static void an_indirect_one_is_none(void **state)
{
	static const struct blk_limits disk = {
		.nr_sectors = 1000, .discard = true, .max_indirect_segments = 256};
	struct blk_request req = {
		.indirect = true, .op = BLKIF_OP_DISCARD, .nr_segments = 1, .nr_sectors = 8};

	(void)state;
	assert_int_equal(blk_request_check(&req, &disk), BLK_BAD_OP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read_from_its_offset),
		cmocka_unit_test(encoding_puts_every_field_at_its_offset),
		cmocka_unit_test(every_range),
		cmocka_unit_test(an_indirect_one_is_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
