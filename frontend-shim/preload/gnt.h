/*
 * The handle behind xengnttab_handle and xengntshr_handle (the real header makes them one type), and
 * its view of guests' memory. `lock` guards `regions` and the replacing of `memories`; grant copies
 * only load a pointer from `memories` and take no lock.
 */
#ifndef FRONTEND_SHIM_PRELOAD_GNT_H
#define FRONTEND_SHIM_PRELOAD_GNT_H

#include "frontend-shim/preload/region.h"
#include "frontend-shim/preload/shim.h"

/* One incarnation of a domain's memory, mapped whole. */
struct gnt_memory {
	struct gnt_memory *next; /* of the retired ones */
	uint32_t word;           /* machine.slot_of */
	int fd;
	uint8_t *base;
};

struct xengntdev_handle {
	struct hv_client client;
	struct machine_handle *self;
	struct xentoollog_logger *logger;
	const char *context; /* for log lines */
	pthread_mutex_t lock;
	struct regions regions;
	struct gnt_memory *_Atomic memories[MACHINE_DOMAINS]; /* by slot */
	struct gnt_memory
		*retired; /* of earlier domains, perhaps in use by another thread's copy */
};

/* Both open functions. Logs. NULL with errno set on failure. */
struct xengntdev_handle *gnt_open(
	struct xentoollog_logger *logger, enum hv_kind kind, const char *context);

/* Both close functions: unmaps what is mapped, unless in a forked child. */
int gnt_close(struct xengntdev_handle *h);

/* The memory of domain `domid` in the incarnation that slot_of names as `word`, fetched if need be.
 * NULL: it does not exist (any more), or no resources. Takes the lock. */
struct gnt_memory *gnt_memory(struct xengntdev_handle *h, uint32_t domid, uint32_t word)
	__attribute__((nonnull));

#endif
