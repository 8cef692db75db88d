/*
 * R26: an indirect request's slot in both layouts, its segments in a page of their own, and which of them are refused.
 *
 * The slots are built byte by byte from the table of PROTOCOL.md, not from wire.h; the verdicts are compared with an
 * oracle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring/frontring.h"
#include "ring/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DISK         10000u /* sectors of the disk in these tests */

#define LIMITS(ro, fl, ba, segments)                                                               \
	{                                                                                          \
		.nr_sectors = DISK, .read_only = (ro), .flush = (fl), .barrier = (ba),             \
		.discard = true, .max_indirect_segments = (segments)                               \
	}

enum {
	OKAY = 0,
	ERROR = -1,
	EOPNOTSUPP_ = -2
};

struct layout {
	enum wire_abi abi;
	unsigned id, sector, handle, gref;
};

static const struct layout layouts[] = {
	{WIRE_ABI_64, 8, 16, 24, 28},
	{WIRE_ABI_32, 4, 12, 20, 24},
};

static void put_le(uint8_t *bytes, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Every byte of every field differs from its neighbours, so a field read one off shows. */
static void fill_slot(const struct layout *l, uint8_t fill, struct wire_slot *slot)
{
	uint8_t *b = slot->bytes;

	memset(b, fill, sizeof(slot->bytes));
	b[0] = 6;
	b[1] = 0xa5;
	put_le(b + 2, 0x3231, 2);
	put_le(b + l->id, 0x0807060504030201, 8);
	put_le(b + l->sector, 0xf8f7f6f5f4f3f2f1, 8);
	put_le(b + l->handle, 0x1716, 2);
	for (unsigned i = 0; i < 8; i++)
		put_le(b + l->gref + 4 * i, 0x40302010 + i, 4);
}

static void every_field_is_read_from_its_offset(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(layouts); k++) {
		struct wire_slot slot;
		struct blk_request req;

		fill_slot(&layouts[k], 0xee, &slot);
		memset(&req, 0x77, sizeof(req));
		blk_request_decode(layouts[k].abi, &slot, &req);
		assert_true(req.indirect);
		assert_int_equal(req.op, 0xa5);
		assert_int_equal(req.nr_segments, 0x3231);
		assert_int_equal(req.handle, 0x1716);
		assert_true(req.id == 0x0807060504030201);
		assert_true(req.sector == 0xf8f7f6f5f4f3f2f1);
		assert_int_equal(req.nr_sectors, 0);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(req.indirect_gref[i], 0x40302010 + i);
	}
}

static void encoding_puts_every_field_at_its_offset(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(layouts); k++) {
		struct wire_slot expected, slot;
		struct blk_request req;

		fill_slot(&layouts[k], 0, &expected);
		blk_request_decode(layouts[k].abi, &expected, &req);
		frontring_encode(layouts[k].abi, &req, &slot);
		assert_memory_equal(slot.bytes, expected.bytes, sizeof(slot.bytes));
	}
}

/* Another operation in the same slot later on is no indirect one. */
static void a_slot_forgets_that_it_was_indirect(void **state)
{
	struct wire_slot slot;
	struct blk_request req;

	(void)state;
	fill_slot(&layouts[0], 0, &slot);
	blk_request_decode(WIRE_ABI_64, &slot, &req);
	slot.bytes[0] = BLKIF_OP_READ;
	blk_request_decode(WIRE_ABI_64, &slot, &req);
	assert_false(req.indirect);
	assert_int_equal(req.op, BLKIF_OP_READ);
	assert_int_equal(req.nr_segments, 0xa5);
}

/* ---- segments ---- */

/* A page of segments by the table: gref at 0, first at 4, last at 5. */
static void fill_page(uint8_t *page)
{
	memset(page, 0xee, 4096);
	for (unsigned i = 0; i < 512; i++) {
		put_le(page + 8 * i, 0x40302010 + i, 4);
		page[8 * i + 4] = (uint8_t)(i % 8);
		page[8 * i + 5] = 7;
	}
}

