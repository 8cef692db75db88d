/*
 * One connection of a frontend: the storage opened, the rings served, and both let go again.
 *
 * Control thread only. A disk has at most one at a time; every reconnect is a new one. What outlives
 * a connection is the fault latch (D5). Logs what it did when it ends.
 */
#ifndef BACKEND_CONTROL_CONNECTION_H
#define BACKEND_CONTROL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/control/change.h"
#include "backend/control/handshake.h"
#include "backend/control/image.h"
#include "backend/control/options.h"
#include "backend/control/publish.h"
#include "backend/control/report.h"
#include "backend/control/size_watch.h"
#include "backend/data/budget.h"
#include "backend/data/disk.h"
#include "backend/data/queue.h"

struct store;

struct connection {
	struct disk disk;
	struct image image; /* taken as long as the disk is open */
	struct queue *queue[LIMIT_QUEUES];
	struct disk_features features;    /* as published; of a new size the disk knows first */
	struct storage_identity identity; /* of the first connection: no other is taken later */
	struct disk_options options;      /* as of its opening */
	enum storage_engine engine;       /* chosen by them */
	enum cache_mode default_cache;    /* of a disk whose options do not say */
	unsigned nr_queues;               /* 0 while there are none */
	int fault; /* 0, or the -errno that latched the disk in this process's life */

	bool has_disk;
	bool watches; /* the disk is read beside the guest's emulated one (E4); whoever opens says so */
	bool has_identity;
	bool lost_write;   /* the fault is of a write, not of an fdatasync */
	bool flush_failed; /* this connection's frontend was told so: it may send no more (D5) */
	bool told_stopped; /* the log and the store have it that it is stopped (D9) */
	bool told_deaf;    /* that the size cannot be watched */

	struct change change; /* of the cache mode (D7) */

	struct size_watch size_watch;
	uint64_t size_bytes; /* of the storage, at the last look; 0 if it could not be read */

	struct budget *budget; /* borrowed: of the host; NULL: nothing may be mapped */

	struct record_file *record; /* borrowed: what xentop reads, or NULL */
	struct queue_stats past;    /* of all connections that have ended */
	struct queue_times past_times;
	struct report report;
	struct log_limit limit_totals;
	struct log_limit limit_flush;
	struct log_limit limit_size;
	uint64_t nr_seen; /* requests, at the last look whether the guest stirs */
	int report_fd;    /* eventfd the queues write */
};

/* No connection yet. -errno when there are no descriptors. */
int connection_init(struct connection *conn) __attribute__((nonnull, warn_unused_result));

/* Close if open, release all. May be called twice. */
void connection_fini(struct connection *conn) __attribute__((nonnull));

/*
 * Open the storage that @backend names, own it, and attach to the rings of @domid by @keys. Nothing is served
 * yet. On failure -errno with a sentence, and nothing is open; if .image.is_kept_out it may be worth another try.
 */
int connection_open(struct connection *conn, struct store *store, const char *backend,
	uint32_t domid, const struct handshake *keys, uint64_t now_ms, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* Serve. */
int connection_start(struct connection *conn, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * Answer what was taken, flush the storage, let everything go. Blocks as long as the storage does.
 * 0 when there was none; -errno when the flush failed, which is logged and latches the disk. Times
 * are CLOCK_MONOTONIC milliseconds.
 */
int connection_close(struct connection *conn, uint64_t now_ms) __attribute__((nonnull));

/* What a look at the queues' reports can find; several at once. */
#define CONNECTION_FAULTY  1u /* the disk has just been latched */
#define CONNECTION_STOPPED 2u /* the disk has just been stopped (D9) */
#define CONNECTION_BROKEN  4u /* the guest broke its ring (R16) */

/* report_fd was readable: log what there is to tell. */
unsigned connection_heed(struct connection *conn, uint64_t now_ms) __attribute__((nonnull));

/*
 * Look at the storage's size. What the guest asks from now on is judged by it; telling the guest is the
 * caller's. 0, or -errno with a sentence when it is no size for a disk, and then the old one stays. Logs what is
 * new. Only between connection_open() and connection_close().
 */
int connection_look_at_size(struct connection *conn, uint64_t now_ms, struct problem *ret_problem)
	__attribute__((nonnull));

/*
 * Whether the guest has used the disk since the last call. If not, the queues report when they take its next request: then a call of
 * connection_heed() is due.
 */
bool connection_has_stirred(struct connection *conn) __attribute__((nonnull));

/* The disk is latched (D5). And: who looks after it accepts what was lost; of a disk that is open the latch has been cleared. */
bool connection_is_faulty(struct connection *conn) __attribute__((nonnull));
void connection_forget_fault(struct connection *conn) __attribute__((nonnull));

/* D9: why the disk is stopped, for a sentence. And: go on. False if it is not stopped. */
void connection_stop_cause(const struct connection *conn, struct problem *ret_cause)
	__attribute__((nonnull));
bool connection_go_on(struct connection *conn) __attribute__((nonnull, warn_unused_result));

/* The disk is being taken away: what is kept is tried once more, and answered, so that the guest can come to its end. */
void connection_keep_no_more(struct connection *conn) __attribute__((nonnull));

/* What latched the disk, for a sentence: "fdatasync failed". */
const char *connection_fault_cause(const struct connection *conn) __attribute__((nonnull));

/* What all connections of this process counted, the present one included. */
struct queue_stats connection_totals(const struct connection *conn) __attribute__((nonnull));

/* How long all their requests took. */
void connection_times(const struct connection *conn, struct queue_times *ret_times)
	__attribute__((nonnull));

/* Log what was served so far; nothing when there is no connection. */
void connection_log_totals(const struct connection *conn) __attribute__((nonnull));

#endif
