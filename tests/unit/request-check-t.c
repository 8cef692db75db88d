/*
 * R5, R8-R12: which requests are refused and with what status on the wire.
 *
 * Requests are made as bytes, decoded and checked; the verdict is compared with an oracle that
 * reads the same bytes by the offset tables of PROTOCOL.md and calculates in 128 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DISK         1000u /* sectors of the disk in these tests */

#define LIMITS(size, ro, fl, ba)                                                                   \
	{                                                                                          \
		.nr_sectors = (size), .read_only = (ro), .flush = (fl), .barrier = (ba)            \
	}

enum {
	OKAY = 0,
	ERROR = -1,
	EOPNOTSUPP_ = -2
};

struct verdict {
	int status;
	unsigned nr_sectors; /* meaningful when OKAY */
};

static uint64_t get_le(const uint8_t *bytes, unsigned n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | bytes[n];
	return value;
}

/* The rules, written down a second time in the order of PROTOCOL.md. */
static struct verdict oracle(const uint8_t *slot, enum wire_abi abi, const struct blk_limits *disk)
{
	const uint8_t *seg = slot + (abi == WIRE_ABI_32 ? 20 : 24);
	unsigned __int128 sector = get_le(slot + (abi == WIRE_ABI_32 ? 12 : 16), 8);
	unsigned op = slot[0];
	unsigned nr_segments = slot[1];
	unsigned nr_sectors = 0;

	/* R8: 0 read, 1 write, 2 barrier, 3 flush. */
	if (op > 3 || (op == 2 && !disk->barrier) || (op == 3 && !disk->flush))
		return (struct verdict){EOPNOTSUPP_, 0};
	/* R9 */
	if (nr_segments > 11)
		return (struct verdict){ERROR, 0};
	if (nr_segments == 0)
		return (struct verdict){op >= 2 ? OKAY : ERROR, 0};
	/* R10 */
	for (unsigned i = 0; i < nr_segments; i++) {
		int first = seg[8 * i + 4];
		int last = seg[8 * i + 5];

		if (first > 7 || last > 7 || last < first)
			return (struct verdict){ERROR, 0};
		nr_sectors += (unsigned)(last - first + 1);
	}
	/* R11, R12 */
	if (sector + nr_sectors > disk->nr_sectors)
		return (struct verdict){ERROR, 0};
	if (op != 0 && disk->read_only)
		return (struct verdict){ERROR, 0};
	return (struct verdict){OKAY, nr_sectors};
}

