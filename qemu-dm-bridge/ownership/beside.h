/*
 * A place beside others on a node that has some of the image's blocks: the disk of a partition, the file below a loop device, a
 * loop device over the image. Strangers are kept from it as from the image. Workers of ours whose images lie there, too, are not, for those images are
 * not ours: where they have the same blocks, the image of the one is a node of the other's.
 *
 * Any thread, one at a time; never logs. It may take a fraction of a second if others come to the same node just now.
 */
#ifndef QEMU_DM_BRIDGE_OWNERSHIP_BESIDE_H
#define QEMU_DM_BRIDGE_OWNERSHIP_BESIDE_H

#include "backend/util/problem.h"
#include "qemu-dm-bridge/ownership/ownership.h"

/*
 * Lock bytes on @fd, until it is closed, of what is called @name in sentences. 0; -EBUSY if a stranger is there; -ENOLCK if there
 * are no locks. After a failure @fd is to be closed.
 */
int beside_take(int fd, const char *name, enum ownership_access access, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

#endif
