/*
 * What a queue counts. Written by its queue thread only, read by anyone at any time: a reader may
 * see figures of slightly different moments, never a torn one.
 */
#ifndef BACKEND_DATA_STATS_H
#define BACKEND_DATA_STATS_H

#include <stdint.h>

#include "ring/request.h"

struct queue_stats {
	uint64_t reads; /* requests that were answered with success */
	uint64_t writes;
	uint64_t flushes;
	uint64_t barriers;
	uint64_t discards;
	uint64_t read_sectors; /* 512-byte units */
	uint64_t write_sectors;
	uint64_t discard_sectors;
	uint64_t reads_taken; /* good requests that read, whatever becomes of them */
	uint64_t reads_answered;
	uint64_t reads_ns; /* from taken to answered, the sum and the longest */
	uint64_t reads_max_ns;
	uint64_t writes_taken; /* ... and that write: barriers and flushes with data, too */
	uint64_t writes_answered;
	uint64_t writes_ns;
	uint64_t writes_max_ns;
	uint64_t indirect_taken; /* good requests of either kind that were indirect */
	uint64_t merged;         /* requests that shared the I/O of the one before them */
	uint64_t in_flight;      /* taken and not yet answered, now */
	uint64_t refused[BLK_REASON_COUNT]; /* bad requests, by reason */
	uint64_t failed;       /* answered with an error, the bad ones above not counted */
	uint64_t failed_guest; /* guest pages could not be reached */
	uint64_t failed_reads; /* the storage said no */
	uint64_t failed_writes;
	uint64_t failed_discards;
	uint64_t failed_syncs;
	uint64_t last_read_error; /* the errno of the last of each, or 0 */
	uint64_t last_write_error;
	uint64_t last_discard_error;
	uint64_t last_sync_error;
	uint64_t kept;            /* requests that wait for an operator, now (D9) */
	uint64_t last_kept_error; /* the errno of the last of them, or 0 */
	uint64_t stalled; /* I/Os that have taken longer than they should, as of the last look */
	uint64_t stalled_max_ns;  /* ... the longest of them */
	uint64_t syncs;           /* fdatasyncs that ended, failed ones too */
	uint64_t grants_mapped;   /* ring page included */
	uint64_t grants_unmapped; /* ... equal when the queue is destroyed */
	uint64_t
		grants_over_limit; /* there would have been too many: the oldest went for it, or it was copied */
	uint64_t grants_released;     /* unmapped because they were not used for long */
	uint64_t segments_persistent; /* moved through pages that stay mapped */
	uint64_t segments_mapped;     /* ... that were mapped for the request */
	uint64_t segments_copied;     /* moved by grant copy */
	uint64_t events;              /* wake-ups by the frontend */
	uint64_t notifications;       /* events sent to the frontend */
	uint64_t passes;
	uint64_t
		looks; /* times it was looked for work before sleeping, and what they were good for */
	uint64_t looks_found;
	uint64_t looks_ns;
};

/* Queue thread only. */
static inline void stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void stat_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Any thread: a copy of all counters. */
static inline struct queue_stats stats_read(const struct queue_stats *stats)
{
	struct queue_stats copy;
	const uint64_t *from = (const uint64_t *)stats;
	uint64_t *to = (uint64_t *)&copy;

	for (unsigned i = 0; i < sizeof(copy) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return copy;
}

#endif