static void as_many_segments_are_read_as_there_are(void **state)
{
	static uint8_t page[4096];

	(void)state;
	fill_page(page);
	for (unsigned n = 1; n <= 256; n++) {
		struct blk_request req;

		memset(&req, 0x77, sizeof(req));
		req.nr_segments = (uint16_t)n;
		assert_int_equal(blk_request_indirect_pages(&req), 1);
		assert_int_equal(blk_request_indirect_bytes(&req, 0), 8 * n);
		blk_request_decode_indirect(&req, 0, page);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(req.seg[i].gref, 0x40302010 + i);
			assert_int_equal(req.seg[i].first_sect, i % 8);
			assert_int_equal(req.seg[i].last_sect, 7);
		}
		for (unsigned i = n; i < 256; i++)
			assert_int_equal(req.seg[i].gref, 0x77777777);
	}
}

static void pages_are_counted_by_512_segments(void **state)
{
	static const unsigned table[][4] = {
		/* segments, pages, bytes of the first and of the last */
		{1, 1, 8, 8}, {512, 1, 4096, 4096}, {513, 2, 4096, 8}, {1024, 2, 4096, 4096},
		{4096, 8, 4096, 4096}};
	struct blk_request req;

	(void)state;
	for (unsigned i = 0; i < COUNT(table); i++) {
		req.nr_segments = (uint16_t)table[i][0];
		assert_int_equal(blk_request_indirect_pages(&req), table[i][1]);
		assert_int_equal(blk_request_indirect_bytes(&req, 0), table[i][2]);
		assert_int_equal(blk_request_indirect_bytes(&req, table[i][1] - 1), table[i][3]);
	}
}

static void a_written_page_reads_the_same(void **state)
{
	static uint8_t page[4096];
	struct blk_request req = {0}, back = {0};

	(void)state;
	fill_page(page);
	req.nr_segments = 256;
	blk_request_decode_indirect(&req, 0, page);
	memset(page, 0, sizeof(page));
	frontring_encode_page(req.seg, 200, page);
	for (unsigned i = 200 * 8; i < 4096; i++)
		assert_int_equal(page[i], 0);
	back.nr_segments = 200;
	blk_request_decode_indirect(&back, 0, page);
	assert_memory_equal(back.seg, req.seg, 200 * sizeof(req.seg[0]));
}

/* ---- judgements ---- */

static int status_of_slot(unsigned op, unsigned n, unsigned offered)
{
	if (offered == 0 || op > 1)
		return EOPNOTSUPP_;
	return n == 0 || n > offered ? ERROR : OKAY;
}

static void every_operation_and_count(void **state)
{
	static const uint16_t counts[] = {
		0, 1, 11, 12, 31, 32, 33, 255, 256, 257, 511, 512, 513, 4096, 4097, 32768, 65535};
	static const uint16_t offers[] = {0, 32, 256};

	(void)state;
	for (unsigned config = 0; config < 8; config++)
		for (unsigned op = 0; op < 256; op++)
			for (unsigned n = 0; n < COUNT(counts); n++)
				for (unsigned o = 0; o < COUNT(offers); o++) {
					struct blk_limits disk = LIMITS(
						config & 1, config & 2, config & 4, offers[o]);
					struct blk_request req = {.indirect = true,
						.op = (uint8_t)op,
						.nr_segments = counts[n]};

					assert_int_equal(
						blk_reason_status(
							blk_request_check_indirect(&req, &disk)),
						status_of_slot(op, counts[n], offers[o]));
				}
}

static struct blk_request whole_pages(uint8_t op, unsigned n)
{
	struct blk_request req = {.indirect = true, .op = op, .nr_segments = (uint16_t)n};

	for (unsigned i = 0; i < BLK_SEGMENTS_MAX; i++)
		req.seg[i].last_sect = 7;
	return req;
}

