/*
 * A scriptable guest disk: single requests, good and bad, by hand or from shell tests.
 *
 *   blkfront-io --vdev=xvda info 'write 0 8 pattern=0x5a' 'read 0 8 expect=0x5a' flush
 *   blkfront-io --vdev=xvda - <commands
 *
 * Connects, runs one command per argument (or per line of standard input, for "-"), closes. Each
 * result is one line: the command's name and numbers, then the status as it stood on the wire. Every
 * request is expected to return status 0 unless status=N or status=any says otherwise.
 * Exit status: 0 all as expected; 1 something was not; 2 a command nobody understands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/blkfront/xenbus.h"
#include "frontend-shim/clients/words.h"

#define MAX_FLIGHT 544 /* more than the largest ring holds */

/* One request with what is expected of it. */
struct job {
	struct blkfront_request req;
	char name[64];                   /* of the result line */
	struct blkfront_pattern pattern; /* to write, or to expect if compare */
	bool compare;
	int32_t expected_status;
	bool busy;
	unsigned nr_pages; /* of a made-up request: for data, and for segments */
	struct blkfront_page page[2];
	uint8_t *data; /* allocated, of nr_sectors */
};

struct shell {
	struct blkfront_options options;
	struct blkfront *front;
	unsigned queue;    /* of the requests to come */
	bool disconnected; /* by the close command, or before connect */
	bool any_padding;  /* of responses: some backends leave the request's bytes there */
	bool wrong;        /* an expectation failed */
	struct job jobs[MAX_FLIGHT];
	struct blkfront_words words; /* of the current command */
};

static struct shell shell;

/* ---- data ------------------------------------------------------------------------------------- */

/* Compare with what is expected; prints the end of the result line. */
static bool data_is_right(const struct job *job)
{
	size_t size = (size_t)job->req.nr_sectors * WIRE_SECTOR_SIZE;
	size_t wrong = blkfront_pattern_compare(&job->pattern, job->req.sector, job->data, size);

	if (wrong == size) {
		printf(" data ok");
		return true;
	}
	printf(" data WRONG at sector %" PRIu64 " byte %zu: 0x%02x",
		job->req.sector + wrong / WIRE_SECTOR_SIZE, wrong % WIRE_SECTOR_SIZE,
		job->data[wrong]);
	return false;
}

/* ---- requests --------------------------------------------------------------------------------- */

static struct job *new_job(struct shell *sh)
{
	for (unsigned i = 0; i < MAX_FLIGHT; i++)
		if (!sh->jobs[i].busy) {
			struct job *job = &sh->jobs[i];

			free(job->data);
			*job = (struct job){0};
			job->req.opaque = job;
			job->req.queue = sh->queue;
			return job;
		}
	return NULL;
}

static void put_pages(struct shell *sh, struct job *job)
{
	while (job->nr_pages > 0)
		blkfront_page_put(sh->front, &job->page[--job->nr_pages]);
}

static void print_result(struct shell *sh, struct job *job)
{
	const struct blkfront_request *req = &job->req;
	bool right = true;

	if (req->error)
		printf("%s: error %s", job->name, strerror(-req->error));
	else
		printf("%s: status %d", job->name, req->status);
	if (req->error || (job->expected_status != BLKFRONT_STATUS_ANY &&
				  req->status != job->expected_status)) {
		printf(" WRONG, expected %d", job->expected_status);
		right = false;
	}
	if (!req->error && !req->padding_is_zero && !sh->any_padding) {
		printf(" padding WRONG");
		right = false;
	}
	if (right && req->op == BLKIF_OP_READ && req->status == BLKIF_RSP_OKAY && req->data &&
		job->compare)
		right = data_is_right(job);
	putchar('\n');
	sh->wrong |= !right;
	put_pages(sh, job);
	job->busy = false;
}

static void print_done(struct shell *sh)
{
	struct blkfront_request *req;

	while ((req = blkfront_next_done(sh->front)))
		print_result(sh, req->opaque);
	fflush(stdout);
}

