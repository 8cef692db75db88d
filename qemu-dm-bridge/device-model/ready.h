/*
 * An image made ready for a device model that is about to open it: nobody else has it, and nothing of it is in the page cache.
 *
 * Main thread: waits. Logs what of it stays in the page cache, and once a second, while dirty pages are written, how much is left.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_READY_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_READY_H

#include <stdint.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/device-model/served.h"

struct ready_terms {
	/* By CLOCK_MONOTONIC: until then another owner is waited for. Dirty pages have the time it takes to write them. */
	uint64_t until_ms;
	/* The guest is coming from elsewhere (-incoming): it may go on there for a while, and this device model does not touch the image before. */
	bool is_incoming;
};

/*
 * The image of @disk. 0; or -errno with a sentence: -EBUSY (who has it), or as hand_over(). Nothing of it is ours
 * afterwards: between this and the device model's own lock somebody may come, and then one of the two is refused.
 */
int ready_make(const struct served *disk, const struct ready_terms *terms, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

/* What time it is, for .until_ms. */
uint64_t ready_now_ms(void);

#endif
