#include "tests/lib/judge.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REQUESTS 4096u
#define MAX_OPS      8192u

/* Moments are line numbers of the record, from 1; 0 is "never". */
struct request {
	char kind[16];
	unsigned asked;
	unsigned answered;
	int status;
	unsigned begun; /* its data, in the storage */
	unsigned ended;
	unsigned nr_writes;
};

struct span {
	unsigned begun;
	unsigned ended;
	int error;
	unsigned serial; /* of a write: whose data */
};

struct record {
	struct request request[MAX_REQUESTS + 1];
	struct span write[MAX_OPS + 1];
	struct span sync[MAX_OPS + 1];
	unsigned nr_requests;
	unsigned nr_syncs;
	unsigned nr_broken;
};

static const unsigned for_ever = UINT32_MAX;

static void complain(struct record *r, unsigned serial, const char *what)
{
	(void)fprintf(stderr, "judge: request %u: %s\n", serial, what);
	r->nr_broken++;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static bool read_mark(struct record *r, const char *line, unsigned now)
{
	char kind[16];
	unsigned serial;
	int status;

	if (sscanf(line, "mark ask %u %15s", &serial, kind) == 2) {
		if (serial != r->nr_requests + 1 || serial > MAX_REQUESTS)
			return false;
		r->nr_requests = serial;
		r->request[serial].asked = now;
		(void)snprintf(r->request[serial].kind, sizeof(kind), "%s", kind);
		return true;
	}
	if (sscanf(line, "mark answer %u %d", &serial, &status) != 2)
		return true; /* other marks are for people */
	if (serial == 0 || serial > r->nr_requests)
		return false;
	if (r->request[serial].answered)
		complain(r, serial, "is answered twice");
	r->request[serial].answered = now;
	r->request[serial].status = status;
	return true;
}

static void begin_write(struct record *r, unsigned number, uint64_t serial, unsigned now)
{
	struct request *request;

	r->write[number] = (struct span){.begun = now, .serial = (unsigned)serial};
	if (serial == 0 || serial > r->nr_requests) {
		complain(r, 0, "a write nobody asked for reaches the storage");
		r->write[number].serial = 0;
		return;
	}
	request = &r->request[serial];
	if (request->nr_writes++ == 0)
		request->begun = now;
	else
		complain(r, (unsigned)serial, "is written twice");
}

static bool read_line(struct record *r, const char *line, unsigned now)
{
	unsigned n;
	uint64_t serial;
	int error;

	if (strncmp(line, "mark ", 5) == 0)
		return read_mark(r, line, now);
	if (sscanf(line, "begin sync %u", &n) == 1 && n <= MAX_OPS) {
		r->sync[n].begun = now;
		r->nr_syncs = n;
	} else if (sscanf(line, "end sync %u %d", &n, &error) == 2 && n <= r->nr_syncs) {
		r->sync[n].ended = now;
		r->sync[n].error = error;
	} else if (sscanf(line, "begin write %u %*u %*u %" SCNu64, &n, &serial) == 2 &&
		   n <= MAX_OPS) {
		begin_write(r, n, serial, now);
	} else if (sscanf(line, "end write %u %d", &n, &error) == 2 && n <= MAX_OPS) {
		r->request[r->write[n].serial].ended = now;
	} else {
		return strstr(line, " read ") != NULL;
	}
	return true;
}

/* ---- the rules -------------------------------------------------------------------------------- */

static bool is(const struct request *request, const char *kind)
{
	return strcmp(request->kind, kind) == 0;
}

static bool has_data(const struct request *request)
{
	return is(request, "write") || strstr(request->kind, "-write") != NULL;
}

/* An fdatasync that worked lies between the two moments. */
static bool synced_between(const struct record *r, unsigned after, unsigned before)
{
	for (unsigned i = 1; i <= r->nr_syncs; i++) {
		const struct span *sync = &r->sync[i];

		if (sync->ended && !sync->error && sync->begun > after && sync->ended < before)
			return true;
	}
	return false;
}

/* R13, and no success without the data. */
static void judge_answer(struct record *r, unsigned serial)
{
	const struct request *request = &r->request[serial];

	if (!request->answered)
		complain(r, serial, "is never answered");
	else if (has_data(request) && request->status == 0 &&
		 (!request->ended || request->ended > request->answered))
		complain(r, serial, "is answered before its data is written");
}

/* D3 */
static void judge_flush(struct record *r, unsigned serial)
{
	const struct request *flush = &r->request[serial];
	unsigned before = is(flush, "flush") ? flush->answered : flush->begun;

	if (!synced_between(r, flush->asked, before))
		complain(r, serial, "a flush without an fdatasync of its own time");
}

/* D2 */
static void judge_barrier(struct record *r, unsigned serial)
{
	const struct request *barrier = &r->request[serial];
	unsigned earlier = barrier->asked;
	unsigned later = barrier->answered;

	for (unsigned i = 1; i <= r->nr_requests; i++) {
		const struct request *other = &r->request[i];

		if (i == serial || !other->begun)
			continue;
		if (i < serial && (!other->ended || other->ended > earlier))
			earlier = other->ended ? other->ended : for_ever;
		if (i > serial && other->begun < later)
			later = other->begun;
	}
	if (is(barrier, "barrier")) {
		if (!synced_between(r, earlier, later))
			complain(r, serial, "an empty barrier does not separate");
		return;
	}
	if (!synced_between(r, earlier, barrier->begun))
		complain(r, serial, "a barrier's data passes earlier writes");
	if (!synced_between(r, barrier->ended, later))
		complain(r, serial,
			"a barrier's data is not safe before later writes or the answer");
}

/* D5: the moment the frontend can know that an fdatasync has failed. */
static unsigned failure_known(const struct record *r)
{
	unsigned failed = for_ever;
	unsigned known = for_ever;

	for (unsigned i = 1; i <= r->nr_syncs; i++)
		if (r->sync[i].error && r->sync[i].ended < failed)
			failed = r->sync[i].ended;
	for (unsigned i = 1; i <= r->nr_requests; i++) {
		const struct request *request = &r->request[i];

		if (request->status && request->answered > failed && request->answered < known)
			known = request->answered;
	}
	return known;
}

static void judge_latch(struct record *r)
{
	unsigned known = failure_known(r);

	for (unsigned i = 1; i <= r->nr_requests; i++) {
		const struct request *request = &r->request[i];

		if (request->asked < known)
			continue;
		if (request->status == 0)
			complain(r, i, "succeeds although an fdatasync has failed");
		if (request->begun)
			complain(r, i, "is written although an fdatasync has failed");
	}
}

static void judge_syncs(struct record *r)
{
	for (unsigned i = 2; i <= r->nr_syncs; i++)
		if (!r->sync[i - 1].ended || r->sync[i].begun < r->sync[i - 1].ended)
			complain(r, 0, "two fdatasyncs run at once");
}

static void judge_all(struct record *r)
{
	for (unsigned i = 1; i <= r->nr_requests; i++) {
		const struct request *request = &r->request[i];

		judge_answer(r, i);
		if (request->status || !request->answered)
			continue;
		if (is(request, "flush") || is(request, "flush-write"))
			judge_flush(r, i);
		if (is(request, "barrier") || is(request, "barrier-write"))
			judge_barrier(r, i);
	}
	judge_latch(r);
	judge_syncs(r);
}

unsigned judge(const char *text)
{
	struct record *r = calloc(1, sizeof(*r));
	char *copy = strdup(text);
	char *rest = copy;
	char *line;
	unsigned now = 0;
	unsigned nr_broken = 1;

	while (r && copy && (line = strsep(&rest, "\n"))) {
		if (*line && !read_line(r, line, ++now)) {
			(void)fprintf(stderr, "judge: line %u is not understood: %s\n", now, line);
			goto out;
		}
	}
	if (r) {
		judge_all(r);
		nr_broken = r->nr_broken;
	}
out:
	free(copy);
	free(r);
	return nr_broken;
}
