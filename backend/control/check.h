/*
 * blkback-vbd --check: can this file or device be served? Asked by the hotplug script, so that a
 * mistake is reported where the toolstack looks, before a guest depends on it.
 *
 * Any thread; prints, and logs nothing.
 */
#ifndef BACKEND_CONTROL_CHECK_H
#define BACKEND_CONTROL_CHECK_H

#include <stdbool.h>

#include "backend/control/worker.h"
#include "backend/util/cache.h"

struct check_terms {
	bool read_only;
	enum cache_mode cache;
	bool exclusive; /* nothing is mounted from it, nor lies on it: see image_check() */
	bool hand_over; /* what the page cache has of it is written and dropped, before QEMU opens it */
};

/*
 * One line of facts on standard output, or one sentence on standard error and WORKER_STORAGE. That the page cache cannot be handed over is
 * only told, but not if data was lost.
 */
enum worker_exit check_image(const char *path, const struct check_terms *terms)
	__attribute__((nonnull));

#endif
