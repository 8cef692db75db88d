/*
 * A change of a connected disk's cache mode (D7): the image opened once more, the queues asked to let go of the old one, both
 * exchanged.
 *
 * Control thread only; one at a time for a disk. Nothing here waits but for the opening: .fd becomes readable when the queues have let
 * go. Whatever goes wrong, the disk goes on as it was, and no request fails for it. Never logs. Times are
 * CLOCK_MONOTONIC milliseconds.
 */
#ifndef BACKEND_CONTROL_CHANGE_H
#define BACKEND_CONTROL_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/disk.h"
#include "backend/util/problem.h"

/* Who wants it; tells where the answer goes. */
enum change_by {
	CHANGE_BY_TOOLSTACK, /* node cache-mode */
	CHANGE_BY_OPERATOR,  /* blkbackctl */
	CHANGE_BY_GUEST,     /* the frontend's node write-cache-request */
};

struct change_wish {
	enum cache_mode mode;
	bool clear_fault; /* and the latch is to go (D5) */
	enum change_by by;
};

enum change_state {
	CHANGE_NONE,
	CHANGE_RUNS,
	CHANGE_ENDED, /* to be collected */
};

struct change {
	int fd; /* eventfd */
	enum change_state state;
	struct change_wish wish;
	struct storage next; /* while it runs */
	uint64_t deadline_ms;
	int error; /* of one that has ended: 0, or -errno with the sentence */
	struct problem problem;
};

/* None yet. -errno when there are no descriptors. */
int change_init(struct change *change) __attribute__((nonnull, warn_unused_result));

/* None may run. May be called twice. */
void change_fini(struct change *change) __attribute__((nonnull));

/* Begin. There must be none, and a queue. On failure -errno with a sentence, and nothing has happened. */
int change_begin(struct change *change, struct disk *disk, const struct change_wish *wish,
	uint64_t now_ms, struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* .fd was readable, or time has passed: it may be over. */
void change_heed(struct change *change, struct disk *disk, uint64_t now_ms)
	__attribute__((nonnull));

/* One that runs ends with @error and the sentence @why. */
void change_abandon(struct change *change, struct disk *disk, int error, const char *why)
	__attribute__((nonnull));

/* One that has ended is collected: true, with what was wished and what came of it. */
bool change_collect(struct change *change, struct change_wish *ret_wish, int *ret_error,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* After that time change_heed() is worth a call without an event. -1: never. */
int change_patience_ms(const struct change *change, uint64_t now_ms) __attribute__((nonnull));

#endif
