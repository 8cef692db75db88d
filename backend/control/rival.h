/*
 * A disk's life beside the kernel's own backend, which may bind to it at any time (kernel_vbd.h): making it let go,
 * waiting for it, and making good what it wrote. What it does, and what follows, is in backend/DESIGN.md, section 12.
 *
 * Control thread only. Logs. Part of the vbd: called for it by vbd.c at each look, and by nobody else.
 */
#ifndef BACKEND_CONTROL_RIVAL_H
#define BACKEND_CONTROL_RIVAL_H

#include <stdbool.h>
#include <stdint.h>

struct problem;
struct vbd;
struct xenbus_input;

/* All zero at first. */
struct rival {
	bool is_bound;     /* the kernel's backend has the disk, and has not let go yet */
	bool is_told;      /* ... nor may it soon, which the log has */
	bool met_guest;    /* a guest was connected when it came */
	bool has_spoiled;  /* it has let go, but what it wrote is not made good yet */
	uint64_t until_ms; /* so long it is waited for, to come or to let go */
};

enum rival_news {
	RIVAL_AWAY,
	RIVAL_EVICTED, /* it was bound until just now */
	RIVAL_LOADING, /* it cannot be unbound yet */
	RIVAL_STAYS,   /* the problem says why, and what to do; so it does for Loading */
};

enum rival_verdict {
	RIVAL_GO_ON,  /* look after the disk; but while is_bound neither open nor connect it */
	RIVAL_WAIT,   /* not now, or no more: see the vbd's end */
	RIVAL_REFUSE, /* the frontend is to be told the problem */
};

/* Before anything else at a look: a driver that has bound is at the guest's event channel in no time. */
enum rival_news rival_evict(struct vbd *vbd, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* What comes of it, now that the store has been read. Sets @ret_error when the store fails (-errno). */
enum rival_verdict rival_heed(struct vbd *vbd, const struct xenbus_input *in, enum rival_news news,
	const struct problem *problem, int *ret_error) __attribute__((nonnull, warn_unused_result));

/* After that time look again, without an event. -1: never. */
int rival_patience_ms(const struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

#endif
