/*
 * What toolstack and hotplug script have written of a disk's storage: the nodes `mode` and `physical-device-path`.
 *
 * One thread: round trips to xenstored. Never logs.
 */
#ifndef BACKEND_CONTROL_BACKING_NODES_H
#define BACKEND_CONTROL_BACKING_NODES_H

#include <stdbool.h>

#include "backend/util/problem.h"

struct store;

/* 'r', 'w', or 'w!' and the like: what the block scripts know. Read-only unless it says w. 0, or -errno with a sentence. */
int backing_mode(struct store *store, const char *backend, bool *ret_read_only, bool *ret_shared,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/*
 * The image's name by the hotplug script, to be freed: any bytes but control characters. 0; -ENOENT without one; or another -errno with a
 * sentence, as for -ENOENT.
 */
int backing_path(struct store *store, const char *backend, char **ret_path,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

#endif
