/*
 * The inside of a queue, for queue.c (its life), pass.c (its work), indirect.c (its segments), move.c (its data), io.c (its storage),
 * rmw.c (its blocks), kept.c and stall.c (what the storage could not do), wait.c (its sleep) and trim.c (what it gives back).
 *
 * Everything belongs to the queue thread while it runs, except the statistics, the times and the words at the end.
 */
#ifndef BACKEND_DATA_QUEUE_IMPL_H
#define BACKEND_DATA_QUEUE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>

#include "backend/data/buffers.h"
#include "backend/data/channel.h"
#include "backend/data/disk.h"
#include "backend/data/engine.h"
#include "backend/data/guest.h"
#include "backend/data/order.h"
#include "backend/data/pcache.h"
#include "backend/data/poll.h"
#include "backend/data/queue.h"
#include "backend/data/record.h"
#include "backend/data/slot.h"
#include "backend/data/times.h"
#include "ring/backring.h"

/* The tag of the queue's one fdatasync; the other tags are slots. */
#define QUEUE_SYNC_TAG LIMIT_SLOTS

/* Some of the queue's slots, in the order they came. Room for all. */
struct slot_list {
	unsigned n;
	uint16_t *slot;
};

/* Requests that become one I/O: io.c. */
struct io_run {
	unsigned n;     /* 0: there is none */
	uint16_t first; /* slots */
	uint16_t last;
	unsigned nr_iovecs;
	uint64_t nr_sectors;
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
	uint32_t gate;     /* as last seen: what is to be taken goes by it */
	bool look;         /* the ordering object may have something for us */
	bool ends_at_once; /* what the last pass began had ended in it */

	/* Arrays of nr_slots, the ring's. Slots and iovecs are address space until they are used. */
	unsigned nr_slots;
	unsigned nr_touched; /* since the last trim, of the first so many slots some were used */
	struct slot *slot;
	struct slot_list free;
	struct slot_list taken;   /* of this pass */
	struct slot_list done;    /* of this pass */
	struct slot_list waiting; /* taken before, and then there were no buffers */
	struct slot_list kept;    /* SLOT_KEPT: kept.c */
	struct iovec (*iov)[LIMIT_SEGMENTS];
	struct io_run run;   /* not yet put into the engine */
	unsigned nr_blocked; /* writes that wait for their blocks: rmw.c */
	unsigned take_limit; /* runs that the next pass takes: pass.c */

	uint64_t (*descriptors)[BLK_INDIRECT_PAGES * WIRE_PAGE_SIZE / 8]; /* of a pass */
	struct guest_copy parts[GUEST_COPY_MAX];
	unsigned nr_parts;
	struct buffers buffers;
	struct pcache pcache;

	pthread_t thread;
	bool has_thread;
	bool joined; /* takes part in the disk's ordering */
	int epoll_fd;
	int wake_fd; /* the disk and control write it */

	struct poller poller;
	uint64_t slept_ns;   /* before the pass that comes; 0: it did not sleep */
	unsigned slept_with; /* ... with so many requests in flight */

	uint64_t start_ns; /* of what goes to the storage in this pass; 0: nothing yet */
	uint64_t sync_ns;  /* when the running fdatasync was started */
	bool sync_runs;
	uint64_t gather_until_ns;    /* the next fdatasync is put off for so long; 0: it is not */
	uint64_t stall_look_ns;      /* not before: stall.c */
	struct queue_times times;    /* like the statistics */
	struct queue_stats stats;    /* written by the queue thread, read by any */
	struct record told;          /* what cfg.record has of them */
	atomic_bool stop;            /* control -> queue */
	atomic_bool keeps_no_more;   /* control -> queue */
	atomic_bool reports_request; /* control -> queue, which takes it away */
	atomic_bool report;          /* queue -> control */
	atomic_uint status;          /* queue -> control */
};

/* ---- indirect.c: a request's segments ---- */

/* Bring in and judge those of all indirect requests taken. Only good ones stay in the list. */
void indirect_fetch(struct queue *q) __attribute__((nonnull));

/* ---- move.c: a request's data ---- */

/*
 * Get at the guest's pages of all taken slots; those that fail become DONE with an error. From the first one on that
 * finds no buffers, they wait and are the next that are taken.
 */
void move_in(struct queue *q) __attribute__((nonnull));

/* Bring what was read into the guest's pages for all done slots, and let go of their pages. */
void move_out(struct queue *q) __attribute__((nonnull));

/* ---- io.c: what a request asks of the storage ---- */

/* @slot reads, writes or discards, from the next io_commit() on. */
void io_start(struct queue *q, unsigned slot) __attribute__((nonnull));

/* @slot's data, now that nothing is in the way: for rmw.c. */
void io_move(struct queue *q, unsigned slot) __attribute__((nonnull));

