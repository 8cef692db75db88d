/*
 * How the simulated guest lays a buffer out in pages: whole and contiguous wherever it begins, and
 * copied there and back without touching a byte beside it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/blkfront/layout.h"

static uint8_t pages[BLK_SEGMENTS_MAX][WIRE_PAGE_SIZE];
static uint8_t data[BLKFRONT_MAX_SECTORS * WIRE_SECTOR_SIZE];

/* Segment by segment the buffer goes on where it stopped: at a page's end, at the next one's start. */
static void check_contiguous(unsigned first, unsigned nr_sectors)
{
	struct blk_segment seg[BLK_SEGMENTS_MAX];
	unsigned n, sum = 0;

	assert_int_equal(blkfront_layout_contiguous(first, nr_sectors, seg, &n), 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(seg[i].first_sect, i == 0 ? first : 0);
		assert_true(seg[i].first_sect <= seg[i].last_sect);
		if (i < n - 1)
			assert_int_equal(seg[i].last_sect, 7);
		assert_true(seg[i].last_sect <= 7);
		sum += seg[i].last_sect - seg[i].first_sect + 1u;
	}
	assert_int_equal(sum, nr_sectors);
	assert_int_equal(n, nr_sectors ? (first + nr_sectors + 7) / 8 : 0);
}

static void every_start_and_length(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 8; first++)
		for (unsigned n = 0; n <= 2050; n++) {
			struct blk_segment seg[BLK_SEGMENTS_MAX];
			unsigned nr_segments;

			if (first + n <= 2048)
				check_contiguous(first, n);
			else
				assert_int_equal(
					blkfront_layout_contiguous(first, n, seg, &nr_segments),
					-EINVAL);
		}
}

static void numbers_that_would_wrap_are_refused(void **state)
{
	struct blk_segment seg[BLK_SEGMENTS_MAX];
	unsigned n;

	(void)state;
	assert_int_equal(blkfront_layout_contiguous(8, 1, seg, &n), -EINVAL);
	assert_int_equal(blkfront_layout_contiguous(~0u, 1, seg, &n), -EINVAL);
	assert_int_equal(blkfront_layout_contiguous(7, ~0u, seg, &n), -EINVAL);
}

static void request_for(struct blkfront_request *req, unsigned nr_sectors, unsigned nr_segments)
{
	req->data = data;
	req->nr_sectors = nr_sectors;
	req->nr_pages = nr_segments;
	for (unsigned i = 0; i < nr_segments; i++)
		req->page[i].address = pages[i];
}

static void data_goes_there_and_back(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 8; first++) {
		unsigned nr_sectors = BLKFRONT_MAX_SECTORS - 8, n;
		struct blkfront_request req = {0};
		static uint8_t back[sizeof(data)];

		assert_int_equal(blkfront_layout_contiguous(first, nr_sectors, req.seg, &n), 0);
		request_for(&req, nr_sectors, n);
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i / 512 + i * 3 + 1);
		memset(pages, 0, sizeof(pages));
		blkfront_layout_copy(&req, BLKFRONT_TO_PAGES);
		/* The pages follow each other here, so the buffer lies in them in one piece. */
		assert_memory_equal(pages[0] + first * 512, data, nr_sectors * 512);
		for (size_t i = 0; i < first * 512u; i++)
			assert_int_equal(pages[0][i], 0);
		for (size_t i = first * 512u + nr_sectors * 512u; i < sizeof(pages); i++)
			assert_int_equal(((uint8_t *)pages)[i], 0);
		memcpy(back, data, sizeof(back));
		memset(data, 0, nr_sectors * 512);
		blkfront_layout_copy(&req, BLKFRONT_FROM_PAGES);
		assert_memory_equal(data, back, sizeof(data));
	}
}

/* A layout no page can have is sent as it is, but not followed into memory. */
static void impossible_segments_are_passed_over(void **state)
{
	struct blkfront_request req = {
		.seg = {{0, 0, 0}, {0, 5, 4}, {0, 0, 8}, {0, 255, 255}, {0, 7, 7}}};

	(void)state;
	request_for(&req, 2, 5);
	memset(data, 0x11, 512);
	memset(data + 512, 0x22, 512);
	memset(pages, 0, sizeof(pages));
	blkfront_layout_copy(&req, BLKFRONT_TO_PAGES);
	assert_memory_equal(pages[0], data, 512);
	assert_memory_equal(pages[4] + 7 * 512, data + 512, 512);
	for (unsigned i = 0; i < WIRE_PAGE_SIZE; i++)
		assert_int_equal(pages[1][i] | pages[2][i] | pages[3][i], 0);
}

/* More room than data: the copy ends with the data. */
static void data_is_not_overrun(void **state)
{
	struct blkfront_request req = {.seg = {{0, 0, 7}, {0, 0, 7}}};

	(void)state;
	request_for(&req, 3, 2);
	memset(pages, 0xaa, sizeof(pages));
	memset(data, 0, sizeof(data));
	blkfront_layout_copy(&req, BLKFRONT_FROM_PAGES);
	assert_int_equal(data[3 * 512 - 1], 0xaa);
	assert_int_equal(data[3 * 512], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_start_and_length),
		cmocka_unit_test(numbers_that_would_wrap_are_refused),
		cmocka_unit_test(data_goes_there_and_back),
		cmocka_unit_test(impossible_segments_are_passed_over),
		cmocka_unit_test(data_is_not_overrun),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
