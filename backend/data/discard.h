/*
 * Giving back what a guest does not need any more: whether a storage can, and doing it.
 *
 * Any thread. Everything here blocks: discard_probe() shortly, discard_range() for as long as the storage takes.
 * Never logs. Sources: fallocate(2), FALLOC_FL_PUNCH_HOLE; linux/fs.h, BLKDISCARD and BLKSECDISCARD.
 */
#ifndef BACKEND_DATA_DISCARD_H
#define BACKEND_DATA_DISCARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a storage can do. Zeros: nothing. */
struct discard {
	bool possible;
	bool secure; /* so that what was there cannot be read by any means */
	bool is_block_device;
	uint32_t step_bytes;        /* LIMIT_DISCARD_STEP_* */
	uint32_t granularity_bytes; /* it is given back in so much at a time */
	uint32_t alignment_bytes;   /* ... from here on */
	uint32_t
		unit_bytes; /* what is less at either end of a range is left as it is, or up to the device */
};

/* Find out about @fd, open for writing. Changes nothing of what the file or device has. */
void discard_probe(int fd, bool is_block_device, struct discard *ret_discard)
	__attribute__((nonnull));

/*
 * Discard what lies wholly inside, in steps, so that others get at the storage in between. The page cache of this very file or
 * device has nothing of it afterwards. @secure only where that can be done. As soon as @stop is set no
 * step is begun: -ECANCELED. That, -EOPNOTSUPP or another -errno: part of it may have been done.
 */
int discard_range(int fd, const struct discard *discard, uint64_t offset_bytes,
	uint64_t length_bytes, bool secure, const atomic_bool *stop)
	__attribute__((nonnull, warn_unused_result));

/* Where the step ends that begins at @at, of a range up to @end. For tests, too. Pure. */
uint64_t discard_step_end(const struct discard *discard, uint64_t at, uint64_t end)
	__attribute__((nonnull));

#endif
