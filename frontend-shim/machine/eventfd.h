/*
 * The eventfd behind xenevtchn_fd(). Reentrant, no state, never logs.
 */
#ifndef FRONTEND_SHIM_MACHINE_EVENTFD_H
#define FRONTEND_SHIM_MACHINE_EVENTFD_H

#include <stdint.h>

/* The kernel's own number of this eventfd, the same in every process that holds it. */
int eventfd_identity(int fd, uint64_t *ret_id) __attribute__((nonnull, warn_unused_result));

/* Clears close-on-exec. */
int eventfd_set_inherited(int fd) __attribute__((warn_unused_result));

/* Adds one. An eventfd that is full or gone needs no more. */
void eventfd_add_one(int fd);

#endif
