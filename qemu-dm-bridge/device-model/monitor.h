/*
 * A QMP monitor for blkback, beside those the toolstack has on QEMU's command line, which are the toolstack's.
 *
 * How a socket's options are spelled has changed (server,nowait; server=on,wait=off). The toolstack knows which QEMU it starts: its own
 * monitor's spelling is taken over, and without one there is none for us.
 *
 * Any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_MONITOR_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_MONITOR_H

#include "qemu-dm-bridge/device-model/command_line.h"

/* 0; -ENOENT, and nothing has changed, if the command line has none of the toolstack's to go by; -ENOMEM. */
int monitor_add(struct command_line *line, const char *path)
	__attribute__((nonnull, warn_unused_result));

/* Sockets of device models that have ended without a word are removed. */
void monitor_sweep(const char *rundir) __attribute__((nonnull));

#endif
