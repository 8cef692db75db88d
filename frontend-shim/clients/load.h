/*
 * A load on one disk: streams of I/Os, each stream one I/O after the other, and what they took.
 *
 * One thread at a time, the one of the disk's blkfront. Owns the streams and their requests, not the blkfront. An I/O
 * that is larger than the requests the backend takes is made of several, as a guest's block layer does it; it has ended when
 * all have. Never logs, never waits.
 */
#ifndef FRONTEND_SHIM_CLIENTS_LOAD_H
#define FRONTEND_SHIM_CLIENTS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/clients/latencies.h"

#define LOAD_MAX_DEPTH 512u

/* The same for all disks. */
struct load_plan {
	const char *op_name;
	uint8_t op;
	bool random;
	unsigned nr_sectors;  /* of an I/O */
	unsigned depth;       /* streams of a disk */
	unsigned flush_every; /* a stream flushes after so many I/Os; 0: never */
	uint64_t count;       /* I/Os of a disk, flushes too; 0: until the time is up */
	double seconds;
};

struct load_stream {
	struct load *load;
	struct load_stream *next; /* of those with requests that are not on the ring yet */
	struct blkfront_request *part;
	uint64_t sector, begun_ns;
	unsigned left;      /* sectors for which no request is on the ring yet */
	unsigned nr_parts;  /* requests that are */
	unsigned nr_open;   /* ... and have no answer */
	unsigned unflushed; /* I/Os since the last flush */
	bool is_flush, is_sent, has_failed;
};

struct load {
	const struct load_plan *plan;
	struct blkfront *front;
	struct load_stream *streams;
	struct blkfront_request *requests;
	struct load_stream *first, *last; /* have requests to send */
	unsigned nr_active;               /* streams with an I/O under way */
	unsigned part_sectors;            /* the largest request */
	unsigned flush_every;
	uint64_t nr_places, next_place, random_state;
	uint64_t now_ns, deadline_ns; /* the clock is read once per batch, by the caller */
	uint64_t begun, failed, requests_sent;
	uint64_t notified, events;                   /* of the blkfront, before the figures began */
	int error;                                   /* what ended the load, beside failed I/Os */
	struct latencies latencies, flush_latencies; /* flushes count in the latter only */
};

/*
 * Get ready for @plan on @front, which is connected; both stay the caller's. @seed is not 0. -ERANGE when the disk is smaller than one
 * I/O, -ENOMEM; load_fini() in any case.
 */
int load_init(struct load *load, const struct load_plan *plan, struct blkfront *front,
	uint64_t seed) __attribute__((nonnull, warn_unused_result));

/* NULL, zeroed and twice are fine. */
void load_fini(struct load *load);

/* The first I/O of each stream. Set now_ns and deadline_ns before. */
int load_start(struct load *load) __attribute__((nonnull, warn_unused_result));

/* Complete what has arrived and push what took its place. Set now_ns before. */
int load_turn(struct load *load) __attribute__((nonnull, warn_unused_result));

/* Figures begin now: what was measured is forgotten, but for failures. I/Os under way count. */
void load_begin_figures(struct load *load) __attribute__((nonnull));

/* Pages that a blkfront needs for @plan; no more than can be granted in one go. */
unsigned load_pages(const struct load_plan *plan) __attribute__((nonnull));

#endif
