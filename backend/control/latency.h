/*
 * How long requests took, in words: for a control client's JSON and for the log.
 *
 * Control thread only.
 */
#ifndef BACKEND_CONTROL_LATENCY_H
#define BACKEND_CONTROL_LATENCY_H

struct json_object;
struct queue_times;

/*
 * {"read": {"answered": {"count", "p50_us", "p99_us", "p999_us", "buckets": [[LIMIT_NS, COUNT]...]}, "stored": ...}, ...} of
 * what there was. A quantile above all limits is null. NULL when there is no memory.
 */
struct json_object *latency_json(const struct queue_times *times) __attribute__((nonnull));

/* A line for each kind of request that there was. */
void latency_log(const struct queue_times *times) __attribute__((nonnull));

#endif
