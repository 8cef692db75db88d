/*
 * How a request's data lies in granted pages: segments, and the copy between the two.
 *
 * Any thread; pure.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_LAYOUT_H
#define FRONTEND_SHIM_BLKFRONT_LAYOUT_H

#include "ring/request.h"

struct blkfront_request;

/*
 * The segments of a contiguous buffer that starts @first_sect units into its first page: what Linux
 * makes of a buffer that is aligned to 512 bytes only. 0 sectors need 0 segments. -EINVAL when more
 * than BLK_SEGMENTS_MAX would be needed.
 */
int blkfront_layout_contiguous(unsigned first_sect, unsigned nr_sectors,
	struct blk_segment *ret_seg, unsigned *ret_nr_segments)
	__attribute__((nonnull, warn_unused_result));

enum blkfront_direction {
	BLKFRONT_TO_PAGES,
	BLKFRONT_FROM_PAGES
};

/*
 * Copy at most nr_sectors of @req->data to or from its pages, segment by segment. Segments that no
 * page could have are passed over.
 */
void blkfront_layout_copy(const struct blkfront_request *req, enum blkfront_direction direction)
	__attribute__((nonnull));

#endif
