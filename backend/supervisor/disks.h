/*
 * The set of disks we know, by their place in xenstore.
 *
 * Main thread only; never logs. Owns the entries; an entry stays where it is until it is removed.
 * A few hundred at most, so it is a list.
 */
#ifndef BACKEND_SUPERVISOR_DISKS_H
#define BACKEND_SUPERVISOR_DISKS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/supervisor/child.h"
#include "backend/supervisor/disk.h"
#include "backend/supervisor/restarts.h"
#include "xenstore/path.h"

struct disks_entry {
	struct disks_entry *next;
	struct vbd_path path;
	char backend[VBD_PATH_MAX]; /* "backend/vbd/5/51712" */
	char name[CHILD_NAME_MAX];  /* "vbd-5-51712" */
	enum disk_state state;
	struct child child;
	struct restarts restarts;
	uint32_t delay_ms;    /* before the next worker is started */
	uint64_t deadline_ms; /* of DISK_EV_TIMER; 0: none */
	bool look;            /* something happened to its directory */
};

struct disks {
	struct disks_entry *first;
	unsigned n;
};

/* NULL if it is not there. */
struct disks_entry *disks_find(const struct disks *disks, const struct vbd_path *path)
	__attribute__((nonnull, warn_unused_result));

/* That of the worker with that pidfd; NULL if there is none. */
struct disks_entry *disks_find_pidfd(const struct disks *disks, int pidfd)
	__attribute__((nonnull, warn_unused_result));

/* It, or a new one in state DISK_ABSENT; NULL without memory. */
struct disks_entry *disks_add(struct disks *disks, const struct vbd_path *path)
	__attribute__((nonnull, warn_unused_result));

/* Its worker, if any, goes on. Frees @entry. */
void disks_remove(struct disks *disks, struct disks_entry *entry) __attribute__((nonnull));

/* All of them. */
void disks_fini(struct disks *disks) __attribute__((nonnull));

/* How many are in that state. */
unsigned disks_count(const struct disks *disks, enum disk_state state)
	__attribute__((nonnull, warn_unused_result));

#endif
