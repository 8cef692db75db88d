/*
 * The guest's end of its xenstore ring (xen/io/xs_wire.h): two byte streams of 1 KiB each in a shared
 * page. One thread. Knows no messages; who moved bytes notifies the event channel himself.
 */
#ifndef FRONTEND_SHIM_XENBUS_RING_H
#define FRONTEND_SHIM_XENBUS_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct xenstore_domain_interface;

/* Moves up to `size` bytes; returns how many, or -EIO if the other side's indices are impossible. */
ssize_t xsring_write(struct xenstore_domain_interface *ring, const void *data, size_t size)
	__attribute__((nonnull));
ssize_t xsring_read(struct xenstore_domain_interface *ring, void *data, size_t size)
	__attribute__((nonnull));

#endif
