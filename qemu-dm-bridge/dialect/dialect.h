/*
 * What a QEMU binary offers for opening a disk, read from what it says of itself: never from its version.
 *
 * An option is one entry of one table: what its presence is told by, and what is written when it is used.
 * So nothing is written that was not looked for, and finding one thing never stands for having another (B30).
 *
 * Pure; any thread; owns nothing; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_DIALECT_H
#define QEMU_DM_BRIDGE_DIALECT_DIALECT_H

#include <stdbool.h>

struct problem;

enum dialect_option {
	DIALECT_END, /* none: the end of a list */
	/* Told by -help, for which an option is one of QEMU's own. */
	DIALECT_HDA,
	DIALECT_DRIVE,
	DIALECT_BLOCKDEV,
	DIALECT_DEVICE,
	DIALECT_QMP,
	DIALECT_MACHINE,
	/* Told by what -help says below -drive. */
	DIALECT_DRIVE_CACHE_ON,
	DIALECT_DRIVE_CACHE_OFF,
	DIALECT_DRIVE_CACHE_NONE,
	DIALECT_DRIVE_CACHE_DIRECTSYNC,
	DIALECT_DRIVE_CACHE_WRITETHROUGH,
	DIALECT_DRIVE_CACHE_WRITEBACK,
	DIALECT_DRIVE_CACHE_UNSAFE,
	DIALECT_DRIVE_CACHE_VOLATILE,
	DIALECT_DRIVE_FORMAT,
	DIALECT_DRIVE_READONLY,
	DIALECT_DRIVE_ID,
	DIALECT_DRIVE_DISCARD,
	/* The same, or by the schema, which knows what was left out when QEMU was built. */
	DIALECT_AIO_THREADS,
	DIALECT_AIO_NATIVE,
	DIALECT_AIO_IO_URING,
	/* Told by what -help says below -blockdev, or by the schema. */
	DIALECT_BLOCKDEV_DIRECT_ON,
	DIALECT_BLOCKDEV_DIRECT_OFF,
	DIALECT_BLOCKDEV_NO_FLUSH_ON,
	DIALECT_BLOCKDEV_NO_FLUSH_OFF,
	DIALECT_BLOCKDEV_READ_ONLY,
	DIALECT_BLOCKDEV_DISCARD,
	/* Told by the schema alone. */
	DIALECT_BLOCKDEV_HOST_DEVICE,
	DIALECT_FILE_LOCKING,
	/* Told by what a device says of its properties. */
	DIALECT_IDE_DRIVE,
	DIALECT_IDE_WRITE_CACHE_ON,
	DIALECT_IDE_WRITE_CACHE_OFF,
	DIALECT_SCSI_DRIVE,
	DIALECT_SCSI_WRITE_CACHE_ON,
	DIALECT_SCSI_WRITE_CACHE_OFF,
	DIALECT_VIRTIO_DRIVE,
	DIALECT_VIRTIO_WRITE_CACHE_ON,
	DIALECT_VIRTIO_WRITE_CACHE_OFF,
	DIALECT_COUNT,
};

struct dialect {
	bool has[DIALECT_COUNT];
};

/* All may be NULL: not asked for, or without an answer. */
struct dialect_texts {
	const char *help;    /* -help */
	const char *devices; /* -device NAME,help of several devices, one behind the other */
	const char *qmp;     /* what a QMP session with query-qmp-schema wrote */
};

/*
 * Read @texts. 0; -EPROTO when the help is not that of a QEMU, with @problem filled in. A part that makes
 * no sense offers nothing; -ENOMEM when memory runs out while reading the schema.
 */
int dialect_read(const struct dialect_texts *texts, struct dialect *ret_dialect,
	struct problem *problem) __attribute__((nonnull, warn_unused_result));

/*
 * The parts of "name=value". The name of one of QEMU's own options begins with '-'. The value is ""
 * where it is the user's: an id, for example.
 */
const char *dialect_name(enum dialect_option option) __attribute__((returns_nonnull));
const char *dialect_value(enum dialect_option option) __attribute__((returns_nonnull));

/* Where it belongs: "", "-drive", "-blockdev" or the device, for people. */
const char *dialect_place(enum dialect_option option) __attribute__((returns_nonnull));

#endif