/* A failure of the disk as such. The run goes on: a later command may expect just that. */
static int trouble(struct shell *sh, const char *what, int r)
{
	printf("%s: error %s (%s)\n", what, strerror(-r), blkfront_error(sh->front));
	fflush(stdout);
	sh->wrong = true;
	return 0;
}

/* Reap until @nr_left requests are outstanding. */
static int reap_until(struct shell *sh, unsigned nr_left)
{
	int r = blkfront_reap(sh->front);

	print_done(sh);
	while (r == 0 && blkfront_outstanding(sh->front) > nr_left) {
		r = blkfront_wait(sh->front, (int)sh->options.timeout_ms);
		if (r == 0)
			r = blkfront_reap(sh->front);
		print_done(sh);
	}
	return r ? trouble(sh, "wait", r) : 0;
}

/* Push what was submitted with result @r and, unless the command said async, wait for it. */
static int finish(struct shell *sh, struct job *job, int r, bool async)
{
	if (r == 0)
		r = blkfront_push(sh->front);
	if (r) {
		put_pages(sh, job);
		return trouble(sh, job->name, r);
	}
	job->busy = true;
	return async ? 0 : reap_until(sh, 0);
}

static const char *const request_keys[] = {"pattern", "expect", "segs", "status", NULL};

/* read|write|flush|barrier [SECTOR COUNT] [pattern=|expect=] [segs=] [status=] */
static int parse_request(struct shell *sh, uint8_t op, struct job *job)
{
	bool has_data = op == BLKIF_OP_READ || op == BLKIF_OP_WRITE ||
			(sh->words.nr >= 2 && !strchr(sh->words.word[0], '='));
	unsigned nr_plain = has_data ? 2 : 0;
	const char *pattern = blkfront_words_option(
		&sh->words, nr_plain, op == BLKIF_OP_READ ? "expect" : "pattern");
	const char *segments = blkfront_words_option(&sh->words, nr_plain, "segs");
	const char *status = blkfront_words_option(&sh->words, nr_plain, "status");
	uint64_t nr_sectors = 0;
	int r = blkfront_words_check(&sh->words, nr_plain, request_keys);

	job->req.op = op;
	if (r == 0 && has_data)
		r = blkfront_words_number(
			&sh->words, sh->words.word[0], UINT64_MAX, &job->req.sector);
	if (r == 0 && has_data)
		r = blkfront_words_number(
			&sh->words, sh->words.word[1], BLKFRONT_MAX_SECTORS, &nr_sectors);
	if (r == 0 && pattern)
		r = blkfront_words_pattern(&sh->words, pattern, &job->pattern);
	if (r == 0 && segments)
		r = blkfront_words_segments(
			&sh->words, segments, job->req.seg, &job->req.nr_segments);
	if (r == 0 && status)
		r = blkfront_words_status(&sh->words, status, &job->expected_status);
	if (r)
		return r;
	job->compare = pattern && op == BLKIF_OP_READ;
	job->req.nr_sectors = (unsigned)nr_sectors;
	if (nr_sectors) {
		job->data = calloc(nr_sectors, WIRE_SECTOR_SIZE);
		if (!job->data)
			return blkfront_words_bad(&sh->words, "out of memory");
		job->req.data = job->data;
	}
	if (has_data)
		snprintf(job->name, sizeof(job->name), "%s %s %s", sh->words.verb,
			sh->words.word[0], sh->words.word[1]);
	else
		snprintf(job->name, sizeof(job->name), "%s", sh->words.verb);
	return 0;
}

static int make_request(struct shell *sh, uint8_t op, bool async)
{
	struct job *job = new_job(sh);
	int r;

	if (!job)
		return blkfront_words_bad(
			&sh->words, "more than %u requests in flight", MAX_FLIGHT);
	r = parse_request(sh, op, job);
	if (r)
		return r;
	if (op != BLKIF_OP_READ && job->data)
		blkfront_pattern_fill(&job->pattern, job->req.sector, job->data,
			(size_t)job->req.nr_sectors * WIRE_SECTOR_SIZE);
	return finish(sh, job, blkfront_submit(sh->front, &job->req), async);
}

