/*
 * Asking a QEMU binary what it offers: it is run a few times, with arguments that make it answer.
 *
 * Any thread, which it blocks until the timeout at most; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_PROBE_H
#define QEMU_DM_BRIDGE_DIALECT_PROBE_H

#include "qemu-dm-bridge/dialect/dialect.h"

struct problem;

/* What is asked for: all that a QEMU offers takes five runs of it, and what -drive has only one. */
enum probe_extent {
	PROBE_DRIVE,
	PROBE_ALL,
};

/*
 * Ask @qemu, which is looked for in PATH if it has no slash, within @timeout_ms altogether. 0; -ENOENT when
 * it is not there, -ETIMEDOUT, -EFBIG, -ECHILD when a signal ended it, -EPROTO when it is no QEMU, or what
 * else failed. Then @problem says it.
 *
 * What was not there yet in such a QEMU is not asked for: an old one does not start a machine by mistake.
 */
int probe_qemu(const char *qemu, enum probe_extent extent, unsigned timeout_ms,
	struct dialect *ret_dialect, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

#endif
