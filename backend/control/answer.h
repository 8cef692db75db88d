/*
 * What the worker answers on its control socket: a request is a line of words, an answer one JSON
 * object. blkbackctl(8) documents both.
 *
 * Control thread only; show reads the frontend's state from the store, resize may write to it. Times are
 * CLOCK_MONOTONIC milliseconds.
 */
#ifndef BACKEND_CONTROL_ANSWER_H
#define BACKEND_CONTROL_ANSWER_H

#include <stdint.h>

struct json_object;
struct vbd;

/*
 * The answer to @line, which may be anything and is taken apart; {"error": ...} when it is no request. NULL without
 * memory. Logs a change of what the operator changed.
 */
struct json_object *answer(struct vbd *vbd, uint64_t now_ms, char *line)
	__attribute__((nonnull, warn_unused_result));

#endif