static int command_read(struct shell *sh, bool async)
{
	return make_request(sh, BLKIF_OP_READ, async);
}

static int command_write(struct shell *sh, bool async)
{
	return make_request(sh, BLKIF_OP_WRITE, async);
}

static int command_barrier(struct shell *sh, bool async)
{
	return make_request(sh, BLKIF_OP_WRITE_BARRIER, async);
}

static int command_flush(struct shell *sh, bool async)
{
	return make_request(sh, BLKIF_OP_FLUSH_DISKCACHE, async);
}

/* discard SECTOR COUNT [secure=0|1] [status=] */
static int command_discard(struct shell *sh, bool async)
{
	static const char *const keys[] = {"secure", "status", NULL};
	const char *secure = blkfront_words_option(&sh->words, 2, "secure");
	const char *status = blkfront_words_option(&sh->words, 2, "status");
	struct job *job = new_job(sh);
	uint64_t is_secure = 0;
	int r = blkfront_words_check(&sh->words, 2, keys);

	if (r)
		return r;
	if (!job)
		return blkfront_words_bad(
			&sh->words, "more than %u requests in flight", MAX_FLIGHT);
	job->req.op = BLKIF_OP_DISCARD;
	r = blkfront_words_number(&sh->words, sh->words.word[0], UINT64_MAX, &job->req.sector);
	if (r == 0)
		r = blkfront_words_number(
			&sh->words, sh->words.word[1], UINT64_MAX, &job->req.discard_sectors);
	if (r == 0 && secure)
		r = blkfront_words_number(&sh->words, secure, 1, &is_secure);
	if (r == 0 && status)
		r = blkfront_words_status(&sh->words, status, &job->expected_status);
	if (r)
		return r;
	job->req.discard_secure = is_secure;
	snprintf(job->name, sizeof(job->name), "discard %s %s", sh->words.word[0],
		sh->words.word[1]);
	return finish(sh, job, blkfront_submit(sh->front, &job->req), async);
}

/* ---- requests no honest guest makes ----------------------------------------------------------- */

/* raw HEX [status=] */
static int command_raw(struct shell *sh, bool async)
{
	static const char *const keys[] = {"status", NULL};
	const char *status = blkfront_words_option(&sh->words, 1, "status");
	struct job *job = new_job(sh);
	struct wire_slot slot;
	int r = blkfront_words_check(&sh->words, 1, keys);

	if (r)
		return r;
	if (!job)
		return blkfront_words_bad(
			&sh->words, "more than %u requests in flight", MAX_FLIGHT);
	job->expected_status = BLKFRONT_STATUS_ANY;
	r = blkfront_words_slot(&sh->words, sh->words.word[0], &slot);
	if (r == 0 && status)
		r = blkfront_words_status(&sh->words, status, &job->expected_status);
	if (r)
		return r;
	snprintf(job->name, sizeof(job->name), "raw");
	return finish(sh, job, blkfront_submit_raw(sh->front, &slot, &job->req), async);
}

/* request [op=] [nr_segments=] [sector=] [id=] [gref=] [segs=] [indirect=] [descriptor=] [status=] */
static int command_request(struct shell *sh, bool async)
{
	static const char *const keys[] = {"op", "nr_segments", "sector", "id", "gref", "segs",
		"indirect", "descriptor", "status", NULL};
	const char *status = blkfront_words_option(&sh->words, 0, "status");
	struct blk_request req = {0};
	struct wire_slot slot;
	struct job *job = new_job(sh);
	int r = blkfront_words_check(&sh->words, 0, keys);

	if (r)
		return r;
	if (!job)
		return blkfront_words_bad(
			&sh->words, "more than %u requests in flight", MAX_FLIGHT);
	job->expected_status = BLKFRONT_STATUS_ANY;
	if (status)
		r = blkfront_words_status(&sh->words, status, &job->expected_status);
	if (r)
		return r;
	while (job->nr_pages < 2 && blkfront_page_get(sh->front, &job->page[job->nr_pages]))
		job->nr_pages++;
	r = blkfront_words_request(&sh->words, job->page[0].gref, job->page[1].gref, &req);
	if (r) {
		put_pages(sh, job);
		return r;
	}
	if (req.indirect && job->nr_pages == 2)
		frontring_encode_page(req.seg, BLK_SEGMENTS_MAX, job->page[1].address);
	frontring_encode(blkfront_ring(sh->front, sh->queue)->abi, &req, &slot);
	snprintf(job->name, sizeof(job->name), "request op=%u nr_segments=%u sector=%llu", req.op,
		req.nr_segments, (unsigned long long)req.sector);
	return finish(sh, job, blkfront_submit_raw(sh->front, &slot, &job->req), async);
}

