/*
 * The arguments with which QEMU opens an image so that the emulated disk has a cache mode of ours
 * (rule (e): durable when the mode says so, and past the page cache).
 *
 * Pure; any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_DRIVE_ARGS_H
#define QEMU_DM_BRIDGE_DIALECT_DRIVE_ARGS_H

#include <stdbool.h>

#include "backend/util/cache.h"
#include "qemu-dm-bridge/dialect/dialect.h"
#include "qemu-dm-bridge/dialect/recipe.h"

struct problem;

enum drive_if {
	DRIVE_IF_IDE,
	DRIVE_IF_SCSI,
	DRIVE_IF_VIRTIO,
	DRIVE_IF_NONE, /* no device: somebody else makes one of the id */
	DRIVE_IF_COUNT,
};

struct drive_request {
	const char *path;
	const char *id; /* of the drive or node */
	enum cache_mode mode;
	enum drive_style style;
	enum drive_if interface;
	bool is_block;  /* the image is a block device */
	bool read_only; /* not with IDE, whose disks QEMU cannot make read-only */
	bool lock;      /* QEMU's own lock on the image has to be taken */
	bool discard;   /* the guest's discards reach the image */
};

#define DRIVE_ARGS_MAX 4

struct drive_args {
	char *words[DRIVE_ARGS_MAX];
	unsigned nr;
	enum cache_mode mode; /* what it will be: the one wanted, or a safer one */
	bool guesses_format;  /* this QEMU cannot be told that the image is raw */
};

/* "ide", ... False, and nothing set, for anything else. */
bool drive_if_parse(const char *text, enum drive_if *ret_interface)
	__attribute__((nonnull, warn_unused_result));

/*
 * The arguments, for drive_args_fini() to free. -ENOTSUP when this QEMU cannot do it, -EINVAL when nobody
 * could, -ENOMEM; then @problem says it.
 */
int drive_args_make(const struct dialect *dialect, const struct drive_request *request,
	struct drive_args *ret_args, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));
void drive_args_fini(struct drive_args *args);

/*
 * Change the cache options in @value, the value of a -drive that somebody else wrote, to those of @wanted
 * or a safer mode, and nothing else (B33): what is not understood stays as it is and where it is. Options
 * that contradict the mode are left out: earlier and later cache options, and aio=native with the page
 * cache. A drive without an image stays as it is. *@ret_value is for the caller to free. Errors as above.
 */
int drive_args_rewrite(const struct dialect *dialect, enum cache_mode wanted, const char *value,
	char **ret_value, enum cache_mode *ret_mode, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

#endif
