/*
 * The loop devices of this host that have something below them, and what that is.
 *
 * Any thread; the caller's list. Opens each loop device for a moment, for reading. Never logs.
 */
#ifndef BRIDGE_NODES_LOOPS_H
#define BRIDGE_NODES_LOOPS_H

#include <stddef.h>
#include <sys/types.h>

#include "same_blocks.h"

struct loop {
	dev_t device;
	struct same_blocks_id below;
	struct window window; /* that it shows of it */
};

struct loops {
	struct loop *list;
	size_t nr_loops;
};

/* 0 or -errno: -EACCES if not root, -ENOMEM. Nothing is left to free after a failure. */
int loops_find(struct loops *ret_loops) __attribute__((nonnull, warn_unused_result));
void loops_free(struct loops *loops) __attribute__((nonnull));

#endif
