/*
 * One I/O, done while the caller waits: for helpers.
 *
 * Any thread. Never logs.
 */
#ifndef BACKEND_DATA_BLOCKING_H
#define BACKEND_DATA_BLOCKING_H

#include "backend/data/engine.h"

/* 0 or -errno, as in struct engine_done: a read or write that could not be done whole says what kept it from that. */
int blocking_io(const struct engine_io *io) __attribute__((nonnull, warn_unused_result));

#endif
