/*
 * The cache mode of a disk while its guest is connected: who may change it, and what the store says of it (D7).
 *
 *   who         asks by                                is answered in
 *   toolstack   node cache-mode                        cache-mode-active, cache-mode-error
 *   operator    blkbackctl set-cache, clear-fault      their answer, and the node cache-mode
 *   guest       its node write-cache-request, 0 or 1   write-cache, write-cache-error
 *
 * What the guest asks for holds until it connects anew, as a disk's write cache that is switched by its driver; what the others ask
 * for is what the disk has from then on. Part of the vbd, control thread only. Logs.
 */
#ifndef BACKEND_CONTROL_MODE_H
#define BACKEND_CONTROL_MODE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/control/change.h"
#include "backend/control/options.h"
#include "backend/util/cache.h"
#include "backend/util/log.h"
#include "backend/util/problem.h"

struct vbd;

/* What the log says of a disk that is in that mode. */
#define MODE_UNSAFE_TEXT                                                                           \
	"cache mode unsafe: flushes and barriers do nothing: if this host crashes or loses power, what the guest wrote is lost or damaged, its file systems too"

/* What the store is to be told. */
struct mode_news {
	bool is_due;
	struct change_wish wish;
	bool failed;
	struct problem problem; /* if it failed */
};

/* All zero at first. */
struct mode {
	enum cache_mode
		configured; /* that the disk's options say: to be had at the next connection */
	char text[OPTIONS_CACHE_MAX]; /* node cache-mode, as last heeded */
	bool toolstack_asks;          /* it may be another since */
	bool guest_asks;              /* it has written its node since it is connected */
	bool guest_is_off;     /* it has turned its write cache off: it may never flush again */
	uint64_t guest_may_ms; /* not before: each change is a flush, and a line in the log */
	struct mode_news news;
	struct log_limit limit;
};

/* A frontend has been connected: what one before it asked for is forgotten. */
void mode_reset(struct vbd *vbd) __attribute__((nonnull));

/* @path was written, by the guest if it is its wish. */
void mode_note(struct vbd *vbd, const char *path, bool is_wish) __attribute__((nonnull));

/* At each look at a connected disk: begin what is asked for, tell what came of it. 0 or the store's -errno. */
int mode_look(struct vbd *vbd) __attribute__((nonnull, warn_unused_result));

/*
 * The operator wants @mode. 1: it is under way, and mode_heed() is going to say what comes of it. 0: done, if the guest is not
 * connected only by the node. -errno with a sentence.
 */
int mode_set(struct vbd *vbd, enum cache_mode mode, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * The operator accepts that data was lost: the latch goes (D5), results as of mode_set(). A guest that is connected was told that a
 * flush failed, after which Linux sends no more: so its disk writes through until it connects anew.
 */
int mode_clear_fault(struct vbd *vbd, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * The change's descriptor was readable, or time has passed. True if a change has ended that the operator asked for: 0 or -errno with
 * a sentence.
 */
bool mode_heed(struct vbd *vbd, int *ret_error, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* After that time mode_heed() and a look are worth it without an event. -1: never. */
int mode_patience_ms(const struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

#endif
