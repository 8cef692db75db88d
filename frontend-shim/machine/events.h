/*
 * An event channel handle: one connection to xensimd, its eventfd, and the eventfds of those it
 * notifies. What libxenshim's xenevtchn_*() and the guest's xenbus are made of. Any thread may call;
 * never logs. notify, pending and unmask stay in shared memory, but for fetching a peer's eventfd
 * the first time it has to be woken.
 */
#ifndef FRONTEND_SHIM_MACHINE_EVENTS_H
#define FRONTEND_SHIM_MACHINE_EVENTS_H

#include "frontend-shim/machine/client.h"
#include "frontend-shim/machine/port.h"

struct events_peer;

struct events {
	struct port_waker waker; /* first: cast from it */
	struct hv_client client;
	struct machine_handle *self;
	uint32_t hint;              /* where pending() looks next */
	pthread_mutex_t peers_lock; /* guards filling `peers`; reading needs no lock */
	struct events_peer *peers;  /* by handle index */
};

/* Errors as hv_client_open(). On failure nothing remains. */
int events_open(struct events *e, const char *dir, uint32_t domid, bool inherit)
	__attribute__((nonnull(1), warn_unused_result));

/* Takes over the handle whose eventfd `fd` was inherited across exec(), and keeps that descriptor. */
int events_adopt(struct events *e, int fd) __attribute__((nonnull, warn_unused_result));

void events_close(struct events *e) __attribute__((nonnull));

/* One of the requests that bind a port: the port, or -errno. */
int events_bind(struct events *e, const struct hv_request *req) __attribute__((nonnull));

/* -ENOTCONN: not a port of this handle. -ESRCH: the domain has crashed. */
int events_notify(struct events *e, uint32_t port) __attribute__((nonnull));

/* The next port with an event, now masked; -EAGAIN, or blocks, as the descriptor's flags say. */
int events_pending(struct events *e) __attribute__((nonnull));

/* A port that is not this handle's is passed over, as by the real device. */
void events_unmask(struct events *e, uint32_t port) __attribute__((nonnull));

#endif