/* The queue's one fdatasync: in a mode that does without (D6) only one that @is_needed all the same. */
void io_start_sync(struct queue *q, bool is_needed) __attribute__((nonnull));

/* @slot asks the ordering object when it may run. */
void io_ask(struct queue *q, unsigned slot, enum order_kind kind) __attribute__((nonnull));

/* An fdatasync that was put off is not any longer, if it has been long enough. */
void io_look_at_gather(struct queue *q) __attribute__((nonnull));

/* All that was started goes to the storage. */
void io_commit(struct queue *q) __attribute__((nonnull));

/* Judge what has ended; so many I/Os. Requests are finished, or go on with what is next for them. */
unsigned io_reap(struct queue *q) __attribute__((nonnull));

/* @slot once more, alone: what was read for it before counts no more. */
void io_start_again(struct queue *q, unsigned slot) __attribute__((nonnull));

/* @slot fails, and is not done again. */
void io_give_up(struct queue *q, unsigned slot) __attribute__((nonnull));

/* A write that ended like this leaves others in doubt, too (D5). */
bool io_loses_writes(const struct queue *q, const struct engine_done *done)
	__attribute__((nonnull));

/* ---- kept.c: what the storage could not do (D9) ---- */

/* Keep the request that ended like this, and stop the disk. False if it is to be answered. */
bool kept_take(struct queue *q, const struct engine_done *done)
	__attribute__((nonnull, warn_unused_result));

/* By this gate word those that are kept are to be done again; and that. */
bool kept_may_go(const struct queue *q, uint32_t gate) __attribute__((nonnull));
void kept_go(struct queue *q) __attribute__((nonnull));

/* ---- stall.c: what the storage does not answer ---- */

/* Milliseconds until it is worth a look; -1: never. */
int stall_timeout_ms(const struct queue *q, uint64_t now_ns) __attribute__((nonnull));

/* Count what has taken too long, if it is time. */
void stall_look(struct queue *q, uint64_t now_ns) __attribute__((nonnull));

/* ---- rmw.c: writes on storage with larger blocks ---- */

/* Write @slot, as soon as its blocks are its own and complete. */
void rmw_start(struct queue *q, unsigned slot) __attribute__((nonnull));

/* @slot again, which has its blocks, and was read for, or written, in vain. */
void rmw_again(struct queue *q, unsigned slot) __attribute__((nonnull));

/* Those that have waited for their blocks and have them now. */
void rmw_follow(struct queue *q) __attribute__((nonnull));

/*
 * What was read for @slot is here: it goes on. False: this was not that; or it has failed, and then @done says that nothing was
 * written.
 */
bool rmw_reap(struct queue *q, unsigned slot, struct engine_done *done)
	__attribute__((nonnull, warn_unused_result));

/* @slot is done with its blocks. */
void rmw_end(struct queue *q, unsigned slot) __attribute__((nonnull));

/* ---- wait.c ---- */

/* Until there is something to do, perhaps. */
void wait_for_work(struct queue *q) __attribute__((nonnull));

/* The pass after it has @found something to do, or not. */
void wait_judge(struct queue *q, bool found) __attribute__((nonnull));

/* ---- trim.c: what is given back when a burst is over ---- */

/* There is something of it. */
bool trim_is_due(const struct queue *q) __attribute__((nonnull));
void trim(struct queue *q) __attribute__((nonnull));

/* Milliseconds until there is something that was not used for long; -1: never. */
int trim_timeout_ms(const struct queue *q) __attribute__((nonnull));

/* ---- queue.c ---- */

/* All are free, and the first ones are taken first. */
void slots_free_all(struct queue *q) __attribute__((nonnull));

/* ---- pass.c ---- */

/* Once per stage and pass, for all its requests: the vDSO answers without a system call. */
static inline uint64_t queue_clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint32_t queue_seconds(uint64_t ns)
{
	return (uint32_t)(ns / 1000000000u);
}

/* The answer of @slot is known: it is written at the end of this pass. */
void slot_finish(struct queue *q, unsigned slot, int16_t status) __attribute__((nonnull));

/* The same, when it is not the storage's fault but the guest's pages cannot be reached. */
void slot_fail_guest(struct queue *q, unsigned slot) __attribute__((nonnull));

/* The whole of @slot has been copied: judge it. It becomes TAKEN, or DONE if it is refused. */
void slot_judge(struct queue *q, unsigned slot) __attribute__((nonnull));

/* Tell control that the counters are worth a look. */
void queue_report(struct queue *q) __attribute__((nonnull));

/* A pass would find something, as far as one can see without a system call. */
bool queue_sees_work(const struct queue *q) __attribute__((nonnull));

/* Nothing is to be taken from the ring now (D7, D9). */
bool queue_is_held_up(const struct queue *q) __attribute__((nonnull));

/* Nothing taken is unanswered and the engine is empty. */
bool queue_is_idle(const struct queue *q) __attribute__((nonnull));

#endif
