/*
 * What becomes of a device model's command line, and of the images it is about to open, when blkback serves some of them, too (rules
 * W1 to W6 of DESIGN.md).
 *
 * Main thread: waits for images. Logs what it changes and what it leaves alone.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_WRAP_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_WRAP_H

#include <stdint.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/device-model/command_line.h"
#include "qemu-dm-bridge/device-model/served.h"

struct wrap_terms {
	const char *qemu;   /* that will run with the command line */
	const char *rundir; /* where its QMP socket for us will be */
	uint32_t domid;
	unsigned probe_ms; /* that QEMU may take to answer */
	unsigned wait_ms;  /* for all images to be ready */
};

/*
 * Make the images of @served that are on @line, too, ready, and change their options and no others. Nothing changes where none is. 0; or
 * -errno with a sentence: then the device model is better not started.
 */
int wrap(struct command_line *line, const struct served_list *served,
	const struct wrap_terms *terms, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

#endif
