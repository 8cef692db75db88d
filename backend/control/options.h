/*
 * What the administrator chose for a disk: the nodes `cache-mode` and `features-off` of its backend directory, which
 * the hotplug script writes from the options behind the image's name, and libxl's `discard-enable`.
 *
 * Control thread only. The toolstack's side wrote the nodes, so they are trusted but still parsed strictly. Never logs.
 */
#ifndef BACKEND_CONTROL_OPTIONS_H
#define BACKEND_CONTROL_OPTIONS_H

#include <stdbool.h>

#include "backend/util/problem.h"

struct store;

/* What may be offered to the guest, if the disk can do it at all (D4). */
struct disk_options {
	bool persistent;
	bool flush;
	bool barrier;
	bool multi_queue;
	bool indirect;
	bool discard;
};

/*
 * Read the nodes below @backend; absent ones mean cache mode none and nothing off, as does an empty
 * list. To be read when the hotplug script has reported success, not before. -EINVAL with a sentence
 * when they are malformed, another -errno of the store.
 */
int options_read(struct store *store, const char *backend, struct disk_options *ret_options,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

#endif
