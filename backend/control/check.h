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

/*
 * One line of facts on standard output, or one sentence on standard error and WORKER_STORAGE. With @hand_over what the page cache has of
 * it is written and dropped, before QEMU opens it: that this cannot be done is only told, but not if data was lost.
 */
enum worker_exit check_image(const char *path, bool read_only, enum cache_mode cache,
	bool hand_over) __attribute__((nonnull));

#endif
