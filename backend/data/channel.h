/*
 * The event channel of one ring: how the frontend wakes the queue and the queue the frontend.
 *
 * Thread: the control thread for open and close, the queue thread in between. Owns a libxenevtchn
 * handle of its own: a handle shared by threads cannot be polled safely (xenevtchn.h). After an
 * event was taken the port is masked: the next one comes only after channel_unmask(), so a guest
 * cannot wake the queue more often than the queue asks for it (XSA-331, XSA-332).
 */
#ifndef BACKEND_DATA_CHANNEL_H
#define BACKEND_DATA_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/problem.h"

struct xenevtchn_handle;

struct channel {
	struct xenevtchn_handle *handle;
	uint32_t port; /* ours */
	bool masked;   /* an event was taken and the port is not unmasked yet */
};

/* Bind to @remote_port of @domid. On failure -errno with a sentence, and nothing is open. */
int channel_open(struct channel *channel, uint32_t domid, uint32_t remote_port,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* May be called twice. */
void channel_close(struct channel *channel) __attribute__((nonnull));

/* To poll for channel_take(). */
int channel_fd(const struct channel *channel) __attribute__((nonnull));

/* The descriptor is readable: take the event. False when it was none of ours. */
bool channel_take(struct channel *channel) __attribute__((nonnull));

/* Let the next event come. Nothing to do unless one was taken. */
void channel_unmask(struct channel *channel) __attribute__((nonnull));

/* Wake the frontend. False when the port is no longer ours; a peer that is gone is not noticed. */
bool channel_notify(struct channel *channel) __attribute__((nonnull));

#endif
