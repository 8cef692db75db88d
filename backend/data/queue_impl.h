/*
 * The inside of a queue, for queue.c (its life), pass.c (its work) and move.c (its data).
 *
 * Everything belongs to the queue thread while it runs, except the statistics and the three words at the end.
 */
#ifndef BACKEND_DATA_QUEUE_IMPL_H
#define BACKEND_DATA_QUEUE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "backend/data/channel.h"
#include "backend/data/disk.h"
#include "backend/data/engine.h"
#include "backend/data/guest.h"
#include "backend/data/order.h"
#include "backend/data/pcache.h"
#include "backend/data/queue.h"
#include "backend/data/record.h"
#include "backend/data/slot.h"
#include "ring/backring.h"

/* The tag of the queue's one fdatasync; the other tags are slots. */
#define QUEUE_SYNC_TAG LIMIT_SLOTS

#define QUEUE_SLOT_BUFFER ((size_t)LIMIT_SEGMENTS * WIRE_PAGE_SIZE)

/* Some of the queue's slots, in the order they came. Room for all. */
struct slot_list {
	unsigned n;
	uint16_t *slot;
};

struct queue {
	struct queue_config cfg;
	struct disk *disk;
	struct blk_limits limits; /* the size as of the last look at the ring */

	struct guest guest;
	void *ring_pages;
	struct backring ring;
	struct channel channel;

	struct engine *engine;
	struct order_port order;
	bool look; /* the ordering object may have something for us */

	/* Arrays of nr_slots, the ring's. */
	unsigned nr_slots;
	struct slot *slot;
	struct slot_list free;
	struct slot_list taken; /* of this pass */
	struct slot_list done;  /* of this pass */
	struct iovec (*iov)[LIMIT_SEGMENTS];
	uint8_t *buffers;    /* QUEUE_SLOT_BUFFER for each, page-aligned */
	unsigned nr_touched; /* of the first so many buffers some may have become memory */
	struct guest_copy parts[GUEST_COPY_MAX];
	unsigned nr_parts;
	struct pcache pcache;

	pthread_t thread;
	bool has_thread;
	bool joined; /* takes part in the disk's ordering */
	int epoll_fd;
	int wake_fd; /* the disk and control write it */

	struct queue_stats stats; /* written by the queue thread, read by any */
	struct record told;       /* what cfg.record has of them */
	atomic_bool stop;         /* control -> queue */
	atomic_bool report;       /* queue -> control */
	atomic_uint status;       /* queue -> control */
};

/* ---- move.c: a request's data ---- */

/* Get at the guest's pages of all taken slots; those that fail become DONE with an error. */
void move_in(struct queue *q) __attribute__((nonnull));

/* Bring what was read into the guest's pages for all done slots, and let go of their pages. */
void move_out(struct queue *q) __attribute__((nonnull));

/* ---- pass.c ---- */

/* The answer of @slot is known: it is written at the end of this pass. */
void slot_finish(struct queue *q, unsigned slot, int16_t status) __attribute__((nonnull));

/* Tell control that the counters are worth a look. */
void queue_report(struct queue *q) __attribute__((nonnull));

/* Nothing taken is unanswered and the engine is empty. */
bool queue_is_idle(const struct queue *q) __attribute__((nonnull));

static inline uint8_t *slot_buffer(const struct queue *q, unsigned slot)
{
	return q->buffers + slot * QUEUE_SLOT_BUFFER;
}

#endif
