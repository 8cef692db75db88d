/*
 * What we write into the backend directory, always together with our state, in one transaction.
 *
 * Control thread only. Never logs. Every function returns what state_switch() does: 0, -ESTALE when
 * the toolstack wrote our state meanwhile (look again), -ENOENT when the directory is gone, or
 * another -errno of the store.
 */
#ifndef BACKEND_CONTROL_PUBLISH_H
#define BACKEND_CONTROL_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "xenstore/xenbus.h"

struct store;

/* What the disk offers once it is Connected. */
struct disk_features {
	uint64_t nr_sectors; /* 512-byte units */
	unsigned physical_sector_size;
	unsigned info; /* VDISK_* */
	bool flush;
	bool barrier;
};

/* The rings' features, and InitWait. The storage is not known yet. */
int publish_init_wait(struct store *store, const char *backend, enum xenbus_state seen)
	__attribute__((nonnull, warn_unused_result));

/* The storage's features, and Connected. */
int publish_connected(struct store *store, const char *backend, enum xenbus_state seen,
	const struct disk_features *features) __attribute__((nonnull, warn_unused_result));

/* A state alone. */
int publish_state(struct store *store, const char *backend, enum xenbus_state seen,
	enum xenbus_state next) __attribute__((nonnull, warn_unused_result));

/* Why the disk does not work, where libxl and people look. Errors are returned but lose nothing. */
int publish_hotplug_error(struct store *store, const char *backend, const char *sentence)
	__attribute__((nonnull));

#endif
