/*
 * What the administrator chose for a disk: the nodes `cache-mode`, `features-off`, `transfer`, `engine`, `cpus`, `poll`, `poll-budget`, `on-error`, `on-enospc`, `timeout` and `emulated` of
 * its backend directory, which the hotplug script writes from the options behind the image's name, and libxl's `discard-enable`.
 *
 * Control thread only. The toolstack's side wrote the nodes, so they are trusted but still parsed strictly. Never logs.
 */
#ifndef BACKEND_CONTROL_OPTIONS_H
#define BACKEND_CONTROL_OPTIONS_H

#include <sched.h>
#include <stdbool.h>

#include "backend/data/poll.h"
#include "backend/util/cache.h"
#include "backend/util/problem.h"

struct store;

/* How data gets between guest and storage where it may be chosen. */
enum disk_transfer {
	TRANSFER_AUTO, /* through pages that stay mapped, if the frontend can do that; else it is copied */
	TRANSFER_MAP,  /* ... else through pages mapped for each request */
	TRANSFER_COPY, /* it is copied, and nothing stays mapped */
};

/* What direct I/O is done with. */
enum disk_engine {
	DISK_ENGINE_AUTO, /* by what was measured: choose_engine() */
	DISK_ENGINE_AIO,
	DISK_ENGINE_URING,
};

/* What becomes of the disk when the guest has not unplugged the emulated one of the same image (E4). */
enum disk_emulated {
	EMULATED_REFUSE,    /* it is refused */
	EMULATED_READ_ONLY, /* the guest can only read it */
	EMULATED_CLOSE,     /* the emulated one is taken from it */
};

/* Longer than the name of any mode. */
#define OPTIONS_CACHE_MAX 32

/* What the disk is to be like; and what may be offered to the guest, if the disk can do it at all (D4). */
struct disk_options {
	char cache_text
		[OPTIONS_CACHE_MAX]; /* node cache-mode as it stands; empty if there is none */
	enum cache_mode
		cache; /* a mode that writes through, too, if neither flush nor barrier is to be offered */
	bool persistent;
	bool flush;
	bool barrier;
	bool multi_queue;
	bool indirect;
	bool discard;
	enum disk_transfer transfer;
	enum disk_engine engine;
	bool pinned; /* its queues run on .cpus only */
	cpu_set_t cpus;
	struct poll_terms poll;
	bool stop_on_error; /* D9 */
	bool stop_on_enospc;
	unsigned timeout_s; /* 0: none */
	enum disk_emulated emulated;
};

/*
 * Read the nodes below @backend; absent ones mean @default_cache, nothing off, as does an empty
 * list, transfer and engine auto, and polling as it pays. To be read when the hotplug script has reported success, not before. -EINVAL with a sentence
 * when they are malformed, another -errno of the store.
 */
int options_read(struct store *store, const char *backend, enum cache_mode default_cache,
	struct disk_options *ret_options, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* Of all that, whether features-off leaves multi-queue: one look, which a frontend waits for. -errno if it is wrong. */
int options_read_multi_queue(struct store *store, const char *backend, bool *ret_multi_queue)
	__attribute__((nonnull, warn_unused_result));

#endif
