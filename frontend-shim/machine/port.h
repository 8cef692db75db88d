/*
 * The data path of event channels, straight in shared memory: what Xen's evtchn_send() and the
 * evtchn driver of Linux do between a notify and the other side's read.
 *
 * Any thread of any process may call these at any time; they take no lock and survive the death of
 * the caller at any instruction (see machine_handle.delivering). The only system call they lead to
 * is the waker's, and only for an event that was neither pending nor masked.
 *
 *      notify          neither pending nor masked            pending()          unmask()
 *     --------> idle ----------------------------> queued,  ----------> masked ---------> idle
 *                                                  masked                |  notify: pending
 *                                                    ^                   v
 *                                                    +---- unmask() -- masked + pending
 */
#ifndef FRONTEND_SHIM_MACHINE_PORT_H
#define FRONTEND_SHIM_MACHINE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend-shim/machine/layout.h"

struct port_at {
	uint32_t slot; /* of the domain in machine.domains */
	uint32_t port;
};

/* How to add one to the eventfd of handle `owner`. An owner that is gone is silently ignored. */
struct port_waker {
	void (*wake)(struct port_waker *waker, uint64_t owner);
};

/* Raises an event on `at` on behalf of `sender`, waking the port's owner if that is due. */
void port_raise(struct machine *m, struct machine_handle *sender, struct port_at at,
	struct port_waker *waker) __attribute__((nonnull));

/* Sends through the local port `at` to its peer; an unbound port drops the event, as on Xen. */
void port_send(struct machine *m, struct machine_handle *sender, struct port_at at,
	struct port_waker *waker) __attribute__((nonnull));

/* Ends the masking that a delivery began; delivers again if the port is pending meanwhile. */
void port_unmask(struct machine *m, struct machine_handle *owner, struct port_at at,
	struct port_waker *waker) __attribute__((nonnull));

/*
 * Takes one queued port of a handle after its eventfd was decremented; `*hint` is the caller's
 * memory of where to look next, so that a busy low port does not starve the others.
 * Returns the port, or 0 if there is none.
 */
uint32_t port_take_queued(struct machine_handle *owner, uint32_t *hint) __attribute__((nonnull));

/*
 * xensimd's: the peer of `at` is gone, perhaps in the middle of a delivery. Finishes a delivery it
 * had only begun; with `repeat` (its `delivering` was not zero) wakes the owner in any case, who may
 * then see one event too many, which Xen allows, rather than one too few.
 */
void port_repair(struct machine *m, struct machine_handle *self, struct port_at at, bool repeat,
	struct port_waker *waker) __attribute__((nonnull));

/* Whether `at` belongs to the handle `id`. */
bool port_owned(const struct machine *m, struct port_at at, uint64_t id) __attribute__((nonnull));

#endif
