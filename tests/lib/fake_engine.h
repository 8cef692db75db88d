/*
 * An engine that does nothing by itself: what a queue put into it is in flight until the test ends it,
 * in any order and with any result, or at once. Below a queue of tests/lib/loop.h.
 */
#ifndef TESTS_LIB_FAKE_ENGINE_H
#define TESTS_LIB_FAKE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "backend/data/engine.h"
#include "backend/util/limits.h"

struct queue;

struct fake_engine {
	struct engine base;
	struct engine *real; /* the queue's own, idle */
	unsigned nr_puts, nr_commits, nr_writes, nr_reads, nr_syncs, nr_discards;
	atomic_bool at_once; /* what is put from now on has ended */
	unsigned nr_flying;
	struct engine_io flying[LIMIT_SLOTS + 1]; /* oldest first */
	unsigned nr_done;
	struct engine_done done[LIMIT_SLOTS + 1];
};

/* Put @fake under @queue, which must not run. The queue destroys both. */
void fake_engine_install(struct fake_engine *fake, struct queue *queue);

/* The oldest in flight of that verb ends, with 0 or -errno. Fails the test when there is none. */
void fake_engine_end(struct fake_engine *fake, enum engine_verb verb, int error);
/* The @i-th of those in flight. */
void fake_engine_end_at(struct fake_engine *fake, unsigned i, int error);
void fake_engine_end_all(struct fake_engine *fake);

/* What @io reads or writes: how many bytes its iovecs have together, and where byte @at of them lies. */
size_t fake_engine_length(const struct engine_io *io);
uint8_t *fake_engine_byte(const struct engine_io *io, size_t at);

#endif
