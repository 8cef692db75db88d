/*
 * The record of one disk that xentop reads: libxenstat opens /dev/shm/td3-<pid>/vbd-<domid>-<devid>,
 * <pid> being the node kthread-pid, for disks of the kind vbd3. The layout is tapdisk's
 * (xapi-project/blktap, tapdisk-metrics-stats.h, version 1); Xen's copy is in xenstat_priv.h.
 *
 * The queue threads keep it: each adds what its own counters have grown by, at most once per pass.
 * So the figures are always of now, nobody has to wake up for them, and several queues and all
 * connections of a disk add up. Control makes and removes the memory (control/xentop.h). Never logs.
 */
#ifndef BACKEND_DATA_RECORD_H
#define BACKEND_DATA_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "backend/data/stats.h"

#define RECORD_VERSION 1u

struct record {
	uint32_t version;
	uint32_t padding;
	uint64_t out_of_requests; /* stays 0: a ring never finds our slots used up */
	uint64_t reads_taken;
	uint64_t reads_answered;
	uint64_t read_sectors; /* 512-byte units */
	uint64_t reads_us;     /* sum of the times from taken to answered */
	uint64_t writes_taken;
	uint64_t writes_answered;
	uint64_t write_sectors;
	uint64_t writes_us;
	uint64_t errors; /* requests answered with an error that were not bad themselves */
	uint64_t flags;  /* 0 */
};

/* libxenstat reads so many bytes, and takes no other order. */
_Static_assert(sizeof(struct record) == 96, "the record has 96 bytes");
_Static_assert(offsetof(struct record, out_of_requests) == 8, "words follow the version");
_Static_assert(offsetof(struct record, reads_taken) == 16, "reads first");
_Static_assert(offsetof(struct record, read_sectors) == 32, "sectors behind requests");
_Static_assert(offsetof(struct record, writes_taken) == 48, "then writes");
_Static_assert(offsetof(struct record, write_sectors) == 64, "sectors behind requests");
_Static_assert(offsetof(struct record, errors) == 80, "errors and flags last");

/*
 * The file: behind what xentop reads, a word of ours. It is set before a guest is told that data was lost (D5), so that the worker
 * that comes after one that was killed knows, whatever else the dead one had no time for.
 */
struct record_file {
	struct record record;
	uint32_t lost; /* 0 or 1 */
};

/*
 * Queue thread: add to @record what @now has over @told, which becomes what has been told. Costs a
 * few loads when nothing has changed.
 */
void record_add(struct record *record, struct record *told, const struct queue_stats *now)
	__attribute__((nonnull));

#endif
