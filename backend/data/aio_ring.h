/*
 * What an aio context has finished, read from the ring that the kernel has mapped into this process: without a system call.
 *
 * Queue thread only: who reads the ring may not call io_getevents() of the same context at the same time. The layout is
 * the kernel's ABI (struct aio_ring in fs/aio.c), which libaio, fio and QEMU rely on, too; a ring that does not look like
 * it is not read, and then it is io_getevents().
 */
#ifndef BACKEND_DATA_AIO_RING_H
#define BACKEND_DATA_AIO_RING_H

#include <libaio.h>
#include <stdbool.h>

/* Whether @ctx has a ring that can be read. */
bool aio_ring_is_known(io_context_t ctx);

/* Something is there. */
bool aio_ring_has_events(io_context_t ctx);

/* Take up to @max events; so many. Their places are the kernel's again. */
unsigned aio_ring_take(io_context_t ctx, struct io_event *events, unsigned max)
	__attribute__((warn_unused_result));

#endif
