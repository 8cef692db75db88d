/*
 * Threads that do what the kernel does only while one waits: fdatasyncs, discards, reads and writes through the page cache. Part
 * of an engine.
 *
 * The kernel's asynchronous fdatasync (IOCB_CMD_FDSYNC) is done by threads of its own, on nobody's account: a guest that floods its
 * disk with flushes would take from the other guests what the scheduler, a cgroup or an I/O limit gives to its worker. Its
 * asynchronous reads and writes are none where the page cache is used: io_submit waits for them.
 *
 * All functions are the queue thread's, but for create and destroy while it does not run. Threads are started when they are
 * first needed; a queue that never needs them has none. What has ended is told through an eventfd. Nothing else is allocated later.
 */
#ifndef BACKEND_DATA_HELPER_H
#define BACKEND_DATA_HELPER_H

#include "backend/data/engine.h"

struct helper;

/*
 * For @capacity I/Os at a time, by up to @max_threads threads; one does them in the order they were put. @name is the threads',
 * as top(1) shows it, and stays the caller's; so does @event_fd, which is written to and outlives the helper. -ENOMEM.
 */
int helper_create(const char *name, unsigned capacity, unsigned max_threads, int event_fd,
	struct helper **ret_helper) __attribute__((nonnull, warn_unused_result));

/* Nothing may be in flight. NULL is fine. */
void helper_destroy(struct helper *helper);

/*
 * Take one I/O. If there is not one thread to be had, a discard is reaped as refused, and anything else done before this
 * returns.
 */
void helper_put(struct helper *helper, const struct engine_io *io) __attribute__((nonnull));

/* Up to @max that have ended, in that order. */
unsigned helper_reap(struct helper *helper, struct engine_done *done, unsigned max)
	__attribute__((nonnull));

/* There is one that has ended, without taking a lock. */
bool helper_has_done(const struct helper *helper) __attribute__((nonnull));

/* Put and not reaped. */
unsigned helper_in_flight(const struct helper *helper) __attribute__((nonnull));

#endif