/* overrun N: move the producer index by N without a request behind it, and say so. */
static int command_overrun(struct shell *sh, bool async)
{
	struct frontring *ring;
	uint64_t n;
	int r = blkfront_words_only_number(&sh->words, UINT64_MAX, &n);

	(void)async;
	if (r)
		return r;
	if (!blkfront_is_connected(sh->front))
		return blkfront_words_bad(&sh->words, "not connected");
	ring = blkfront_ring(sh->front, sh->queue);
	ring->req_prod_pvt += (uint32_t)n;
	r = blkfront_push(sh->front);
	if (r == 0)
		r = blkfront_notify(sh->front, sh->queue);
	printf("overrun: req_prod %u\n", ring->req_prod_pvt);
	return r ? trouble(sh, "overrun", r) : 0;
}

/* queue N: which ring the commands to come are about. */
static int command_queue(struct shell *sh, bool async)
{
	uint64_t n;
	int r = blkfront_words_only_number(&sh->words, BLKFRONT_QUEUES_MAX - 1, &n);

	(void)async;
	if (r == 0)
		sh->queue = (unsigned)n;
	return r;
}

/* notify [N] */
static int command_notify(struct shell *sh, bool async)
{
	uint64_t n = 1;
	int r = sh->words.nr ? blkfront_words_number(&sh->words, sh->words.word[0], 1000000, &n)
			     : 0;

	(void)async;
	if (r)
		return r;
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = blkfront_notify(sh->front, sh->queue);
	printf("notify: %llu sent\n", (unsigned long long)n);
	return r ? trouble(sh, "notify", r) : 0;
}

/* node KEY [VALUE]: write or remove a node of the frontend's directory. */
static int command_node(struct shell *sh, bool async)
{
	const char *value = sh->words.nr == 2 ? sh->words.word[1] : NULL;
	int r;

	(void)async;
	if (sh->words.nr < 1 || sh->words.nr > 2)
		return blkfront_words_bad(
			&sh->words, "needs a key, and a value unless it is to be removed");
	r = blkfront_write_node(sh->front, sh->words.word[0], value);
	if (r)
		return trouble(sh, "node", r);
	printf("node %s: %s\n", sh->words.word[0], value ? value : "removed");
	return 0;
}

/* ---- the disk --------------------------------------------------------------------------------- */

static int command_info(struct shell *sh, bool async)
{
	const struct blkfront_disk *disk = blkfront_disk(sh->front);

	(void)async;
	printf("info: sectors=%llu sector-size=%u physical-sector-size=%u read-only=%d flush=%d "
	       "barrier=%d persistent=%d\n",
		(unsigned long long)disk->nr_sectors, disk->sector_size, disk->physical_sector_size,
		(disk->info & VDISK_READONLY) != 0, disk->flush, disk->barrier, disk->persistent);
	return 0;
}

static int command_stats(struct shell *sh, bool async)
{
	struct blkfront_stats s;
	int r = blkfront_is_connected(sh->front) ? blkfront_reap(sh->front) : 0;

	(void)async;
	print_done(sh);
	if (r)
		return trouble(sh, sh->words.verb, r);
	s = blkfront_stats(sh->front);
	printf("stats: requests=%llu responses=%llu pushes=%llu notified=%llu events=%llu "
	       "shared=%llu revoked=%llu still-mapped=%llu dirty-padding=%llu\n",
		(unsigned long long)s.requests, (unsigned long long)s.responses,
		(unsigned long long)s.pushes, (unsigned long long)s.notified,
		(unsigned long long)s.events, (unsigned long long)s.grants_shared,
		(unsigned long long)s.grants_revoked, (unsigned long long)s.still_mapped,
		(unsigned long long)s.dirty_padding);
	return 0;
}

