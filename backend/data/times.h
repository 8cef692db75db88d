/*
 * How long a queue's requests took. Written by its queue thread only, read by anyone at any time.
 *
 * Answered: from taken out of the ring to the response. Stored: what the storage took of that; of a flush or barrier, the
 * fdatasyncs count by themselves. Bad requests are not counted.
 */
#ifndef BACKEND_DATA_TIMES_H
#define BACKEND_DATA_TIMES_H

#include "backend/data/histogram.h"

enum times_answered {
	TIMES_READ,
	TIMES_WRITE,
	TIMES_FLUSH,
	TIMES_BARRIER,
	TIMES_DISCARD,
	TIMES_ANSWERED_COUNT,
};

enum times_stored {
	TIMES_STORED_READ,
	TIMES_STORED_WRITE,
	TIMES_STORED_SYNC,
	TIMES_STORED_DISCARD,
	TIMES_STORED_COUNT,
};

struct queue_times {
	struct histogram answered[TIMES_ANSWERED_COUNT];
	struct histogram stored[TIMES_STORED_COUNT];
};

/* Add what @from has counted so far to @sum, which is the caller's own. */
void times_add(struct queue_times *sum, const struct queue_times *from) __attribute__((nonnull));

#endif
