/*
 * Tells the log what a queue counted: the queue itself never logs.
 *
 * Control thread only. One line per cause and interval, however often a guest causes it (XSA-180);
 * each says how often it has happened so far, so the next line tells what was kept back.
 */
#ifndef BACKEND_CONTROL_REPORT_H
#define BACKEND_CONTROL_REPORT_H

#include <stdint.h>

#include "backend/data/stats.h"
#include "backend/util/log.h"

/* One cause per reason of refusal, and these. */
enum report_cause {
	REPORT_GUEST_PAGES = BLK_REASON_COUNT,
	REPORT_READS,
	REPORT_WRITES,
	REPORT_DISCARDS,
	REPORT_SYNCS,
	REPORT_STALL,
	REPORT_CAUSES,
};

struct report {
	struct queue_stats told;
	struct log_limit limit[REPORT_CAUSES];
};

/* Log what has been added to @stats since the last call, within the limits. */
void report_trouble(struct report *report, const struct queue_stats *stats, uint64_t now_ms)
	__attribute__((nonnull));

/* Two lines with everything that was done. */
void report_totals(const struct queue_stats *stats) __attribute__((nonnull));

/* After a queue was destroyed: an error if it left pages of the guest mapped. */
void report_leak(const struct queue_stats *stats) __attribute__((nonnull));

#endif
