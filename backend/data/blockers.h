/*
 * What an engine of files and devices does not leave to the kernel, which would wait for it, or have it done on nobody's account:
 * syncs, discards, and reads and writes through the page cache. And those that the kernel has done a part of. Threads do it (helper.h).
 *
 * Thread: as the engine it is a part of. Syncs and discards have a thread each, so that no flush waits for a discard of 2 TiB.
 * Owns the threads; what has ended is told through the engine's eventfd.
 */
#ifndef BACKEND_DATA_BLOCKERS_H
#define BACKEND_DATA_BLOCKERS_H

#include "backend/data/engine.h"

struct helper;

struct blockers {
	struct helper *syncs;
	struct helper *discards;
	struct helper
		*moves; /* reads and writes that would be waited for, or that stopped half-way */
};

/* For @capacity I/Os at a time. @event_fd stays the caller's and outlives them. -ENOMEM; to be released in any case. */
int blockers_init(struct blockers *blockers, unsigned capacity, int event_fd)
	__attribute__((nonnull, warn_unused_result));

/* Nothing may be in flight. Zeros, and twice, are fine. */
void blockers_fini(struct blockers *blockers) __attribute__((nonnull));

/* True if @io is theirs, and then they have taken it. What is not is direct I/O. */
bool blockers_take(struct blockers *blockers, const struct engine_io *io)
	__attribute__((nonnull, warn_unused_result));

/*
 * The kernel has done a part of @io, which says nothing about what is wrong with the rest, a full disk perhaps: it is done once
 * more, by someone who can wait for that.
 */
void blockers_finish(struct blockers *blockers, const struct engine_io *io)
	__attribute__((nonnull));

/* Up to @max that have ended. */
unsigned blockers_reap(struct blockers *blockers, struct engine_done *done, unsigned max)
	__attribute__((nonnull));

/* There is one that has ended, without a system call. */
bool blockers_have_done(const struct blockers *blockers) __attribute__((nonnull));

/* Taken and not reaped. */
unsigned blockers_in_flight(const struct blockers *blockers) __attribute__((nonnull));

#endif
