/*
 * A hypervisor of a few pages inside this process, for fuzzing the queue: the functions of libxengnttab and
 * libxenevtchn that backend/data calls, without system calls on the way of a request. tests/contract says what Xen
 * does; of that, this has what a hostile guest can play with: grants that are bad, read-only or taken back, mappings
 * that cannot be had, copies that fail.
 *
 * The guest's pages are seen twice: through .guest by the test, and through a mapping of its own for each grant that
 * the backend mapped. With the address sanitizer, a page that is not mapped now cannot be touched through it.
 */
#ifndef TESTS_FUZZ_FAKE_XEN_H
#define TESTS_FUZZ_FAKE_XEN_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/wire.h"

#define FAKE_DOMID      7u
#define FAKE_PORT       9u
#define FAKE_DATA_PAGES 8u
#define FAKE_RING_PAGES 16u
#define FAKE_PAGES      (FAKE_DATA_PAGES + FAKE_RING_PAGES) /* the ring's are the last ones */
/* More than a queue keeps mapped. The last ones are the ring's: they may be named in requests, too. */
#define FAKE_DATA_REFS 2048u
#define FAKE_REFS      (FAKE_DATA_REFS + FAKE_RING_PAGES)

enum fake_access {
	FAKE_NONE,
	FAKE_READ_ONLY,
	FAKE_READ_WRITE,
};

struct fake_xen {
	uint8_t *guest;
	struct fake_grant {
		uint8_t page;
		uint8_t access;
		bool mapped;               /* alone and writable */
		uint16_t nr_mapped;        /* so often among others, or only to be read */
		uint16_t nr_writable;      /* of these */
		unsigned writable_to_pass; /* it was mapped writable in that one */
	} grant[FAKE_REFS];
	bool map_fails;  /* the host's limits are reached */
	bool copy_fails; /* the hypercall as a whole */
	bool no_port;    /* the frontend's port is not there */
	bool (*fails)(
		void); /* asked, if there, before anything is opened or bound, or a ring mapped */
	bool mapped_again; /* one that is mapped may be once more */
	/* What the model thinks of it, if it is asked; of what has to do with data only. */
	void (*on_map)(const uint32_t *refs, unsigned n, bool writable);
	void (*on_unmap)(void);
	unsigned pass; /* the model counts */
	bool ring_mapped;
	unsigned nr_mapped;
	unsigned nr_handles;
	unsigned nr_notified;
};

extern struct fake_xen fake_xen;

/* All pages zero, all grants as they come: reference i is page i of the data, writable; then the ring's. */
void fake_xen_reset(void);

/* Change a grant. While it is mapped only the access can change: the frame is in use. */
void fake_xen_grant(uint32_t ref, unsigned page, enum fake_access access);

static inline uint8_t *fake_xen_page(unsigned page)
{
	return fake_xen.guest + (size_t)page * WIRE_PAGE_SIZE;
}

static inline uint8_t *fake_xen_ring(void)
{
	return fake_xen_page(FAKE_DATA_PAGES);
}

/*
 * The page @ref names, if the backend may write to it, or might have in this pass: NULL if not. Its mapping outlives its
 * grant.
 */
const struct fake_grant *fake_xen_writable(uint32_t ref);
/* The same for reading. */
const struct fake_grant *fake_xen_readable(uint32_t ref);

/* The reference whose mapping @at is in; -1 when it is in none. */
int64_t fake_xen_mapped_at(const void *at);

#endif
