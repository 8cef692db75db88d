/*
 * A persona's line to its backend: ring, event channel, pages and requests, used as its habits say.
 *
 * One thread. Owns the pages, the channel and the library handles. Never waits and never logs: what goes wrong is a
 * sentence in the error. A request stays until it is answered, also when the line is cut: persona_line_requeue()
 * makes it again on the next one. Stricter than most drivers in one thing: an answer must be one to a request, with
 * its id and its operation, and have status 0.
 */
#ifndef FRONTEND_SHIM_PERSONA_LINE_H
#define FRONTEND_SHIM_PERSONA_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend-shim/blkfront/pages.h"
#include "frontend-shim/clients/pattern.h"
#include "frontend-shim/persona/kinds.h"
#include "ring/frontring.h"

struct xenevtchn_handle;

#define PERSONA_MAX_REQUESTS 34 /* the largest depth, and two empty ones */
#define PERSONA_MAX_BYTES    (WIRE_SEGMENTS_MAX * WIRE_PAGE_SIZE)

struct persona_error {
	char text[256];
};

struct persona_request {
	bool busy;
	uint8_t op;
	uint64_t id;
	uint64_t sector; /* on the wire */
	unsigned size_bytes;
	struct blkfront_pattern pattern; /* what a read must bring */
	uint64_t pattern_sector;
	unsigned nr_pages;
	struct blkfront_page page[WIRE_SEGMENTS_MAX];
	uint8_t data[PERSONA_MAX_BYTES];
};

struct persona_line {
	const struct persona_habits *habits;
	struct persona_error *error;
	struct xengntdev_handle *gntshr;
	struct xenevtchn_handle *evtchn;
	unsigned backend_id;
	enum wire_abi abi;
	unsigned sector_size; /* what the backend calls a sector */

	/* While shared. */
	bool is_shared;
	int port;
	struct blkfront_page ring_page;
	struct frontring ring;
	struct blkfront_pages pages;

	unsigned nr_busy;
	uint64_t next_id;
	struct persona_request request[PERSONA_MAX_REQUESTS];
};

/* Remember the sentence, unless there is one already, and return @r. */
int persona_fail(struct persona_error *error, int r, const char *format, ...)
	__attribute__((nonnull, format(printf, 3, 4)));

/* Open the libraries. @habits and @error stay the caller's. After a failure: fini. */
int persona_line_init(struct persona_line *line, const struct persona_habits *habits,
	unsigned backend_id, struct persona_error *error)
	__attribute__((nonnull, warn_unused_result));
void persona_line_fini(struct persona_line *line) __attribute__((nonnull));

int persona_line_share(struct persona_line *line) __attribute__((nonnull, warn_unused_result));

/* Take all pages back. Whether the backend has let go of them the hypervisor's counter grants_deferred tells. */
void persona_line_unshare(struct persona_line *line) __attribute__((nonnull));

/* Bytes of the largest request. */
unsigned persona_line_max_bytes(const struct persona_line *line) __attribute__((nonnull));

/* True if the driver would make another request now. */
bool persona_line_has_room(const struct persona_line *line) __attribute__((nonnull));

/*
 * Make one request and tell the backend. @sector is in 512-byte units; with @size_bytes 0 it is written as it is.
 */
int persona_line_submit(struct persona_line *line, uint8_t op, uint64_t sector, unsigned size_bytes,
	const struct blkfront_pattern *pattern) __attribute__((nonnull, warn_unused_result));

/* Take all answers there are. */
int persona_line_take(struct persona_line *line) __attribute__((nonnull, warn_unused_result));

/* Make all that was not answered once more, on the new ring. */
int persona_line_requeue(struct persona_line *line) __attribute__((nonnull, warn_unused_result));

#endif
