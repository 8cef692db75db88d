/*
 * The disks of a domain that blkback serves, as the toolstack and the hotplug script have written them down in xenstore.
 *
 * Main thread only: round trips to xenstored. Never logs.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_SERVED_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_SERVED_H

#include <stdint.h>

#include "backend/util/cache.h"
#include "backend/util/problem.h"
#include "qemu-dm-bridge/ownership/ownership.h"
#include "xenstore/path.h"

struct config;
struct store;

struct served {
	char backend[VBD_PATH_MAX]; /* its directory, for sentences */
	char *image;                /* what the hotplug script found */
	enum cache_mode cache;
	enum ownership_access access;
};

struct served_list {
	struct served *disks;
	unsigned nr, room;
};

/*
 * Those of domain @domid that @config says are ours and that have an image. 0; or -errno with a sentence, when the store cannot be read or a
 * node is malformed. To be freed in any case.
 */
int served_find(struct store *store, const struct config *config, uint32_t domid,
	struct served_list *ret_list, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));
void served_free(struct served_list *list) __attribute__((nonnull));

#endif
