#include "frontend-shim/blkfront/layout.h"

#include <errno.h>
#include <string.h>

#include "frontend-shim/blkfront/blkfront.h"

int blkfront_layout_contiguous(unsigned first_sect, unsigned nr_sectors,
	struct blk_segment *ret_seg, unsigned *ret_nr_segments)
{
	unsigned n = 0;

	if (first_sect >= WIRE_PAGE_SECTORS || nr_sectors > BLKFRONT_MAX_SECTORS - first_sect)
		return -EINVAL;
	while (nr_sectors > 0) {
		unsigned first = n == 0 ? first_sect : 0;
		unsigned count = WIRE_PAGE_SECTORS - first;

		if (count > nr_sectors)
			count = nr_sectors;
		ret_seg[n].first_sect = (uint8_t)first;
		ret_seg[n].last_sect = (uint8_t)(first + count - 1);
		nr_sectors -= count;
		n++;
	}
	*ret_nr_segments = n;
	return 0;
}

void blkfront_layout_copy(const struct blkfront_request *req, enum blkfront_direction direction)
{
	uint8_t *data = req->data;
	unsigned left = req->nr_sectors;

	for (unsigned i = 0; i < req->nr_pages && left > 0; i++) {
		const struct blk_segment *seg = &req->seg[i];
		unsigned count;
		uint8_t *page;

		if (seg->first_sect > seg->last_sect || seg->last_sect >= WIRE_PAGE_SECTORS)
			continue;
		count = (unsigned)(seg->last_sect - seg->first_sect) + 1;
		if (count > left)
			count = left;
		page = req->page[i].address + (size_t)seg->first_sect * WIRE_SECTOR_SIZE;
		if (direction == BLKFRONT_TO_PAGES)
			memcpy(page, data, (size_t)count * WIRE_SECTOR_SIZE);
		else
			memcpy(data, page, (size_t)count * WIRE_SECTOR_SIZE);
		data += (size_t)count * WIRE_SECTOR_SIZE;
		left -= count;
	}
}