static void put_le(uint8_t *bytes, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static void make_slot(struct wire_slot *slot, enum wire_abi abi, unsigned op, unsigned nr_segments,
	uint64_t sector)
{
	uint8_t *seg = slot->bytes + (abi == WIRE_ABI_32 ? 20 : 24);

	memset(slot, 0, sizeof(*slot));
	slot->bytes[0] = (uint8_t)op;
	slot->bytes[1] = (uint8_t)nr_segments;
	put_le(slot->bytes + (abi == WIRE_ABI_32 ? 12 : 16), sector, 8);
	for (unsigned i = 0; i < 11; i++)
		seg[8 * i + 5] = 7;
}

static void set_segment(
	struct wire_slot *slot, enum wire_abi abi, unsigned i, unsigned first, unsigned last)
{
	uint8_t *seg = slot->bytes + (abi == WIRE_ABI_32 ? 20 : 24);

	seg[8 * i + 4] = (uint8_t)first;
	seg[8 * i + 5] = (uint8_t)last;
}

static struct verdict judge(
	const struct wire_slot *slot, enum wire_abi abi, const struct blk_limits *disk)
{
	struct blk_request req;
	enum blk_reason reason;

	blk_request_decode(abi, slot, &req);
	reason = blk_request_check(&req, disk);
	return (struct verdict){blk_reason_status(reason), req.nr_sectors};
}

static void compare(const struct wire_slot *slot, enum wire_abi abi, const struct blk_limits *disk)
{
	struct verdict want = oracle(slot->bytes, abi, disk);
	struct verdict got = judge(slot, abi, disk);

	if (got.status == want.status && (want.status != OKAY || got.nr_sectors == want.nr_sectors))
		return;
	fail_msg("abi %d op %u segments %u disk %llu%s%s%s: status %d, %u sectors, not %d, %u", abi,
		slot->bytes[0], slot->bytes[1], (unsigned long long)disk->nr_sectors,
		disk->read_only ? " ro" : "", disk->flush ? " flush" : "",
		disk->barrier ? " barrier" : "", got.status, got.nr_sectors, want.status,
		want.nr_sectors);
}

static const unsigned segment_counts[] = {0, 1, 2, 10, 11, 12, 13, 128, 255};

static const uint64_t sectors[] = {
	0, 1, DISK - 89, DISK - 88,    /* eleven whole pages end here */
	DISK - 87, DISK - 9, DISK - 8, /* one whole page ends here */
	DISK - 7, DISK - 1, DISK, DISK + 1, UINT32_MAX, 1ull << 32,
	1ull << 54, /* the byte offset would wrap */
	(1ull << 55) - 1, 1ull << 63, UINT64_MAX - 88, UINT64_MAX - 87, UINT64_MAX - 8,
	UINT64_MAX - 7,             /* sector + 8 wraps to 0 */
	UINT64_MAX - 1, UINT64_MAX, /* what old frontends leave in an empty barrier */
};

static const uint64_t disk_sizes[] = {0, 1, 7, 8, 88, DISK, 1ull << 63, UINT64_MAX};

static void every_operation_count_and_sector(void **state)
{
	(void)state;
	for (unsigned config = 0; config < 16; config++)
		for (unsigned op = 0; op < 256; op++)
			for (unsigned n = 0; n < COUNT(segment_counts); n++)
				for (unsigned s = 0; s < COUNT(sectors); s++) {
					enum wire_abi abi = config & 8 ? WIRE_ABI_32 : WIRE_ABI_64;
					struct blk_limits disk =
						LIMITS(DISK, config & 1, config & 2, config & 4);
					struct wire_slot slot;

					make_slot(&slot, abi, op, segment_counts[n], sectors[s]);
					compare(&slot, abi, &disk);
				}
}

static void every_disk_size_and_sector(void **state)
{
	(void)state;
	for (unsigned d = 0; d < COUNT(disk_sizes); d++)
		for (unsigned s = 0; s < COUNT(sectors); s++)
			for (unsigned n = 0; n <= 11; n++)
				for (unsigned op = 0; op < 4; op++) {
					struct blk_limits disk =
						LIMITS(disk_sizes[d], false, true, true);
					struct wire_slot slot;

					make_slot(&slot, WIRE_ABI_64, op, n, sectors[s]);
					compare(&slot, WIRE_ABI_64, &disk);
				}
}

/* One segment has every possible first and last, wherever it stands; the others are whole pages. */
static void every_first_and_last_sector(void **state)
{
	static const unsigned positions[][2] = {/* segments, which one */
		{1, 0}, {2, 0}, {2, 1}, {11, 0}, {11, 5}, {11, 10}};
	static const struct blk_limits disk = LIMITS(DISK, false, true, true);

	(void)state;
	for (unsigned p = 0; p < COUNT(positions); p++)
		for (unsigned first = 0; first < 256; first++)
			for (unsigned last = 0; last < 256; last++)
				for (unsigned abi = 0; abi < 2; abi++) {
					struct wire_slot slot;

					make_slot(&slot, abi, BLKIF_OP_WRITE, positions[p][0], 0);
					set_segment(&slot, abi, positions[p][1], first, last);
					compare(&slot, abi, &disk);
				}
}

/* A segment beyond nr_segments is not part of the request, however bad it looks. */
static void unused_segments_are_not_judged(void **state)
{
	static const struct blk_limits disk = LIMITS(DISK, false, true, true);

	(void)state;
	for (unsigned abi = 0; abi < 2; abi++)
		for (unsigned n = 1; n < 11; n++) {
			struct wire_slot slot;

			make_slot(&slot, abi, BLKIF_OP_READ, n, 0);
			set_segment(&slot, abi, n, 255, 0);
			assert_int_equal(judge(&slot, abi, &disk).status, OKAY);
			assert_int_equal(judge(&slot, abi, &disk).nr_sectors, 8 * n);
		}
}

/* The shortest requests the end of the disk admits and refuses, one sector at a time. */
static void the_last_sector_is_the_last(void **state)
{
	static const struct blk_limits disk = LIMITS(DISK, false, true, true);

	(void)state;
	for (unsigned length = 1; length <= 8; length++)
		for (uint64_t sector = DISK - 10; sector < DISK + 2; sector++) {
			struct wire_slot slot;
			bool fits = sector + length <= DISK;

			make_slot(&slot, WIRE_ABI_64, BLKIF_OP_WRITE, 1, sector);
			set_segment(&slot, WIRE_ABI_64, 0, 8 - length, 7);
			assert_int_equal(
				judge(&slot, WIRE_ABI_64, &disk).status, fits ? OKAY : ERROR);
		}
}

static void every_reason_has_a_status_and_a_text(void **state)
{
	(void)state;
	for (unsigned reason = 0; reason < BLK_REASON_COUNT; reason++) {
		const char *text = blk_reason_text(reason);
		int status = blk_reason_status(reason);

		assert_non_null(text);
		assert_true(strlen(text) > 0);
		assert_int_equal(status, reason == BLK_REQUEST_OK ? OKAY
					 : reason == BLK_BAD_OP   ? EOPNOTSUPP_
								  : ERROR);
	}
	assert_non_null(blk_reason_text(BLK_REASON_COUNT));
	assert_int_equal(blk_reason_status(BLK_REASON_COUNT), ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_count_and_sector),
		cmocka_unit_test(every_disk_size_and_sector),
		cmocka_unit_test(every_first_and_last_sector),
		cmocka_unit_test(unused_segments_are_not_judged),
		cmocka_unit_test(the_last_sector_is_the_last),
		cmocka_unit_test(every_reason_has_a_status_and_a_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