static int command_wait(struct shell *sh, bool async)
{
	(void)async;
	return reap_until(sh, 0);
}

/* await-size N: until the backend has published that many sectors. */
static int command_await_size(struct shell *sh, bool async)
{
	uint64_t nr_sectors = 0;
	int r = blkfront_words_only_number(&sh->words, UINT64_MAX, &nr_sectors);

	(void)async;
	if (r)
		return r;
	if (!blkfront_is_connected(sh->front))
		return blkfront_words_bad(&sh->words, "not connected");
	while (r == 0 && blkfront_disk(sh->front)->nr_sectors != nr_sectors) {
		r = blkfront_wait(sh->front, (int)sh->options.timeout_ms);
		if (r == 0)
			r = blkfront_reap(sh->front);
		print_done(sh);
	}
	if (r)
		return trouble(sh, sh->words.verb, r);
	printf("await-size: sectors=%" PRIu64 "\n", nr_sectors);
	return 0;
}

static int command_connect(struct shell *sh, bool async)
{
	int r = blkfront_connect(sh->front);

	(void)async;
	if (r)
		return trouble(sh, sh->words.verb, r);
	sh->disconnected = false;
	printf("%s: connected\n", sh->words.verb);
	return 0;
}

static int command_close(struct shell *sh, bool async)
{
	int r = blkfront_close(sh->front);

	(void)async;
	print_done(sh);
	sh->disconnected = true;
	if (r)
		return trouble(sh, sh->words.verb, r);
	printf("close: backend %s\n",
		blkfront_xenbus_state_name(blkfront_backend_state(sh->front)));
	return 0;
}

/* Close, if there is something to close, and connect again. */
static int command_reopen(struct shell *sh, bool async)
{
	if (blkfront_is_connected(sh->front)) {
		int r = blkfront_close(sh->front);

		print_done(sh);
		if (r)
			return trouble(sh, sh->words.verb, r);
	}
	return command_connect(sh, async);
}

/* backend STATE: wait until the backend's state is that. */
static int command_backend(struct shell *sh, bool async)
{
	int r;

	(void)async;
	if (sh->words.nr != 1)
		return blkfront_words_bad(&sh->words, "needs the name of a state");
	for (unsigned state = 0; state <= XenbusStateReconfigured; state++) {
		if (strcmp(sh->words.word[0], blkfront_xenbus_state_name(state)) != 0)
			continue;
		r = blkfront_wait_backend(sh->front, 1u << state);
		if (r)
			return trouble(sh, sh->words.verb, r);
		printf("backend: %s\n", sh->words.word[0]);
		return 0;
	}
	return blkfront_words_bad(
		&sh->words, "\"%s\" is not the name of a state", sh->words.word[0]);
}

/* ---- commands --------------------------------------------------------------------------------- */

struct command {
	const char *verb;
	int (*run)(struct shell *sh, bool async);
	const char *help;
};

static const struct command commands[] = {
	{"read", command_read, "SECTOR COUNT [expect=BYTE|seed:N] [segs=F-L,...] [status=N|any]"},
	{"write", command_write,
		"SECTOR COUNT [pattern=BYTE|seed:N] [segs=F-L,...] [status=N|any]"},
	{"barrier", command_barrier, "[SECTOR COUNT] [pattern=] [segs=] [status=]"},
	{"discard", command_discard, "SECTOR COUNT [secure=0|1] [status=]"},
	{"flush", command_flush, "[SECTOR COUNT] [pattern=] [segs=] [status=]"},
	{"request", command_request,
		"[op=N] [nr_segments=N] [sector=N] [id=N] [gref=N] [segs=F-L,...] [indirect=1] "
		"[descriptor=N] [status=N]: any "
		"values"},
	{"raw", command_raw, "HEX [status=N]: the bytes of a slot"},
	{"overrun", command_overrun, "N: publish N requests that were never written"},
	{"notify", command_notify, "[N]: send events nobody asked for"},
	{"node", command_node, "KEY [VALUE]: write or remove a node of the frontend's directory"},
	{"queue", command_queue, "N: the ring, from 0, of what comes"},
	{"wait", command_wait, ": for all requests made with \"async COMMAND ...\""},
	{"info", command_info, ": what the backend published"},
	{"await-size", command_await_size,
		"N: wait until the backend has published that many sectors"},
	{"stats", command_stats, ": counters; takes the responses there are"},
	{"close", command_close, ": Closing, Closed"},
	{"connect", command_connect, ": again"},
	{"reopen", command_reopen, ": close and connect"},
	{"backend", command_backend,
		"STATE: wait until the backend is InitWait, Connected, Closed..."},
};

