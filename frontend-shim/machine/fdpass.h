/*
 * One packet with descriptors over a unix socket. Reentrant, no state, never logs; received
 * descriptors are close-on-exec and the caller's.
 */
#ifndef FRONTEND_SHIM_MACHINE_FDPASS_H
#define FRONTEND_SHIM_MACHINE_FDPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define FDPASS_MAX 2u

struct fdpass_message {
	struct iovec *iov;
	size_t nr_iov;
	int fds[FDPASS_MAX];
	unsigned nr_fds;
	bool truncated; /* received: the packet was longer than the room */
};

/* Sends one packet; returns its length or -errno. Never raises SIGPIPE. `flags` as sendmsg(). */
ssize_t fdpass_send(int fd, const struct fdpass_message *msg, int flags) __attribute__((nonnull));

/* Receives one packet; returns its length, 0 at end of stream, or -errno. */
ssize_t fdpass_receive(int fd, struct fdpass_message *msg, int flags) __attribute__((nonnull));

#endif
