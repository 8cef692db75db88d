#include "frontend-shim/xenbus/ring.h"

#include <errno.h>
#include <string.h>
#include <xen/io/xs_wire.h>

ssize_t xsring_write(struct xenstore_domain_interface *ring, const void *data, size_t size)
{
	uint32_t cons = __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
	uint32_t prod = ring->req_prod;
	const char *from = data;
	size_t done = 0;

	if (prod - cons > XENSTORE_RING_SIZE)
		return -EIO;
	while (done < size && prod - cons < XENSTORE_RING_SIZE) {
		size_t at = MASK_XENSTORE_IDX(prod);
		size_t n = XENSTORE_RING_SIZE - (prod - cons); /* room */

		if (n > XENSTORE_RING_SIZE - at)
			n = XENSTORE_RING_SIZE - at;
		if (n > size - done)
			n = size - done;
		memcpy(ring->req + at, from + done, n);
		prod += (uint32_t)n;
		done += n;
	}
	/* The bytes before the index that says they are there. */
	__atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE);
	return (ssize_t)done;
}

ssize_t xsring_read(struct xenstore_domain_interface *ring, void *data, size_t size)
{
	/* The index before the bytes it announces. */
	uint32_t prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
	uint32_t cons = ring->rsp_cons;
	char *to = data;
	size_t done = 0;

	if (prod - cons > XENSTORE_RING_SIZE)
		return -EIO;
	while (done < size && cons != prod) {
		size_t at = MASK_XENSTORE_IDX(cons);
		size_t n = prod - cons;

		if (n > XENSTORE_RING_SIZE - at)
			n = XENSTORE_RING_SIZE - at;
		if (n > size - done)
			n = size - done;
		memcpy(to + done, ring->rsp + at, n);
		cons += (uint32_t)n;
		done += n;
	}
	/* The bytes are copied before their room is given back. */
	__atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
	return (ssize_t)done;
}
