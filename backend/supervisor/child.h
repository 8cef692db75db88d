/*
 * One worker process: starting it, finding one that runs already, its end.
 *
 * Main thread only; never logs. A worker is known by its pidfd, which cannot come to mean another
 * process. Its own pid file in the run directory, locked for its whole life, says whether a disk
 * has one. The lock is only ever probed shared: an exclusive probe could make a worker that is just
 * starting believe that another one serves its disk.
 */
#ifndef BACKEND_SUPERVISOR_CHILD_H
#define BACKEND_SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/util/problem.h"

struct vbd_path;

/* "vbd-5-51712": what a worker's pid file is called, without ".pid". As worker_name(). */
#define CHILD_NAME_MAX 64

struct child {
	int pidfd; /* -1: there is none */
	pid_t pid;
	bool adopted; /* not our child: how it ends cannot be learned */
};

#define CHILD_NONE ((struct child){.pidfd = -1})

enum child_end {
	CHILD_EXITED,  /* value: its exit code */
	CHILD_KILLED,  /* value: the signal */
	CHILD_UNKNOWN, /* an adopted one has ended */
};

void child_name(const struct vbd_path *path, char ret_name[CHILD_NAME_MAX])
	__attribute__((nonnull));

/* The disk of a pid file's name, "vbd-5-51712.pid"; false for any other file. */
bool child_name_parse(const char *file, struct vbd_path *ret_path)
	__attribute__((nonnull, warn_unused_result));

/*
 * Start @argv[0], searched for if it has no slash, as a child that survives us: in a session of its
 * own, with standard input and output from /dev/null, our standard error and no other descriptor.
 * 0 or -errno with a sentence; returns when the program runs.
 */
int child_start(char *const argv[], struct child *ret_child, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * The process that holds @name's pid file. 0; -ENOENT when none does; -ESRCH when somebody does, but
 * the process the file names is not it (it may just be starting); or another -errno.
 */
int child_adopt(const char *run_dir, const char *name, struct child *ret_child)
	__attribute__((nonnull, warn_unused_result));

/* Its pidfd is readable: how it ended. It is gone then, the pidfd closed. False if it still runs. */
bool child_reap(struct child *child, enum child_end *ret_end, int *ret_value)
	__attribute__((nonnull, warn_unused_result));

/* 0, -ESRCH when it has ended, or another -errno. */
int child_signal(const struct child *child, int signal)
	__attribute__((nonnull, warn_unused_result));

/* Let it go on without us. */
void child_leave(struct child *child) __attribute__((nonnull));

/* True if @name's pid file is there: a worker that ends in an orderly way removes it. */
bool child_has_file(const char *run_dir, const char *name)
	__attribute__((nonnull, warn_unused_result));

/* Remove the pid file that a killed worker has left, if nobody holds it. */
void child_clean(const char *run_dir, const char *name) __attribute__((nonnull));

#endif
