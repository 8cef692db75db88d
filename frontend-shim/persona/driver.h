/*
 * A persona at work: performs its tables against the store, and waits as it does.
 *
 * One thread. Waits for events, or polls where the driver does; each wait has a deadline, and missing it is a failure: a
 * driver that waits for ever has no disk. Never logs; the error says what the driver could not stand.
 */
#ifndef FRONTEND_SHIM_PERSONA_DRIVER_H
#define FRONTEND_SHIM_PERSONA_DRIVER_H

#include "frontend-shim/blkfront/xenbus.h"
#include "frontend-shim/persona/line.h"

struct persona_driver {
	const struct persona *persona;
	unsigned timeout_ms;
	struct blkfront_xenbus xenbus;
	struct persona_line line;
	uint64_t nr_sectors;
	bool flush, barrier; /* offered */
	struct persona_error error;
};

/* Find the device @frontend. After a failure: fini. */
int persona_driver_init(struct persona_driver *driver, const struct persona *persona,
	const char *frontend, unsigned timeout_ms) __attribute__((nonnull, warn_unused_result));
void persona_driver_fini(struct persona_driver *driver) __attribute__((nonnull));

/* The first @max steps of a table of its persona's. */
int persona_driver_perform(struct persona_driver *driver, const struct persona_step *table,
	unsigned max) __attribute__((nonnull, warn_unused_result));

/* start[], after reset[] where the driver does that; @max counts the steps of start[]. */
int persona_driver_start(struct persona_driver *driver, unsigned max)
	__attribute__((nonnull, warn_unused_result));

/* Read or write @size_bytes, a multiple of the sector size, as many requests as it takes. Waits only for room. */
int persona_driver_io(struct persona_driver *driver, uint8_t op, uint64_t sector,
	uint64_t size_bytes, const struct blkfront_pattern *pattern)
	__attribute__((nonnull, warn_unused_result));

/* Until everything is answered. */
int persona_driver_drain(struct persona_driver *driver)
	__attribute__((nonnull, warn_unused_result));

int persona_driver_sync(struct persona_driver *driver) __attribute__((nonnull, warn_unused_result));

/* Until the toolstack has taken the backend away, whatever that finds the driver doing. */
int persona_driver_vanish(struct persona_driver *driver)
	__attribute__((nonnull, warn_unused_result));

#endif
