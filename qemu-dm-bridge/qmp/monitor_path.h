/*
 * Where the monitor is that blkback-qemu-dm gives a device model: its maker and its users agree here.
 *
 * Pure; any thread.
 */
#ifndef QEMU_DM_BRIDGE_QMP_MONITOR_PATH_H
#define QEMU_DM_BRIDGE_QMP_MONITOR_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the names of all sockets begin with, in the directory. */
#define MONITOR_PREFIX "qmp-"

/* That of domain @domid, below @rundir. False if it is too long for a socket's address, or for @ret_path. */
bool monitor_path(const char *rundir, uint32_t domid, char *ret_path, size_t size)
	__attribute__((nonnull, warn_unused_result));

#endif
