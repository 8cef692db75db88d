/*
 * The counters of struct queue_stats by name, and how those of several queues or connections become
 * one. A counter that is not in the table does not compile.
 *
 * Any thread; pure, but for the memory of the JSON object.
 */
#ifndef BACKEND_CONTROL_COUNTERS_H
#define BACKEND_CONTROL_COUNTERS_H

#include "backend/data/stats.h"

struct json_object;

/* @sum becomes both together: sums, the larger of maxima, the last error that was one. */
void counters_add(struct queue_stats *sum, const struct queue_stats *stats)
	__attribute__((nonnull));

/* A new object with every counter, or NULL without memory; json_object_put() frees it. */
struct json_object *counters_json(const struct queue_stats *stats)
	__attribute__((nonnull, warn_unused_result));

#endif
