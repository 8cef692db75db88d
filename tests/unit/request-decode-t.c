/*
 * R1, R2, R3, R6, R7: the bytes of a slot mean the same request whichever ABI wrote them, and no
 * number in them makes decoding read or write outside the private copy.
 *
 * The slots are built byte by byte from the offset tables of PROTOCOL.md, not from wire.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring/frontring.h"
#include "ring/request.h"

struct layout {
	enum wire_abi abi;
	unsigned id, sector, seg, size;
};

static const struct layout layouts[] = {
	{WIRE_ABI_64, 8, 16, 24, 112},
	{WIRE_ABI_32, 4, 12, 20, 108},
};

#define FOR_EACH_LAYOUT(l)                                                                         \
	for (const struct layout *l = layouts; l < layouts + sizeof(layouts) / sizeof(*l); l++)

static void put_le(uint8_t *bytes, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Every byte of every field differs from its neighbours, so a field read one off shows. */
static void fill_slot(const struct layout *l, uint8_t nr_segments, struct wire_slot *slot)
{
	uint8_t *b = slot->bytes;

	memset(b, 0xee, sizeof(slot->bytes));
	b[0] = 0xa5;
	b[1] = nr_segments;
	put_le(b + 2, 0x1716, 2);
	put_le(b + l->id, 0x0807060504030201, 8);
	put_le(b + l->sector, 0xf8f7f6f5f4f3f2f1, 8);
	for (unsigned i = 0; i < 11; i++) {
		put_le(b + l->seg + 8 * i, 0x40302010 + i, 4);
		b[l->seg + 8 * i + 4] = (uint8_t)(0x50 + i);
		b[l->seg + 8 * i + 5] = (uint8_t)(0x90 + i);
	}
}

static void every_field_is_read_from_its_offset(void **state)
{
	(void)state;
	FOR_EACH_LAYOUT(l)
	{
		for (unsigned nr_segments = 0; nr_segments < 256; nr_segments++) {
			struct wire_slot slot;
			struct blk_request req;

			fill_slot(l, (uint8_t)nr_segments, &slot);
			blk_request_decode(l->abi, &slot, &req);
			assert_int_equal(req.op, 0xa5);
			assert_int_equal(req.nr_segments, nr_segments);
			assert_int_equal(req.handle, 0x1716);
			assert_true(req.id == 0x0807060504030201);
			assert_true(req.sector == 0xf8f7f6f5f4f3f2f1);
			assert_int_equal(req.nr_sectors, 0);
			for (unsigned i = 0; i < 11; i++) {
				assert_int_equal(req.seg[i].gref, 0x40302010 + i);
				assert_int_equal(req.seg[i].first_sect, 0x50 + i);
				assert_int_equal(req.seg[i].last_sect, 0x90 + i);
			}
		}
	}
}

static void bytes_behind_the_slot_do_not_matter(void **state)
{
	(void)state;
	FOR_EACH_LAYOUT(l)
	{
		struct wire_slot slot;
		struct blk_request one = {0}, other = {0};

		fill_slot(l, 255, &slot);
		blk_request_decode(l->abi, &slot, &one);
		memset(slot.bytes + l->size, 0x11, sizeof(slot.bytes) - l->size);
		blk_request_decode(l->abi, &slot, &other);
		assert_memory_equal(&one, &other, sizeof(one));
	}
}

static void encoding_puts_every_field_at_its_offset(void **state)
{
	(void)state;
	FOR_EACH_LAYOUT(l)
	{
		struct wire_slot expected, slot;
		struct blk_request req;

		/* Padding, which decoding drops, is zero when we are the ones who write. */
		fill_slot(l, 11, &expected);
		memset(expected.bytes + 4, 0, l->id - 4);
		for (unsigned i = 0; i < 11; i++)
			memset(expected.bytes + l->seg + 8 * i + 6, 0, 2);
		blk_request_decode(l->abi, &expected, &req);
		frontring_encode(l->abi, &req, &slot);
		assert_memory_equal(slot.bytes, expected.bytes, l->size);
	}
}

static void the_two_layouts_decode_to_the_same_request(void **state)
{
	struct wire_slot slot64, slot32;
	struct blk_request from64 = {0}, from32 = {0};

	(void)state;
	fill_slot(&layouts[0], 11, &slot64);
	fill_slot(&layouts[1], 11, &slot32);
	blk_request_decode(WIRE_ABI_64, &slot64, &from64);
	blk_request_decode(WIRE_ABI_32, &slot32, &from32);
	assert_memory_equal(&from64, &from32, sizeof(from64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read_from_its_offset),
		cmocka_unit_test(bytes_behind_the_slot_do_not_matter),
		cmocka_unit_test(encoding_puts_every_field_at_its_offset),
		cmocka_unit_test(the_two_layouts_decode_to_the_same_request),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
