#include "frontend-shim/machine/port.h"

static struct machine_port *port_lookup(struct machine *m, struct port_at at)
{
	return &m->domains[at.slot].ports[at.port];
}

/* Puts the port into its owner's queue. The bit is set first, then counted: who reads the count
 * finds a bit. A bit that was already set is counted already, or about to be by who set it. */
static void port_queue(struct machine *m, struct machine_handle *sender, struct port_at at,
	struct port_waker *waker)
{
	uint64_t owner = atomic_load(&port_lookup(m, at)->owner);
	uint64_t bit = 1ULL << (at.port % 64), old;
	struct machine_handle *h;

	if (!owner)
		return;
	h = &m->handles[handle_index(owner)];
	if (atomic_load(&h->generation) != handle_generation(owner))
		return;
	old = atomic_fetch_or(&h->queued[at.port / 64], bit);
	if (old & bit)
		return;
	atomic_fetch_add_explicit(&sender->nr_delivered, 1, memory_order_relaxed);
	waker->wake(waker, owner);
}

void port_raise(struct machine *m, struct machine_handle *sender, struct port_at at,
	struct port_waker *waker)
{
	struct machine_port *p = port_lookup(m, at);
	uint32_t old, idle_pending = PORT_PENDING;

	/* Always a read-modify-write, also when the bit is set already: it orders "write data, then
	 * notify" against the owner's "clear pending, then read data". */
	old = atomic_fetch_or(&p->state, PORT_PENDING);
	if (old & (PORT_PENDING | PORT_MASKED))
		return;

	atomic_fetch_add(&sender->delivering, 1);
	/* Fails only if the port was closed, or xensimd did this for us, meanwhile. */
	if (atomic_compare_exchange_strong(&p->state, &idle_pending, PORT_MASKED))
		port_queue(m, sender, at, waker);
	atomic_fetch_sub(&sender->delivering, 1);
}

void port_send(struct machine *m, struct machine_handle *sender, struct port_at at,
	struct port_waker *waker)
{
	uint64_t peer = atomic_load_explicit(&port_lookup(m, at)->peer, memory_order_acquire);
	struct port_at to = {(peer >> 16) & 0xffff, peer & 0xffff};

	atomic_fetch_add_explicit(&sender->nr_sent, 1, memory_order_relaxed);
	if (peer & PORT_PEER_BOUND)
		port_raise(m, sender, to, waker);
}

void port_unmask(struct machine *m, struct machine_handle *owner, struct port_at at,
	struct port_waker *waker)
{
	struct machine_port *p = port_lookup(m, at);
	uint32_t old = atomic_load(&p->state), new;

	do {
		if (!(old & PORT_MASKED))
			return;
		new = old &PORT_PENDING ? PORT_MASKED : 0;
	} while (!atomic_compare_exchange_weak(&p->state, &old, new));
	if (new &PORT_MASKED)
		port_queue(m, owner, at, waker);
}

void port_repair(struct machine *m, struct machine_handle *self, struct port_at at, bool repeat,
	struct port_waker *waker)
{
	struct machine_port *p = port_lookup(m, at);
	uint64_t owner = atomic_load(&p->owner);
	uint32_t idle_pending = PORT_PENDING;
	struct machine_handle *h;

	if (atomic_compare_exchange_strong(&p->state, &idle_pending, PORT_MASKED)) {
		port_queue(m, self, at, waker);
		return;
	}
	if (!repeat || !owner)
		return;
	h = &m->handles[handle_index(owner)];
	atomic_store(&h->repaired, at.port);
	atomic_fetch_or(&h->queued[at.port / 64], 1ULL << (at.port % 64));
	waker->wake(waker, owner);
}

uint32_t port_take_queued(struct machine_handle *owner, uint32_t *hint)
{
	uint32_t start = *hint % MACHINE_PORTS;

	/* One word more than there are: the first is looked at above the hint, the last below. */
	for (uint32_t i = 0; i <= MACHINE_PORTWORD; i++) {
		uint32_t word = (start / 64 + i) % MACHINE_PORTWORD;
		uint64_t bits = atomic_load(&owner->queued[word]);

		if (i == 0)
			bits &= ~0ULL << (start % 64);
		while (bits) {
			uint32_t port = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint64_t bit = 1ULL << (port % 64);

			bits &= ~bit;
			if (!(atomic_fetch_and(&owner->queued[word], ~bit) & bit))
				continue; /* another thread of this handle took it */
			*hint = port + 1;
			return port;
		}
	}
	return 0;
}

bool port_owned(const struct machine *m, struct port_at at, uint64_t id)
{
	if (!at.port || at.port >= MACHINE_PORTS)
		return false;
	return atomic_load_explicit(
		       &m->domains[at.slot].ports[at.port].owner, memory_order_acquire) == id;
}
