/*
 * Which storage the toolstack and the hotplug script chose for a disk, read from its backend
 * directory, and that storage opened.
 *
 * Control thread only. The directory is written by the toolstack alone, so it is trusted but still
 * parsed strictly. Never logs.
 */
#ifndef BACKEND_CONTROL_BACKING_H
#define BACKEND_CONTROL_BACKING_H

#include <stdbool.h>

#include "backend/data/storage.h"
#include "backend/util/problem.h"

struct store;

enum hotplug_state {
	HOTPLUG_WAITING,   /* the script has not reported yet */
	HOTPLUG_CONNECTED, /* physical-device-path is there and may be opened */
	HOTPLUG_FAILED,    /* the script reported an error; it may be run again */
};

/* What hotplug-status says. */
int backing_hotplug(struct store *store, const char *backend, enum hotplug_state *ret_state)
	__attribute__((nonnull, warn_unused_result));

/*
 * Open what physical-device-path names, as `mode` allows, and set @ret_info (VDISK_*) from mode,
 * device-type and removable. @expected, if not NULL, is what it has to be: a path may come to name
 * another device between two connections of one guest. -errno with a sentence.
 */
int backing_open(struct store *store, const char *backend, const struct storage_identity *expected,
	struct storage *ret_storage, unsigned *ret_info, struct problem *ret_problem)
	__attribute__((nonnull(1, 2, 4, 5, 6), warn_unused_result));

#endif
