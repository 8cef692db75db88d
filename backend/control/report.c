#include "backend/control/report.h"

#include <inttypes.h>
#include <string.h>

#include "backend/util/limits.h"

static void tell(struct report *report, unsigned cause, uint64_t now_ms, uint64_t told,
	uint64_t counted, int level, const char *what)
{
	if (counted == told || !log_limit_pass(&report->limit[cause], now_ms, LIMIT_LOG_TROUBLE))
		return;
	log_line(level, "%s (%" PRIu64 " so far on this connection)", what, counted);
}

static void tell_storage(struct report *report, unsigned cause, uint64_t now_ms, uint64_t told,
	uint64_t counted, uint64_t error, const char *what)
{
	if (counted == told || !log_limit_pass(&report->limit[cause], now_ms, LIMIT_LOG_TROUBLE))
		return;
	log_err("%s failed: %s (%" PRIu64 " so far on this connection)", what, strerror((int)error),
		counted);
}

/* As long as it lasts; and when it is over. */
static void tell_stall(struct report *report, const struct queue_stats *told,
	const struct queue_stats *now, uint64_t now_ms)
{
	if (now->stalled == 0 && told->stalled > 0)
		log_warn("the storage answers again");
	if (now->stalled > 0 &&
		log_limit_pass(&report->limit[REPORT_STALL], now_ms, LIMIT_LOG_TROUBLE))
		log_warn("the storage does not answer: %" PRIu64 " I/Os wait, for up to %" PRIu64
			 " seconds",
			now->stalled, now->stalled_max_ns / 1000000000u);
}

void report_trouble(struct report *report, const struct queue_stats *now, uint64_t now_ms)
{
	struct queue_stats *told = &report->told;

	for (unsigned i = 0; i < BLK_REASON_COUNT; i++)
		tell(report, i, now_ms, told->refused[i], now->refused[i], LOG_WARNING,
			blk_reason_text(i));
	tell(report, REPORT_GUEST_PAGES, now_ms, told->failed_guest, now->failed_guest, LOG_WARNING,
		"guest pages could not be read or written: their grants are not good");
	tell_storage(report, REPORT_READS, now_ms, told->failed_reads, now->failed_reads,
		now->last_read_error, "a read from the storage");
	tell_storage(report, REPORT_WRITES, now_ms, told->failed_writes, now->failed_writes,
		now->last_write_error, "a write to the storage");
	tell_storage(report, REPORT_DISCARDS, now_ms, told->failed_discards, now->failed_discards,
		now->last_discard_error, "a discard");
	tell_storage(report, REPORT_SYNCS, now_ms, told->failed_syncs, now->failed_syncs,
		now->last_sync_error,
		"data the guest wrote may be lost, and all further writes and flushes fail until the disk is detached and attached again, or blkbackctl clear-fault accepts that: fdatasync");
	tell_stall(report, told, now, now_ms);
	*told = *now;
}

void report_totals(const struct queue_stats *s)
{
	uint64_t refused = 0;

	for (unsigned i = 0; i < BLK_REASON_COUNT; i++)
		refused += s->refused[i];
	log_info("served reads=%" PRIu64 " writes=%" PRIu64 " flushes=%" PRIu64 " barriers=%" PRIu64
		 " discards=%" PRIu64 " indirect=%" PRIu64 " merged=%" PRIu64
		 " read_sectors=%" PRIu64 " write_sectors=%" PRIu64 " fdatasyncs=%" PRIu64
		 " in_flight=%" PRIu64 " refused=%" PRIu64 " failed=%" PRIu64,
		s->reads, s->writes, s->flushes, s->barriers, s->discards, s->indirect_taken,
		s->merged, s->read_sectors, s->write_sectors, s->syncs, s->in_flight, refused,
		s->failed);
	log_info("moved segments_persistent=%" PRIu64 " segments_mapped=%" PRIu64
		 " segments_copied=%" PRIu64 " grants_mapped=%" PRIu64 " grants_unmapped=%" PRIu64
		 " events=%" PRIu64 " notifications=%" PRIu64 " passes=%" PRIu64,
		s->segments_persistent, s->segments_mapped, s->segments_copied, s->grants_mapped,
		s->grants_unmapped, s->events, s->notifications, s->passes);
}

void report_leak(const struct queue_stats *s)
{
	if (s->grants_mapped != s->grants_unmapped)
		log_err("%" PRIu64 " grants of the guest were left mapped",
			s->grants_mapped - s->grants_unmapped);
}