static void its_segments_are_judged_like_any(void **state)
{
	static const struct blk_limits disk = LIMITS(false, true, true, 256);
	static const unsigned bad[][2] = {{0, 8}, {0, 255}, {5, 4}, {255, 255}, {7, 0}};

	(void)state;
	for (unsigned n = 1; n <= 256; n++) {
		struct blk_request req = whole_pages(BLKIF_OP_READ, n);

		assert_int_equal(blk_request_check(&req, &disk), BLK_REQUEST_OK);
		assert_int_equal(req.nr_sectors, n * 8);
		for (unsigned k = 0; k < COUNT(bad); k++) {
			req = whole_pages(BLKIF_OP_WRITE, n);
			req.seg[n - 1].first_sect = (uint8_t)bad[k][0];
			req.seg[n - 1].last_sect = (uint8_t)bad[k][1];
			assert_int_equal(blk_request_check(&req, &disk), BLK_BAD_SEGMENT_RANGE);
		}
		if (n == 256)
			break;
		/* What lies behind the last is not part of it. */
		req = whole_pages(BLKIF_OP_READ, n);
		req.seg[n].last_sect = 255;
		assert_int_equal(blk_request_check(&req, &disk), BLK_REQUEST_OK);
	}
}

static void it_lies_inside_the_disk(void **state)
{
	static const struct blk_limits disk = LIMITS(false, true, true, 256);
	static const uint64_t beyond[] = {DISK - 2047, DISK, UINT64_MAX - 2047, UINT64_MAX};
	struct blk_request req = whole_pages(BLKIF_OP_WRITE, 256);

	(void)state;
	req.sector = DISK - 2048;
	assert_int_equal(blk_request_check(&req, &disk), BLK_REQUEST_OK);
	for (unsigned i = 0; i < COUNT(beyond); i++) {
		req.sector = beyond[i];
		assert_int_equal(blk_request_check(&req, &disk), BLK_BEYOND_END);
	}
}

static void a_read_only_disk_is_not_written(void **state)
{
	static const struct blk_limits disk = LIMITS(true, true, true, 256);
	struct blk_request req = whole_pages(BLKIF_OP_WRITE, 256);

	(void)state;
	assert_int_equal(blk_request_check(&req, &disk), BLK_READ_ONLY);
	req.op = BLKIF_OP_READ;
	assert_int_equal(blk_request_check(&req, &disk), BLK_REQUEST_OK);
}

/* The whole judgement holds without the first one before it. */
static void the_whole_judgement_includes_the_slot(void **state)
{
	static const struct blk_limits off = LIMITS(false, true, true, 0);
	static const struct blk_limits few = LIMITS(false, true, true, 32);
	struct blk_request req = whole_pages(BLKIF_OP_READ, 33);

	(void)state;
	assert_int_equal(blk_request_check(&req, &off), BLK_BAD_OP);
	assert_int_equal(blk_request_check(&req, &few), BLK_BAD_SEGMENT_COUNT);
	req.op = BLKIF_OP_WRITE_BARRIER;
	assert_int_equal(blk_request_check(&req, &few), BLK_BAD_OP);
	/* Eleven is the limit of direct ones, whatever is offered. */
	req = whole_pages(BLKIF_OP_READ, 12);
	req.indirect = false;
	assert_int_equal(blk_request_check(&req, &few), BLK_BAD_SEGMENT_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read_from_its_offset),
		cmocka_unit_test(encoding_puts_every_field_at_its_offset),
		cmocka_unit_test(a_slot_forgets_that_it_was_indirect),
		cmocka_unit_test(as_many_segments_are_read_as_there_are),
		cmocka_unit_test(pages_are_counted_by_512_segments),
		cmocka_unit_test(a_written_page_reads_the_same),
		cmocka_unit_test(every_operation_and_count),
		cmocka_unit_test(its_segments_are_judged_like_any),
		cmocka_unit_test(it_lies_inside_the_disk),
		cmocka_unit_test(a_read_only_disk_is_not_written),
		cmocka_unit_test(the_whole_judgement_includes_the_slot),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
