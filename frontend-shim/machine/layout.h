/*
 * The memory that a simulated host's processes share: what Xen keeps in its own event channel and
 * grant tables. xensimd creates it and hands out the descriptors; everybody maps it.
 *
 * Who writes what: xensimd alone binds (`owner`, `peer`, grant entries, `slot_of`). Any process
 * changes `state`, `queued` and its own counters on the data path, with atomic operations only, so
 * that a process killed between any two instructions leaves nothing locked.
 *
 *   machine (one memfd a host)                      guest memory (one memfd a domain)
 *   +----------------------------+                  +-----------------------------------+
 *   | slot_of[domid]             |                  | grant table: 64 Ki words          |
 *   | handles[]: queued bitmap,  |                  |   {permit, readonly, to, frame}   |
 *   |   counters of each handle  |                  +-----------------------------------+
 *   | domains[slot].ports[]:     |                  | frames, sparse; frame N is at the |
 *   |   state, owner, peer       |                  | offset N * 4096                   |
 *   +----------------------------+                  +-----------------------------------+
 *
 * Nothing here is a security boundary: the processes of a simulated host trust each other not to
 * scribble over it. What a *guest* may do is checked by the operations.
 */
#ifndef FRONTEND_SHIM_MACHINE_LAYOUT_H
#define FRONTEND_SHIM_MACHINE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define MACHINE_MAGIC    0x78656e73696d3031ULL /* "xensim01" */
#define MACHINE_PORTS    4096u                 /* per domain, as Xen's 2-level ABI; 0 is invalid */
#define MACHINE_DOMAINS  128u                  /* alive or dying at one time */
#define MACHINE_HANDLES  4096u                 /* open library handles at one time */
#define MACHINE_DOMIDS   0x8000u               /* DOMID_SELF and above are not domains */
#define MACHINE_NO_SLOT  0u                    /* slot_of[] of a domain that does not exist */
#define MACHINE_PORTWORD (MACHINE_PORTS / 64)

/* machine_port.state */
#define PORT_PENDING 1u
#define PORT_MASKED  2u

/* A machine_port.peer that is bound carries this bit beside slot and port. */
#define PORT_PEER_BOUND (1ULL << 63)

/* One cache line each: neighbouring ports belong to different queues and different CPUs. */
struct machine_port {
	_Atomic uint32_t state; /* PORT_* */
	_Atomic uint64_t owner; /* id of the handle events go to; 0 = nobody */
	_Atomic uint64_t peer;  /* PORT_PEER_BOUND | slot << 16 | port; 0 = events are dropped */
} __attribute__((aligned(64)));

struct machine_domain {
	_Atomic uint32_t running; /* 0: crashed, shut down, dying: it executes nothing any more */
	uint32_t domid;
	struct machine_port ports[MACHINE_PORTS];
};

/*
 * One open library handle. Its id is `generation << 32 | index`, never 0, never used twice.
 *
 * queued: the ports read by xenevtchn_pending(). The handle's eventfd counts the bits, so that the
 *   descriptor is readable exactly while there is a port to take.
 * delivering: deliveries begun by this handle and not finished. Not zero when the process was killed
 *   between taking an event off a port and waking its owner; xensimd then repeats the wake-up.
 * repaired: the port of such a repeated wake-up, returned when the count proves one too high.
 * copies_begun, copies_done: a page is not reused while a grant copy may still be looking at it.
 */
struct machine_handle {
	_Atomic uint32_t generation;
	_Atomic uint32_t delivering;
	_Atomic uint32_t repaired;
	_Atomic uint64_t copies_begun;
	_Atomic uint64_t copies_done;
	_Atomic uint64_t nr_sent;
	_Atomic uint64_t nr_delivered;
	_Atomic uint64_t nr_copied_bytes;
	_Atomic uint64_t nr_copied_segments;
	_Atomic uint64_t queued[MACHINE_PORTWORD] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

struct machine {
	uint64_t magic;
	_Atomic uint32_t slot_of[MACHINE_DOMIDS]; /* domid -> incarnation << 16 | slot; 0 = none */
	struct machine_handle handles[MACHINE_HANDLES];
	struct machine_domain domains[MACHINE_DOMAINS];
};

/* ---- guest memory ---------------------------------------------------------------------------- */

#define GUEST_PAGE        4096u
#define GUEST_FRAMES      262144u /* 1 GiB of address space, used sparsely */
#define GUEST_BYTES       ((uint64_t)GUEST_FRAMES * GUEST_PAGE)
#define GUEST_GRANTS      65536u
#define GUEST_FIRST_GRANT 8u    /* GNTTAB_NR_RESERVED_ENTRIES */
#define GUEST_FIRST_FRAME 4096u /* far from every grant reference, so that confusing them shows */

/* A grant entry is one word, so that a reader sees a whole one: flags | domid << 16 | frame << 32. */
#define GRANT_PERMIT   1u
#define GRANT_READONLY 4u /* the value of GTF_readonly */

static inline uint64_t grant_word(uint32_t flags, uint32_t domid, uint32_t frame)
{
	return flags | (uint64_t)domid << 16 | (uint64_t)frame << 32;
}

static inline uint32_t grant_flags(uint64_t word)
{
	return word & 0xffffu;
}

static inline uint32_t grant_domid(uint64_t word)
{
	return word >> 16 & 0xffffu;
}

static inline uint32_t grant_frame(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint64_t port_peer_word(uint32_t slot, uint32_t port)
{
	return PORT_PEER_BOUND | (uint64_t)slot << 16 | port;
}

static inline uint32_t handle_index(uint64_t id)
{
	return (uint32_t)id;
}

static inline uint32_t handle_generation(uint64_t id)
{
	return (uint32_t)(id >> 32);
}

#endif
