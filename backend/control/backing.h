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

/* What the storage has to be. */
struct backing_terms {
	const struct storage_identity *expected; /* NULL: whatever is there */
	enum cache_mode cache;
	bool discard;   /* is to be offered, if it can be done */
	bool only_read; /* whatever the mode says */
};

/* What is known of it beside the storage itself. */
struct backing_facts {
	unsigned info; /* VDISK_* of blkif.h, by mode, device-type and removable */
	bool shared;   /* mode w!: others may write it, too */
};

/*
 * Open what physical-device-path names, as `mode` allows and @terms say. A path may come to name another device between two connections of one
 * guest: that is no longer what is expected. -errno with a sentence.
 */
int backing_open(struct store *store, const char *backend, const struct backing_terms *terms,
	struct storage *ret_storage, struct backing_facts *ret_facts, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

#endif
