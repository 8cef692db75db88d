/*
 * What blkfront.c (life cycle) and blkfront/request.c (requests) share. Nobody else includes this.
 *
 * One thread at a time, as blkfront.h says.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_IMPL_H
#define FRONTEND_SHIM_BLKFRONT_IMPL_H

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/blkfront/shadow.h"
#include "frontend-shim/blkfront/xenbus.h"

struct xenevtchn_handle;

struct blkfront_queue {
	struct blkfront_page ring_page[1u << BLKFRONT_RING_ORDER_MAX];
	unsigned nr_ring_pages; /* 0: none */
	int port;               /* -1: none */
	struct frontring ring;
	struct blkfront_shadow shadow;
};

struct blkfront {
	struct blkfront_options options;
	struct blkfront_xenbus xenbus;
	struct xengntdev_handle *gntshr;
	struct xenevtchn_handle *evtchn;

	/* From share() to unshare(). */
	struct blkfront_queue queue[BLKFRONT_QUEUES_MAX];
	unsigned nr_queues; /* 0: nothing is shared */
	struct blkfront_pages pages;

	bool connected;  /* requests can be made, if nothing below is set */
	bool closing;    /* the backend wants to close: no new requests */
	bool gone;       /* the backend closed or vanished */
	bool misbehaved; /* the backend broke the protocol */

	struct blkfront_disk disk;
	struct blkfront_stats stats;
	struct blkfront_request *done_first, *done_last;
	char error[256];
};

/* Remember the sentence and return @error. */
int blkfront_fail(struct blkfront *front, int error, const char *format, ...)
	__attribute__((nonnull, format(printf, 3, 4)));

/* Whatever it was, its ring. Only while connected. */
static inline struct blkfront_queue *blkfront_queue_of(
	struct blkfront *front, const struct blkfront_request *req)
{
	return &front->queue[req->queue % front->nr_queues];
}

/* Complete every outstanding request with @error. */
void blkfront_fail_all(struct blkfront *front, int error) __attribute__((nonnull));

#endif
