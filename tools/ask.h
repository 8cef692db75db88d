/*
 * Asking workers on their control sockets: one question to many, and all answers within one deadline.
 *
 * One thread. Owns the sockets while it asks. Never prints.
 */
#ifndef TOOLS_ASK_H
#define TOOLS_ASK_H

#include <stddef.h>

#include "backend/util/problem.h"
#include "tools/disk_name.h"

struct json_object;

enum ask_result {
	ASK_PENDING,
	ASK_ANSWERED,  /* the answer is there */
	ASK_REFUSED,   /* the worker says what is wrong with the question */
	ASK_GONE,      /* its socket went between looking and asking: the disk is detached */
	ASK_DEAD,      /* a socket nobody listens on: the worker was killed */
	ASK_SILENT,    /* no answer within the deadline */
	ASK_FORBIDDEN, /* root only */
	ASK_FAILED,
};

struct asked {
	struct disk_name disk;
	char name[DISK_NAME_MAX]; /* vbd-5-51712 */
	enum ask_result result;
	struct json_object *answer;
	struct problem problem; /* a sentence, unless it was answered */

	int fd;
	char *text; /* received so far */
	size_t n;
	size_t size;
};

/*
 * The disks that have a socket in @run_dir, sorted. No directory means none. -errno with a sentence.
 * ask_free() frees.
 */
int ask_find(const char *run_dir, struct asked **ret_list, unsigned *ret_n,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Send @request, a line without its newline, to each, and wait for all. */
void ask_all(const char *run_dir, struct asked *list, unsigned n, const char *request,
	unsigned timeout_ms) __attribute__((nonnull(1, 4)));

void ask_free(struct asked *list, unsigned n);

/* One word for a result: "dead", "silent" ... */
const char *ask_result_name(enum ask_result result);

#endif
