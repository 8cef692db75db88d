/*
 * A client of QEMU's monitor, QMP: one command after another over a Unix socket, answered within one deadline for all.
 *
 * QEMU is the guest's as soon as the guest has broken into it: nothing it says is trusted, and not how long it takes. Any thread, one at a time;
 * blocks up to the deadline. Never logs.
 */
#ifndef QEMU_DM_BRIDGE_QMP_CLIENT_H
#define QEMU_DM_BRIDGE_QMP_CLIENT_H

#include "backend/util/problem.h"

struct json_object;
struct qmp;

/*
 * Greet whoever listens at @path. 0; or -errno with a sentence: -ENOENT and -ECONNREFUSED (nobody), -ETIMEDOUT, -EPROTO (nonsense),
 * -EMSGSIZE (no end of it). The deadline, @timeout_ms from now, is that of all that is done with it.
 */
int qmp_open(const char *path, unsigned timeout_ms, struct qmp **ret_qmp, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

/* What QEMU says, for a sentence of ours: its first line up to what cannot be printed, cut. */
struct qmp_text {
	char text[160];
};
void qmp_text(const char *text, struct qmp_text *ret_text) __attribute__((nonnull));

/* NULL is fine. */
void qmp_close(struct qmp *qmp);

/*
 * Have @command run with @arguments, which are taken over, or NULL. 0 with what it returns, for json_object_put(); -EREMOTEIO, and the sentence is
 * QEMU's, if it refuses; or as above.
 */
int qmp_run(struct qmp *qmp, const char *command, struct json_object *arguments,
	struct json_object **ret_value, struct problem *problem)
	__attribute__((nonnull(1, 2, 4, 5), warn_unused_result));

#endif
