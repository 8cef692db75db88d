/*
 * The Linux kernel's own backend for a disk, xen-blkback. Its driver binds to every disk of kind vbd
 * that it sees in Initialising, and, when its module is loaded later, to all that are there, whoever
 * serves them: it goes InitWait, offers what we do not serve, and takes the event channel as soon as
 * the frontend has one. Unbound, it does not come back before its module is loaded anew.
 * backend/DESIGN.md, section 12, has what was measured.
 *
 * Control thread only; never logs; keeps nothing. Disks of other kinds cost nothing here.
 */
#ifndef BACKEND_CONTROL_KERNEL_VBD_H
#define BACKEND_CONTROL_KERNEL_VBD_H

#include <stdbool.h>

struct problem;
struct vbd_path;

/* The kernel could serve such a disk at all: it is of kind vbd. */
bool kernel_vbd_is_rival(const struct vbd_path *id) __attribute__((nonnull, warn_unused_result));

/* Its driver is bound to the disk, or just about to be: from before it writes the first node. */
bool kernel_vbd_is_bound(const struct vbd_path *id) __attribute__((nonnull, warn_unused_result));

/* Its driver is there, and will bind to the disk if the kernel still finds it in Initialising. */
bool kernel_vbd_is_coming(const struct vbd_path *id) __attribute__((nonnull, warn_unused_result));

/*
 * Make it let go. Blocks while the driver is still binding, some round trips to xenstored. 0 when it
 * is not bound any more: then it has neither ring nor event channel; what it wrote into the disk's
 * directory stays. -errno with a sentence that says what to do; -EAGAIN when it cannot be unbound yet,
 * because its module is being loaded.
 */
int kernel_vbd_unbind(const struct vbd_path *id, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

#endif
