/*
 * What happened in a crash test: the disk's journal and the guests' logs, as one sequence of events.
 *
 * A line of either begins with its tick (ticks.h). Runs of sectors by one writer are NUMBER*COUNT, see stamp.h for special numbers;
 * NUMBER+NUMBER*COUNT are sectors that are torn between two.
 *
 * The disk's (voldisk):
 *   TICK write OP SECTOR COUNT fua|volatile NUMBER*COUNT...      begins; fua: its end makes it durable
 *   TICK discard OP SECTOR COUNT
 *   TICK flush OP
 *   TICK end OP ERRNO                                            is over, well (0) or not
 *
 * A guest's (crash-guest):
 *   TICK mode MODE                 the contract from now on: none, directsync, writethrough, writeback, unsafe
 *   TICK changing MODE             it is being changed: no more than both promise
 *   TICK attach                    the toolstack has attached the disk anew: what was lost before is known to be lost
 *   TICK connect NR_QUEUES         new rings
 *   TICK submit NUMBER QUEUE KIND SECTOR COUNT                   KIND: write, flush, barrier, discard, read
 *   TICK answer NUMBER STATUS [NUMBER*COUNT...]                  of a read that worked: who wrote what it found
 *   TICK close                     an orderly end of the connection
 *   TICK lost                      an end of another kind; what has no answer never gets one
 *
 * Plain data; a wrong line is fatal and says so.
 */
#ifndef TESTS_CRASH_CRASH_LOG_H
#define TESTS_CRASH_CRASH_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode {
	MODE_NONE,
	MODE_DIRECTSYNC,
	MODE_WRITETHROUGH,
	MODE_WRITEBACK,
	MODE_UNSAFE,
	MODE_COUNT,
};

extern const char *const mode_names[MODE_COUNT];

enum what {
	WHAT_OP_START,
	WHAT_OP_END,
	WHAT_SUBMIT,
	WHAT_ANSWER,
	WHAT_MODE,
	WHAT_CHANGING,
	WHAT_ATTACH,
	WHAT_CONNECT,
	WHAT_CLOSE,
	WHAT_LOST,
};

struct event {
	uint64_t tick;
	uint8_t what;
	uint32_t index; /* an operation, a request, a mode, a number of queues */
};

enum op_kind {
	OP_WRITE,
	OP_DISCARD,
	OP_FLUSH,
};

struct op {
	uint64_t start, end; /* ticks; end 0: it never ended */
	uint64_t sector;
	uint32_t nr_sectors;
	uint32_t *value; /* of a write: who wrote each sector; see crash_log_parts() */
	int error;
	uint8_t kind;
	bool fua;
};

enum request_kind {
	REQUEST_WRITE,
	REQUEST_FLUSH,
	REQUEST_BARRIER,
	REQUEST_DISCARD,
	REQUEST_READ,
	REQUEST_KIND_COUNT,
};

extern const char *const request_names[REQUEST_KIND_COUNT];

struct request {
	uint64_t submit, answer; /* ticks; answer 0: none */
	uint64_t sector;
	uint32_t nr_sectors;
	uint32_t *value; /* of a read that worked: who wrote each sector it found */
	int status;
	uint8_t kind, queue;
};

/* Who wrote parts of a sector. */
struct torn {
	uint32_t part[2];
};

struct crash_log {
	struct event *event;
	size_t nr_events;
	struct op *op; /* by number; those that are not there have start 0 */
	size_t nr_ops; /* the largest number + 1 */
	struct request *request;
	size_t nr_requests;
	uint64_t nr_sectors; /* the largest one mentioned + 1 */
	struct torn *torn;
	size_t nr_torn;
};

/* Any number of files, of either kind. Sorted by tick afterwards. */
void crash_log_read(struct crash_log *log, const char *path) __attribute__((nonnull));
void crash_log_sort(struct crash_log *log) __attribute__((nonnull));
void crash_log_fini(struct crash_log *log) __attribute__((nonnull));

/* Who wrote what a sector holds: one, which is @value itself, or two. */
const uint32_t *crash_log_parts(const struct crash_log *log, const uint32_t *value, unsigned *ret_n)
	__attribute__((nonnull));

/* The mode of that name, or MODE_COUNT. */
unsigned mode_of(const char *name) __attribute__((nonnull));

/* realloc() for @n elements, more room than that at a time; exits without memory. */
void *grow(void *memory, size_t n, size_t size);

#endif
