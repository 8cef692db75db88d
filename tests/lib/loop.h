/*
 * A queue of the backend and the frontend's end of its ring in one process, without xenstore: this
 * domain grants its pages to itself. For tests that drive queue_poll_once() themselves (pass.h), or
 * look at the queue's thread through the thread sanitizer.
 *
 * The frontend's part belongs to one thread. Runs below tests/lib/in-host.
 */
#ifndef TESTS_LIB_LOOP_H
#define TESTS_LIB_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/data/disk.h"
#include "backend/data/queue.h"
#include "ring/frontring.h"

#define LOOP_PAGES        1200u /* more than a queue keeps mapped */
#define LOOP_DISK_SECTORS 4096u

struct loop {
	struct xengntdev_handle *gntshr;
	struct xenevtchn_handle *evtchn;
	uint32_t port;
	void *ring_pages;
	unsigned nr_ring_pages;
	uint32_t ring_ref[QUEUE_RING_PAGES_MAX];
	uint8_t *pages;
	uint32_t ref[LOOP_PAGES];
	struct frontring ring;
	struct disk own_disk;
	unsigned unit;
	struct disk *disk; /* own_disk, or another loop's */
	unsigned index;    /* of the queue on that disk */
	struct queue *queue;
	int report_fd;
	int image_fd; /* buffered, for looking */
	/* May be changed before loop_connect(). */
	bool persistent;
	bool map_each;
	unsigned max_grants;
	struct budget *budget;
};

/* Grants, a sparse image, a disk; no queue yet. */
void loop_init(struct loop *loop, bool persistent);
/* The same with a ring of that many pages instead of one. */
void loop_init_ring(struct loop *loop, bool persistent, unsigned nr_ring_pages);
/* On storage that takes direct I/O in units of so many bytes only. The file below takes less, who looks at it has to check. */
void loop_init_unit(struct loop *loop, bool persistent, unsigned unit);
/* The same for a second queue of @first's disk. To be ended before @first. */
void loop_init_beside(struct loop *loop, struct loop *first);
void loop_fini(struct loop *loop);

/* A connection: a fresh ring and queue. The end asserts that all that was mapped was unmapped. */
void loop_connect(struct loop *loop);
void loop_disconnect(struct loop *loop);

/* Write one request of whole pages, not yet published. Page @page and those after it. */
void loop_put(struct loop *loop, uint64_t id, uint8_t op, uint64_t sector, unsigned page,
	unsigned nr_pages);
/* The same for an indirect request; its segments are written to the page @descriptor. */
void loop_put_indirect(struct loop *loop, uint64_t id, uint8_t op, uint64_t sector, unsigned page,
	unsigned nr_pages, unsigned descriptor);
/* Any request: segments as @req has them, but their grants are those of @page and the pages after it. */
void loop_put_request(struct loop *loop, const struct blk_request *req, unsigned page);
/* A discard. */
void loop_put_discard(struct loop *loop, uint64_t id, uint64_t sector, uint64_t nr_sectors);
/* Publish, and send an event if the backend asked for one. */
void loop_push(struct loop *loop);

/* Take one response. */
bool loop_get(struct loop *loop, struct frontring_response *ret_rsp);
/* Take one, which is there and is exactly this one (R13). */
void loop_expect(struct loop *loop, uint64_t id, uint8_t op, int16_t status);
/* There is none. */
void loop_expect_none(struct loop *loop);
/* Take all that there are now, each of which has that status (R13). How many. */
unsigned loop_take_answers(struct loop *loop, int16_t status);
/* Wait for one, the queue's thread running. */
struct frontring_response loop_wait(struct loop *loop);

/* Wait until one of @n rings has a response, the queues' threads running. */
void loop_wait_any(struct loop *loop, unsigned n);

/* Events the backend sent since the last call. */
unsigned loop_take_events(struct loop *loop);

/* Pages of data that the queue has mapped now; those of the ring do not count. */
uint64_t loop_nr_mapped(const struct loop *loop);

#endif