static void usage(FILE *out)
{
	fputs("usage: blkfront-io [--OPTION[=VALUE] ...] COMMAND... | -\n"
	      "Each command is one argument, or one line of standard input.\n",
		out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s %s\n", commands[i].verb, commands[i].help);
	fputs("Options:\n"
	      "no-connect             let a command do that\n"
	      "any-padding            do not mind responses whose padding is not "
	      "zero\n" BLKFRONT_OPTIONS_HELP,
		out);
}

/* -EINVAL: nobody understands it. */
static int run_command(struct shell *sh, char *text)
{
	bool async;
	int r = blkfront_words_split(&sh->words, text, &async);

	if (r || !sh->words.verb)
		return r;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].verb, sh->words.verb) == 0) {
			r = commands[i].run(sh, async);
			fflush(stdout);
			return r;
		}
	return blkfront_words_bad(&sh->words, "no such command");
}

static int run_lines(struct shell *sh)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, stdin) >= 0)
		r = run_command(sh, line);
	free(line);
	return r;
}

static int run_arguments(struct shell *sh, char **argument)
{
	int r = 0;

	for (; r == 0 && *argument; argument++)
		r = strcmp(*argument, "-") == 0 ? run_lines(sh) : run_command(sh, *argument);
	return r;
}

/* --key=value and --no-connect; returns the first command, or NULL. */
static char **parse_options(struct shell *sh, char **argument)
{
	for (; *argument && strncmp(*argument, "--", 2) == 0; argument++) {
		char *key = *argument + 2;
		char *value = strchr(key, '=');
		int r = -ENOENT;

		if (strcmp(key, "no-connect") == 0) {
			sh->disconnected = true;
			continue;
		}
		if (strcmp(key, "any-padding") == 0) {
			sh->any_padding = true;
			continue;
		}
		if (value) {
			*value = '\0';
			r = blkfront_options_set(&sh->options, key, value + 1);
		}
		if (r) {
			fprintf(stderr, "blkfront-io: %s \"--%s\"\n",
				r == -ENOENT ? "no such option" : "not a value for", key);
			return NULL;
		}
	}
	return argument;
}

static int run_all(struct shell *sh, char **commands_left)
{
	int r;

	if (!sh->disconnected && blkfront_connect(sh->front)) {
		fprintf(stderr, "blkfront-io: %s\n", blkfront_error(sh->front));
		return 1;
	}
	r = run_arguments(sh, commands_left);
	if (r == 0 && !sh->disconnected)
		(void)reap_until(sh, 0);
	if (blkfront_is_connected(sh->front) && blkfront_close(sh->front)) {
		fprintf(stderr, "blkfront-io: %s\n", blkfront_error(sh->front));
		sh->wrong = true;
	}
	print_done(sh);
	return r ? 2 : sh->wrong;
}

int main(int argc, char **argv)
{
	char **first;
	char *error;
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	blkfront_options_init(&shell.options);
	first = parse_options(&shell, argv + 1);
	if (!first) {
		usage(stderr);
		return 2;
	}
	r = blkfront_create(&shell.options, &shell.front, &error);
	if (r) {
		fprintf(stderr, "blkfront-io: %s\n", error ? error : strerror(-r));
		free(error);
		return 1;
	}
	r = run_all(&shell, first);
	blkfront_destroy(shell.front);
	return r;
}
