/*
 * The passes of a queue whose thread is not running: the test is its thread, and often its storage as well. What the tests have in
 * common that let the queue of a loop (tests/lib/loop.h) run until it rests, with a fake engine (tests/lib/fake_engine.h) below it.
 *
 * One thread, the test's. Whatever does not go as a function says fails the test. Nothing is waited for:
 * what is in flight stays so until the test ends it.
 */
#ifndef TESTS_LIB_PASS_H
#define TESTS_LIB_PASS_H

#include "tests/lib/fake_engine.h"
#include "tests/lib/loop.h"

/*
 * Until a pass finds nothing. That has to happen within two passes for each slot of the ring, one that takes its request and
 * one that answers it: a queue that always had more would never sleep.
 */
void pass_run(struct loop *loop);
/* Publish what was put into the ring, and run. */
void pass_push(struct loop *loop);
/* The same, when so many have been taken before that the next pass takes all of them, up to LIMIT_TAKE_PER_PASS. */
void pass_push_together(struct loop *loop);
/* Publish likewise, and one pass only: how many it has taken. */
unsigned pass_take_together(struct loop *loop);
/* The oldest in flight of that verb ends, with 0 or -errno; and run. Fails the test when there is none. */
void pass_end(struct loop *loop, struct fake_engine *fake, enum engine_verb verb, int error);
/* All that is in flight now ends well, and run. What that puts into the engine stays in flight. */
void pass_end_all(struct loop *loop, struct fake_engine *fake);

/*
 * What the queue's thread does between two sleeps, one pass at a time, if @awake or something wakes it: ended I/O, its eventfd, or requests
 * that it has not seen when it wants to sleep. Who pushes requests sets @awake. False if it sleeps.
 */
bool pass_step(struct loop *loop, const struct fake_engine *fake, bool *awake);

/* Nothing is left of what was asked: no request, no buffer; and all that was counted as taken was counted as answered. */
void pass_expect_rest(const struct loop *loop);

#endif
