/*
 * The guest's emulated disk of the same image, as long as its device model has it: rules E1 to E4 of qemu-dm-bridge/DESIGN.md.
 *
 * QEMU lets go of an image when the guest unplugs its emulated disks. Whether it has is seen by its locks (ownership.h), and where a QEMU takes none by its
 * open files. What it keeps without a device that uses it is closed, by way of the monitor that blkback-qemu-dm has given it.
 *
 * Control thread only. Never logs.
 */
#ifndef BACKEND_CONTROL_EMULATED_H
#define BACKEND_CONTROL_EMULATED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/util/problem.h"

struct store;

struct emulated {
	const char *run_dir; /* borrowed: where its monitor's socket is; NULL: nowhere */
	uint32_t domid;
	char *given;         /* the image, as the toolstack has named it; NULL: not at all */
	pid_t model;         /* the domain's device model; 0: there is none in this domain */
	bool takes_plugged;  /* what the guest has not unplugged is closed, too (E4) */
	bool has_image;      /* at the last look, in a way that does not go with ours */
	uint64_t ask_ms;     /* the monitor is not asked again before */
	struct problem said; /* what has come of asking: the middle of a sentence */
};

/* Which process it is, and what it calls the image, as the toolstack has written. 0 or the store's -errno. */
int emulated_find(struct emulated *emulated, struct store *store, const char *backend,
	uint32_t domid) __attribute__((nonnull, warn_unused_result));

/* Whether it has what @fd is open on, so that we may not write it, or not even read it because it is written. Sets .has_image. */
bool emulated_look(struct emulated *emulated, int fd, bool read_only) __attribute__((nonnull));

/*
 * It has: true if it was asked to close what no device of the guest's uses, or what is plugged in if .takes_plugged, and says that it has done so. Waits for its answer, LIMIT_MONITOR_MS, and
 * asks no more often than every LIMIT_MONITOR_INTERVAL_MS.
 */
bool emulated_close(struct emulated *emulated, int fd, uint64_t now_ms)
	__attribute__((nonnull, warn_unused_result));

/* May be called twice. */
void emulated_fini(struct emulated *emulated) __attribute__((nonnull));

/* Why the image is not to be had. Returns -EBUSY. */
int emulated_complain(const struct emulated *emulated, struct problem *ret_problem)
	__attribute__((nonnull));

#endif
