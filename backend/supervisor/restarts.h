/*
 * How often one disk's worker has died lately, and what follows: how long to wait before the next
 * one is started, or that it is enough.
 *
 * Pure: no I/O, any thread; time is handed in.
 */
#ifndef BACKEND_SUPERVISOR_RESTARTS_H
#define BACKEND_SUPERVISOR_RESTARTS_H

#include <stdbool.h>
#include <stdint.h>

#define RESTARTS_LIMIT_MAX 100

struct restarts_rules {
	uint32_t delay_min_ms;
	uint32_t delay_max_ms;
	uint32_t limit; /* deaths within the window that are too many; 0: none is */
	uint32_t window_ms;
};

/* Zeroed: none has died. */
struct restarts {
	uint64_t deaths_ms[RESTARTS_LIMIT_MAX]; /* oldest first */
	unsigned n;
};

/*
 * One more died at @now_ms. True when another is to be started after @ret_delay_ms: the shortest
 * delay after the first death within the window, doubled with each further one, up to the longest.
 */
bool restarts_again(struct restarts *restarts, const struct restarts_rules *rules, uint64_t now_ms,
	uint32_t *ret_delay_ms) __attribute__((nonnull, warn_unused_result));

#endif
