/*
 * A file that says who serves a disk, locked for as long as somebody does.
 *
 * Control thread only; never logs. The lock (flock) is the truth, the number in it is for people
 * and scripts. A killed process leaves the file behind unlocked, and the next one takes it over.
 * Others may probe the lock, with a shared one that they hold for an instant only. Directory and
 * file are for our user alone: whoever can open the file can hold us up.
 */
#ifndef BACKEND_UTIL_PIDFILE_H
#define BACKEND_UTIL_PIDFILE_H

#include "backend/util/problem.h"

struct pidfile {
	int fd; /* -1 when not held */
	char path[256];
};

/*
 * Lock @dir/@name.pid for this process, making @dir if it is missing. -EBUSY when another process
 * holds it, or it is probed without end for a second; -errno otherwise; with a sentence, and nothing
 * left behind. Blocks for that second at most.
 */
int pidfile_take(const char *dir, const char *name, struct pidfile *ret_pidfile,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Remove and unlock. May be called twice. */
void pidfile_release(struct pidfile *pidfile) __attribute__((nonnull));

#endif
