/*
 * What keeps a block device from being claimed (O_EXCL): whom the sentence is to name, and whether that goes away by itself.
 *
 * Any thread; never logs. For failures, and for a look before an attempt: it reads /proc and sysfs.
 */
#ifndef QEMU_DM_BRIDGE_OWNERSHIP_CLAIMS_H
#define QEMU_DM_BRIDGE_OWNERSHIP_CLAIMS_H

#include "backend/util/problem.h"

/* -EBUSY, with a sentence about @subject ("the device"), on which @fd is open. */
int claims_problem(int fd, const char *subject, struct problem *ret_problem)
	__attribute__((nonnull));

/* 0; or -EBUSY, with that sentence, if a file system or another device is on it: only somebody who ends that makes it free. */
int claims_check(int fd, const char *subject, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

#endif
