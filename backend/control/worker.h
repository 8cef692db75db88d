/*
 * The control thread: waits for the store, signals and the queue, and lets one disk's vbd act.
 *
 * Control thread only. The caller has blocked the signals of worker_signals() in all threads and
 * ignored SIGPIPE. Logs.
 */
#ifndef BACKEND_CONTROL_WORKER_H
#define BACKEND_CONTROL_WORKER_H

#include <signal.h>
#include <stdbool.h>

#include "backend/util/cache.h"

/* Exit codes of blkback-vbd; see its manual. */
enum worker_exit {
	WORKER_OK = 0,
	WORKER_FAILED = 1,
	WORKER_USAGE = 2,
	WORKER_NO_DISK = 3,  /* no such backend directory, not a disk's, or being taken away */
	WORKER_NO_STORE = 4, /* xenstored cannot be reached, or went away */
	WORKER_STORAGE = 5,  /* --check: the storage cannot be served */
	WORKER_BUSY = 6,     /* another process serves this disk */
	WORKER_LOST = 7,     /* an fdatasync failed: data the guest wrote may be lost */
	WORKER_RIVALLED = 8, /* the kernel's xen-blkback has the disk, or had it too long */
};

/* Holds every name worker_name() writes, terminator included. */
#define WORKER_NAME_MAX 64

/* What the disk of a backend path is called in logs and file names: "vbd-5-51712". False when it is
 * not such a path. */
bool worker_name(const char *backend, char ret_name[WORKER_NAME_MAX])
	__attribute__((nonnull, warn_unused_result));

/* Fills @ret_signals with what the worker waits for. */
void worker_signals(sigset_t *ret_signals) __attribute__((nonnull));

/* Rings a disk may have: from text, 1 .. LIMIT_QUEUES; and by default, one for each processor. */
bool worker_parse_queues(const char *text, unsigned *ret_max_queues)
	__attribute__((nonnull, warn_unused_result));
unsigned worker_default_queues(void);

/* Pages that workers may have mapped: from text, 0 .. LIMIT_GRANTS_HOST_MAX; and by default. */
bool worker_parse_grants(const char *text, unsigned *ret_max_grants)
	__attribute__((nonnull, warn_unused_result));
unsigned worker_default_grants(void);

struct worker_config {
	const char *backend; /* the disk's directory in the store */
	const char
		*run_dir; /* where its control socket goes; the caller holds its pid file there */
	const char *stats_dir; /* where xentop looks, /dev/shm */
	unsigned max_queues;   /* rings the disk may have, 1 .. LIMIT_QUEUES */
	unsigned max_grants;   /* pages of guests that all workers of this host may have mapped */
	enum cache_mode cache; /* of a disk that does not say */
	void (*ready)(void *ctx);
	void *ctx;
};

/*
 * Serve the disk until it is taken away, a signal ends it, or the store is lost. cfg.ready, with
 * cfg.ctx, is called once, when the disk is in InitWait or further, and before a connection is tried:
 * from then on the toolstack can go on. It is not called for a disk that is being taken away already.
 */
enum worker_exit worker_run(const struct worker_config *cfg) __attribute__((nonnull));

#endif
