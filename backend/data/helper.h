/*
 * A thread that does fdatasyncs or discards, one after the other. Part of an engine.
 *
 * For discards the kernel has no asynchronous operation. Its asynchronous fdatasync (IOCB_CMD_FDSYNC) is done by threads of its
 * own, on nobody's account: a guest that floods its disk with flushes would take from the other guests what the scheduler, a
 * cgroup or an I/O limit gives to its worker.
 *
 * All functions are the queue thread's, but for create and destroy while it does not run. The thread is started when it is
 * first needed; a queue that never needs it has none. What has ended is told through an eventfd. Nothing else is allocated later.
 */
#ifndef BACKEND_DATA_HELPER_H
#define BACKEND_DATA_HELPER_H

#include "backend/data/engine.h"

struct helper;

/*
 * For @capacity I/Os at a time. @name is its thread's, as top(1) shows it, and stays the caller's; so does @event_fd, which is written
 * to and outlives the helper. -ENOMEM.
 */
int helper_create(const char *name, unsigned capacity, int event_fd, struct helper **ret_helper)
	__attribute__((nonnull, warn_unused_result));

/* Nothing may be in flight. NULL is fine. */
void helper_destroy(struct helper *helper);

/* Take one I/O. If there is no thread to be had, a discard is reaped as refused, and an fdatasync done before this returns. */
void helper_put(struct helper *helper, const struct engine_io *io) __attribute__((nonnull));

/* Up to @max that have ended, in the order they were put. */
unsigned helper_reap(struct helper *helper, struct engine_done *done, unsigned max)
	__attribute__((nonnull));

/* Put and not reaped. */
unsigned helper_in_flight(const struct helper *helper) __attribute__((nonnull));

#endif
