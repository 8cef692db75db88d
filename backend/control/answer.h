/*
 * What the worker answers on its control socket: a request is a line of words, an answer one JSON
 * object. blkbackctl(8) documents both.
 *
 * Control thread only; show reads the frontend's state from the store, resize, set-cache and clear-fault may write to it. Times are
 * CLOCK_MONOTONIC milliseconds.
 */
#ifndef BACKEND_CONTROL_ANSWER_H
#define BACKEND_CONTROL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct vbd;

/*
 * The answer to @line, which may be anything and is taken apart; {"error": ...} when it is no request. NULL without
 * memory. False if it comes later, by answer_change(). Logs a change of what the operator changed.
 */
bool answer(struct vbd *vbd, uint64_t now_ms, char *line, struct json_object **ret_answer)
	__attribute__((nonnull, warn_unused_result));

/* True, with that answer, if what an earlier line asked for is over now. */
bool answer_change(struct vbd *vbd, struct json_object **ret_answer)
	__attribute__((nonnull, warn_unused_result));

#endif
