/*
 * What a QEMU still has of an image: a disk that the guest has plugged in, or what is left of one that it has unplugged.
 *
 * QEMU closes an image when the guest unplugs the emulated disk, in the generations that were looked at. Where it does not, nobody uses
 * the image any more and it may be closed for it.
 *
 * Any thread; blocks up to the deadline of the connection. Never logs.
 */
#ifndef QEMU_DM_BRIDGE_QMP_MEDIUM_H
#define QEMU_DM_BRIDGE_QMP_MEDIUM_H

#include "backend/util/problem.h"

struct qmp;

enum medium_use {
	MEDIUM_NONE,    /* nothing: what it had may be about to be closed */
	MEDIUM_PLUGGED, /* the guest has a disk of it */
	MEDIUM_LEFT,    /* it is open, and no device of the guest's uses it */
	MEDIUM_UNKNOWN, /* it is open; this QEMU does not tell whether a device uses it */
};

/* What QEMU calls it, in a way that it can be named by; "": it cannot. */
struct medium {
	enum medium_use use;
	char drive[128]; /* of -drive */
	char node[128];  /* of -blockdev */
};

/* What the image is called: as the toolstack has named it to both sides, and as the kernel knows it. */
struct medium_names {
	const char *given, *resolved;
};

/*
 * What it has of the image. It is known by its names: none of QEMU's is followed, which may lead to a storage that does not answer. 0, or as
 * qmp_run(), with a sentence.
 */
int medium_look(struct qmp *qmp, const struct medium_names *names, struct medium *ret_medium,
	struct problem *problem) __attribute__((nonnull, warn_unused_result));

/*
 * Have it close that. A device that is plugged in keeps its place, and the guest gets errors from it. 0; -ENOENT (it has no name), or as qmp_run():
 * QEMU does not close what is plugged in by -blockdev.
 */
int medium_close(struct qmp *qmp, const struct medium *medium, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

#endif
