/*
 * The shared memory where xentop finds a disk's figures: <dir>/td3-<our pid>/vbd-<domid>-<devid>,
 * one page, kept by the queue threads (data/record.h).
 *
 * Control thread only. Owns directory, file and mapping. libxenstat looks for disks of the kind vbd3
 * alone; it is kept for every kind, because other monitors read it and it costs nothing. <dir> is
 * world-writable as a rule, so nothing in it is trusted that is not ours. Never logs.
 */
#ifndef BACKEND_CONTROL_XENTOP_H
#define BACKEND_CONTROL_XENTOP_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/record.h"
#include "backend/util/problem.h"

struct xentop {
	struct record_file *file; /* NULL when there is none */
	const char *dir;          /* the caller's, must stay alive */
	int dir_fd;
	uint32_t domid;
	uint32_t devid;
};

/*
 * Make the record, all zero. One left by a dead process with our pid is replaced. On failure -errno
 * with a sentence, and xentop_fini() has nothing to do.
 */
int xentop_init(struct xentop *xentop, const char *dir, uint32_t domid, uint32_t devid,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Remove it. No queue may use it any more. May be called twice. */
void xentop_fini(struct xentop *xentop) __attribute__((nonnull));

/* Whether a killed worker of the same disk, whose process id was @pid, has left word that data was lost. */
bool xentop_was_lost(const char *dir, uint32_t pid, uint32_t domid, uint32_t devid)
	__attribute__((nonnull, warn_unused_result));

/*
 * Remove the record of a killed worker of the same disk, whose process id was @pid. The caller knows
 * that it is dead.
 */
void xentop_remove(const char *dir, uint32_t pid, uint32_t domid, uint32_t devid)
	__attribute__((nonnull));

#endif
