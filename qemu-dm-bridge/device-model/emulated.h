/*
 * The images that a QEMU command line opens for disks it emulates: -drive, -hda to -hdd, -blockdev. What is written in another way
 * (an image without an option, another program's protocol) is not found.
 *
 * Pure but for memory; any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_EMULATED_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_EMULATED_H

#include "qemu-dm-bridge/device-model/command_line.h"

enum emulated_form {
	EMULATED_DRIVE,
	EMULATED_HD,    /* -hda, ... */
	EMULATED_OTHER, /* -blockdev, and a -drive whose file is json: what is not rewritten here */
};

struct emulated {
	unsigned option; /* its place in the command line */
	enum emulated_form form;
	char *path; /* a file or device, as QEMU gets to see it */
};

/*
 * The next one at or behind *@at, which moves behind it. 1, and @ret_disk->path is the caller's to free; 0 at the end; -ENOMEM. What
 * cannot be read as an image's path is passed over.
 */
int emulated_next(const struct command_line *line, unsigned *at, struct emulated *ret_disk)
	__attribute__((nonnull, warn_unused_result));

/*
 * What -drive has to say instead of -hda and its like: 0 with a text for the caller to free, or -ENOMEM. The disk is the same, and the format is
 * guessed as before.
 */
int emulated_as_drive(const struct command_line *line, const struct emulated *disk,
	char **ret_value) __attribute__((nonnull, warn_unused_result));

#endif
