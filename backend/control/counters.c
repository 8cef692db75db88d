#include "backend/control/counters.h"

#include <json-c/json.h>
#include <stddef.h>

#include "backend/util/json.h"

enum merge {
	MERGE_SUM,
	MERGE_MAX,
	MERGE_LAST, /* whichever is set */
};

struct counter {
	const char *name;
	size_t offset;
	enum merge merge;
};

#define COUNTER(name, merge)                                                                       \
	{                                                                                          \
#name, offsetof(struct queue_stats, name), merge                                   \
	}
#define REFUSED(reason, name)                                                                      \
	{                                                                                          \
		"refused_" name, offsetof(struct queue_stats, refused[reason]), MERGE_SUM          \
	}

static const struct counter counters[] = {
	COUNTER(reads, MERGE_SUM),
	COUNTER(writes, MERGE_SUM),
	COUNTER(flushes, MERGE_SUM),
	COUNTER(barriers, MERGE_SUM),
	COUNTER(discards, MERGE_SUM),
	COUNTER(read_sectors, MERGE_SUM),
	COUNTER(write_sectors, MERGE_SUM),
	COUNTER(discard_sectors, MERGE_SUM),
	COUNTER(reads_taken, MERGE_SUM),
	COUNTER(reads_answered, MERGE_SUM),
	COUNTER(reads_ns, MERGE_SUM),
	COUNTER(reads_max_ns, MERGE_MAX),
	COUNTER(writes_taken, MERGE_SUM),
	COUNTER(writes_answered, MERGE_SUM),
	COUNTER(writes_ns, MERGE_SUM),
	COUNTER(writes_max_ns, MERGE_MAX),
	COUNTER(indirect_taken, MERGE_SUM),
	COUNTER(merged, MERGE_SUM),
	COUNTER(in_flight, MERGE_SUM),
	REFUSED(BLK_BAD_OP, "operation"),
	REFUSED(BLK_BAD_SEGMENT_COUNT, "segment_count"),
	REFUSED(BLK_BAD_SEGMENT_RANGE, "segment_range"),
	REFUSED(BLK_BEYOND_END, "beyond_end"),
	REFUSED(BLK_READ_ONLY, "read_only"),
	COUNTER(failed, MERGE_SUM),
	COUNTER(failed_guest, MERGE_SUM),
	COUNTER(failed_reads, MERGE_SUM),
	COUNTER(failed_writes, MERGE_SUM),
	COUNTER(failed_discards, MERGE_SUM),
	COUNTER(failed_syncs, MERGE_SUM),
	COUNTER(last_read_error, MERGE_LAST),
	COUNTER(last_write_error, MERGE_LAST),
	COUNTER(last_discard_error, MERGE_LAST),
	COUNTER(last_sync_error, MERGE_LAST),
	COUNTER(kept, MERGE_SUM),
	COUNTER(last_kept_error, MERGE_LAST),
	COUNTER(stalled, MERGE_SUM),
	COUNTER(stalled_max_ns, MERGE_MAX),
	COUNTER(syncs, MERGE_SUM),
	COUNTER(grants_mapped, MERGE_SUM),
	COUNTER(grants_unmapped, MERGE_SUM),
	COUNTER(grants_over_limit, MERGE_SUM),
	COUNTER(grants_released, MERGE_SUM),
	COUNTER(segments_persistent, MERGE_SUM),
	COUNTER(segments_mapped, MERGE_SUM),
	COUNTER(segments_copied, MERGE_SUM),
	COUNTER(events, MERGE_SUM),
	COUNTER(notifications, MERGE_SUM),
	COUNTER(passes, MERGE_SUM),
	COUNTER(looks, MERGE_SUM),
	COUNTER(looks_found, MERGE_SUM),
	COUNTER(looks_ns, MERGE_SUM),
};

#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))

/* refused[BLK_REQUEST_OK] is the one word that counts nothing. */
_Static_assert(sizeof(struct queue_stats) == (NR_COUNTERS + 1) * sizeof(uint64_t),
	"every counter of struct queue_stats has its line in the table");

static uint64_t get(const struct queue_stats *stats, size_t offset)
{
	return ((const uint64_t *)stats)[offset / sizeof(uint64_t)];
}

void counters_add(struct queue_stats *sum, const struct queue_stats *stats)
{
	for (size_t i = 0; i < NR_COUNTERS; i++) {
		uint64_t *word = (uint64_t *)sum + counters[i].offset / sizeof(uint64_t);
		uint64_t value = get(stats, counters[i].offset);

		switch (counters[i].merge) {
		case MERGE_SUM:
			*word += value;
			break;
		case MERGE_MAX:
			*word = value > *word ? value : *word;
			break;
		case MERGE_LAST:
			*word = value ? value : *word;
			break;
		}
	}
}

struct json_object *counters_json(const struct queue_stats *stats)
{
	struct json_object *object = json_object_new_object();
	bool ok = object != NULL;

	for (size_t i = 0; i < NR_COUNTERS && ok; i++)
		ok = json_set(object, counters[i].name,
			json_object_new_uint64(get(stats, counters[i].offset)));
	if (ok)
		return object;
	json_object_put(object);
	return NULL;
}
