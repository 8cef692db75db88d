#include "backend/data/aio_ring.h"

/* The kernel's struct aio_ring. */
struct aio_ring {
	unsigned id;
	unsigned nr;   /* places, of which one stays empty */
	unsigned head; /* ours */
	unsigned tail; /* the kernel's */
	unsigned magic;
	unsigned compat_features;
	unsigned incompat_features;
	unsigned header_length;
	struct io_event events[];
};

#define AIO_RING_MAGIC 0xa10a10a1u

static struct aio_ring *ring_of(io_context_t ctx)
{
	return (struct aio_ring *)ctx;
}

bool aio_ring_is_known(io_context_t ctx)
{
	const struct aio_ring *ring = ring_of(ctx);

	return ring->magic == AIO_RING_MAGIC && ring->incompat_features == 0 &&
	       ring->header_length == sizeof(*ring) && ring->nr > 0;
}

bool aio_ring_has_events(io_context_t ctx)
{
	const struct aio_ring *ring = ring_of(ctx);

	return ring->head != __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

unsigned aio_ring_take(io_context_t ctx, struct io_event *events, unsigned max)
{
	struct aio_ring *ring = ring_of(ctx);
	/* Read the tail, then the events before it. */
	unsigned tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	unsigned head = ring->head, n = 0;

	while (n < max && head != tail) {
		events[n++] = ring->events[head];
		head = head + 1 < ring->nr ? head + 1 : 0;
	}
	/* Read the events, then give their places back. */
	if (n > 0)
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	return n;
}
