/*
 * /sys/bus/xen-backend, where dom0's kernel shows its backends: in a simulated host a directory of that
 * name below the host's own, which is not there unless a test plays the kernel.
 *
 * The one file that acts is drivers/vbd/unbind. If a test has made the two FIFOs unbind and
 * unbind.answer, what a stream writes goes to the first, and the stream waits for an error number from
 * the second, as a write to sysfs returns when the kernel has done it.
 */
#ifndef FRONTEND_SHIM_PRELOAD_SYSFS_H
#define FRONTEND_SHIM_PRELOAD_SYSFS_H

#include <stdbool.h>
#include <stdio.h>

bool sysfs_is(const char *path);

/* The name it has in this host. False with errno when there is no host. */
bool sysfs_path(const char *path, char *ret_path, size_t room);

/* Whether a file of that name acts, and a stream that makes it act. */
bool sysfs_acts(const char *host_path);
FILE *sysfs_stream(const char *host_path);

#endif
