/*
 * One ring of one disk, served by one thread. The control thread's view: everything it may do with
 * a running queue is here.
 *
 * Control thread only. queue_create() does what can fail (map the ring, bind the event channel,
 * allocate); queue_start() starts the thread; from then on all memory of the queue is the thread's
 * until queue_stop() has joined it. While it runs, control hears of it through the eventfd
 * cfg.report_fd, the status word and the counters only. Never logs.
 */
#ifndef BACKEND_DATA_QUEUE_H
#define BACKEND_DATA_QUEUE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/data/poll.h"
#include "backend/data/stats.h"
#include "backend/data/storage.h"
#include "backend/data/times.h"
#include "backend/util/limits.h"
#include "backend/util/problem.h"
#include "ring/request.h"

struct budget;
struct disk;
struct queue;
struct record;

#define QUEUE_RING_PAGES_MAX (1u << LIMIT_RING_ORDER)

/* What the handshake agreed on. Constant for the queue's life: a reconnect makes a new queue. */
struct queue_config {
	unsigned index; /* 0.. within the disk */
	uint32_t domid;
	uint32_t ring_ref[QUEUE_RING_PAGES_MAX];
	unsigned nr_ring_refs;
	uint32_t event_channel; /* the frontend's port */
	enum wire_abi abi;
	bool persistent;       /* both sides offered feature-persistent */
	bool map_each;         /* pages that do not stay mapped are mapped for each request */
	unsigned max_grants;   /* pages of data mapped at a time; more is copied */
	struct budget *budget; /* borrowed: what all disks of the host may have mapped; or NULL */
	enum storage_engine engine;
	bool flush;          /* FLUSH_DISKCACHE was offered */
	bool barrier;        /* WRITE_BARRIER was offered */
	bool discard;        /* DISCARD was offered */
	bool stop_on_error;  /* D9: what the storage cannot do is kept, and nothing more taken */
	bool stop_on_enospc; /* ... what it has no room for */
	bool gather; /* an fdatasync may be put off for a moment, so that more flushes share it (D3) */
	bool pinned; /* its threads run on .cpus only */
	cpu_set_t cpus;
	struct poll_terms poll; /* looking for work before sleeping */
	unsigned timeout_ms;    /* I/O that takes longer is counted as stalled; 0: none is */
	bool indirect;          /* indirect requests were offered, of LIMIT_SEGMENTS */
	int report_fd;          /* eventfd, borrowed: written when something is worth a look */
	struct record *record;  /* borrowed: what xentop reads, shared by all queues; or NULL */
};

enum queue_status {
	QUEUE_RUNNING,
	QUEUE_BROKEN, /* the guest broke the ring (R16): nothing more is taken from it */
};

/*
 * Attach to the guest's ring. On failure nothing is left behind, -errno is returned and
 * @ret_problem names the grant or port. @disk must outlive the queue.
 */
int queue_create(const struct queue_config *cfg, struct disk *disk, struct queue **ret_queue,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Start serving. -errno when no thread can be had; then the queue is as before. */
int queue_start(struct queue *queue) __attribute__((nonnull, warn_unused_result));

/*
 * Take nothing more, finish and answer everything that was taken, held writes and barriers
 * included, then join the thread. Blocks as long as the storage does. Several queues of one disk
 * must be told with queue_begin_stop() first: they may wait for each other.
 */
void queue_begin_stop(struct queue *queue) __attribute__((nonnull));
void queue_stop(struct queue *queue) __attribute__((nonnull));

/*
 * Release grants, event channel, engine and memory. Stops first if it runs. NULL is fine.
 * @ret_stats, if not NULL, gets the final counters: pages mapped and unmapped should be equal.
 */
void queue_destroy(struct queue *queue, struct queue_stats *ret_stats);

/* D9: the disk is being taken away: what the storage cannot do is answered from now on. Whoever is stopped is to go on then. */
void queue_keep_no_more(struct queue *queue) __attribute__((nonnull));

enum queue_status queue_status(const struct queue *queue) __attribute__((nonnull));

/* The counters as of now, at any time; and whether they report trouble since the last call. */
struct queue_stats queue_stats(const struct queue *queue) __attribute__((nonnull));
bool queue_take_report(struct queue *queue) __attribute__((nonnull));

/*
 * From now on the next request that is taken from the ring is reported, once. Any time: one that is being taken may go without, whether it was counted
 * or not.
 */
void queue_report_request(struct queue *queue) __attribute__((nonnull));

/* How long requests took, as of now, at any time: added to @sum. */
void queue_add_times(const struct queue *queue, struct queue_times *sum) __attribute__((nonnull));

/*
 * One pass over everything there is to do, without waiting: what the thread does in a loop. For
 * tests that drive a queue without a thread. True when another pass has work at once.
 */
bool queue_poll_once(struct queue *queue) __attribute__((nonnull));

#endif
