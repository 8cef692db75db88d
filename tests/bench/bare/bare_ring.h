/*
 * A ring of bare-backend and the thread that serves it: the plain loop, with nothing in it that a limit does not need.
 *
 * The main thread starts and stops it. Errors: negative errno.
 */
#ifndef TESTS_BENCH_BARE_BARE_RING_H
#define TESTS_BENCH_BARE_BARE_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "ring/backring.h"
#include "tests/bench/bare/bare_io.h"

#define BARE_MAX_ORDER 4u

struct bare_ring_setup {
	uint32_t domid;
	uint32_t port; /* the guest's */
	uint32_t ref[1u << BARE_MAX_ORDER];
	unsigned nr_pages;
	unsigned look_us;    /* how long it looks for something to do before it sleeps */
	const char *io_path; /* NULL: every request is answered at once, and nothing moves */
};

struct bare_ring {
	pthread_t thread;
	bool runs;
	int stop; /* an eventfd */
	int epoll;
	unsigned look_us;
	xengnttab_handle *grants;
	xenevtchn_handle *events;
	uint32_t port; /* ours */
	void *pages;
	unsigned nr_pages;
	struct backring ring;
	struct bare_io *io; /* NULL: none */
};

int bare_ring_start(struct bare_ring *ring, const struct bare_ring_setup *setup);

/* After a start that failed, too. */
void bare_ring_stop(struct bare_ring *ring);

#endif
