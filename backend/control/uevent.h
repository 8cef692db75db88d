/*
 * What the kernel tells of its devices, as it comes over a netlink socket:
 *
 *   change@/devices/virtual/block/dm-3\0ACTION=change\0DEVPATH=...\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0...
 *
 * Any thread; pure. Whether it was the kernel that sent a message is for whoever received it to see.
 */
#ifndef BACKEND_CONTROL_UEVENT_H
#define BACKEND_CONTROL_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* More than the kernel puts into one: 2048 bytes of pairs behind a path. */
#define UEVENT_MAX 8192

/*
 * True if the @n bytes at @message, which may be anything, are whole and say that block device @major:@minor has
 * changed: each of the words that decide is there once.
 */
bool uevent_is_change(const char *message, size_t n, unsigned major, unsigned minor)
	__attribute__((nonnull, warn_unused_result));

#endif
