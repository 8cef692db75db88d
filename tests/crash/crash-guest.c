/*
 * crash-guest - a guest that writes down what its disk has promised it.
 *
 *   crash-guest --log=FILE --clock=FILE [--OPTION=VALUE]...
 *
 * It asks for random things, many at a time, by a seed; each sector it writes is stamped (stamp.h) with the number of the request. Each
 * request goes into the log before the backend can see it, each answer after it was seen, with a number of the clock
 * (ticks.h) that the disk's journal has its numbers from. The format is in crash_log.h; crash-check holds both
 * against each other.
 *
 * Commands on standard input, a line each; "ok" or "failed: WHY" answers each:
 *   connect | close | reconnect    reconnect: requests without an answer stay so, and a load that runs goes on
 *   start N                        begin a load of N requests; commands are taken meanwhile
 *   await N                        until so many of it have been submitted, or it has ended
 *   finish                         until it has ended
 *   mark WORD...                   a line in the log
 * At the end of input it closes.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "tests/crash/stamp.h"
#include "tests/crash/ticks.h"
#include "tests/lib/dice.h"

#define NR_JOBS     256u
#define MAX_SECTORS 64u
/* Nothing was answered for so long: a hang. */
#define TIMEOUT_MS 60000

enum kind {
	KIND_READ,
	KIND_WRITE,
	KIND_FLUSH,
	KIND_FLUSH_WRITE,
	KIND_BARRIER,
	KIND_BARRIER_WRITE,
	KIND_DISCARD,
	KIND_COUNT,
};

static const char *const kind_names[KIND_COUNT] = {
	"read", "write", "flush", "flush", "barrier", "barrier", "discard"};

/* What a guest does for a while: how often which kind, and how many at a time. */
struct mood {
	unsigned weight[KIND_COUNT];
	unsigned depth, max_sectors;
	bool streams; /* most requests go on where the last one ended: neighbours share an I/O */
	unsigned left;
};

struct job {
	struct blkfront_request req; /* the first member */
	uint32_t id;
	bool busy;
	uint8_t data[MAX_SECTORS * STAMP_SECTOR];
};

static struct {
	struct blkfront_options options;
	struct blkfront *front;
	struct dice dice;
	struct ticks ticks;
	FILE *log;
	const char *log_path, *clock_path;
	bool use_flush, use_barrier, use_discard;
	uint64_t hot_sectors;
	unsigned nr_queues; /* of this connection */
	uint32_t nr_requests;
	struct mood mood;
	uint64_t load_left, load_started;
	uint64_t next_sector; /* where the last request ended */
	unsigned last_queue;
	uint64_t awaited; /* answered when so many have started; 0 for none */
	bool awaits_end, idle;
	struct job job[NR_JOBS];
} guest;

static const char help[] =
	"usage: crash-guest --log=FILE --clock=FILE [--OPTION=VALUE]...\n"
	"seed=N                 of all that is random (default: the time)\n"
	"flushes=0|1            use flushes where they are offered (default 1)\n"
	"barriers=0|1           use barriers where they are offered (default 1)\n"
	"discards=0|1           use discards where they are offered (default 1)\n"
	"hot=SECTORS            half of all requests go to so many at the beginning (default 64)\n" BLKFRONT_OPTIONS_HELP;

static void say(const char *text)
{
	(void)puts(text);
	(void)fflush(stdout);
}

static int fail(const char *why)
{
	(void)printf("failed: %s\n", why);
	(void)fflush(stdout);
	return -EIO;
}

/* ---- the log ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	(void)fprintf(guest.log, "%" PRIu64 " ", ticks_take(&guest.ticks));
	va_start(args, format);
	(void)vfprintf(guest.log, format, args);
	va_end(args);
	(void)fputc('\n', guest.log);
}

static void note_answer(const struct job *job)
{
	const struct blkfront_request *req = &job->req;

	(void)fprintf(guest.log, "%" PRIu64 " answer %" PRIu32 " %d", ticks_take(&guest.ticks),
		job->id, req->status);
	if (req->op == BLKIF_OP_READ && req->status == BLKIF_RSP_OKAY)
		stamps_print(guest.log, req->sector, req->nr_sectors, job->data);
	(void)fputc('\n', guest.log);
}

/* ---- one request ------------------------------------------------------------------------------ */

static void on_done(struct blkfront_request *req)
{
	struct job *job = (struct job *)req;

	if (!req->error)
		note_answer(job);
	job->busy = false;
}

static enum kind pick_kind(void)
{
	unsigned total = 0, roll;

	for (unsigned i = 0; i < KIND_COUNT; i++)
		total += guest.mood.weight[i];
	roll = (unsigned)dice_below(&guest.dice, total);
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (roll < guest.mood.weight[i])
			return (enum kind)i;
		roll -= guest.mood.weight[i];
	}
	return KIND_WRITE;
}

static uint8_t op_of(enum kind kind)
{
	static const uint8_t ops[KIND_COUNT] = {BLKIF_OP_READ, BLKIF_OP_WRITE,
		BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE_BARRIER,
		BLKIF_OP_WRITE_BARRIER, BLKIF_OP_DISCARD};

	return ops[kind];
}

static void fill_request(struct job *job, enum kind kind)
{
	uint64_t nr_disk = blkfront_disk(guest.front)->nr_sectors, area = nr_disk;
	struct blkfront_request *req = &job->req;
	unsigned n = dice_between(&guest.dice, 1, guest.mood.max_sectors);

	if (dice_one_in(&guest.dice, 2) && guest.hot_sectors < nr_disk)
		area = guest.hot_sectors;
	if (n > area)
		n = (unsigned)area;
	*req = (struct blkfront_request){
		.op = op_of(kind),
		.done = on_done,
		.queue = (unsigned)dice_below(&guest.dice, guest.nr_queues),
	};
	if (kind == KIND_FLUSH || kind == KIND_BARRIER)
		return;
	req->sector = dice_below(&guest.dice, area - n + 1);
	if (guest.mood.streams && !dice_one_in(&guest.dice, 8) &&
		guest.next_sector + n <= nr_disk) {
		req->sector = guest.next_sector;
		req->queue = guest.last_queue;
	}
	guest.next_sector = req->sector + n;
	guest.last_queue = req->queue;
	if (kind == KIND_DISCARD) {
		req->discard_sectors = n;
		return;
	}
	req->nr_sectors = n;
	req->data = job->data;
	for (unsigned i = 0; kind != KIND_READ && i < n; i++)
		stamp_fill(job->id, req->sector + i, job->data + (size_t)i * STAMP_SECTOR);
}

/* One more, if there is room: true. It is not on the ring before it is in the log: in order. */
static bool submit_one(int *ret_error)
{
	enum kind kind = pick_kind();
	struct job *job = guest.job;
	struct blkfront_request *req;
	int r;

	while (job < guest.job + NR_JOBS && job->busy)
		job++;
	if (job == guest.job + NR_JOBS)
		return false;
	req = &job->req;
	job->id = guest.nr_requests + 1;
	fill_request(job, kind);
	r = blkfront_submit(guest.front, req);
	if (r) {
		*ret_error = r == -EAGAIN ? 0 : r;
		return false;
	}
	guest.nr_requests++;
	job->busy = true;
	note("submit %" PRIu32 " %u %s %" PRIu64 " %" PRIu64, job->id, req->queue, kind_names[kind],
		req->sector, req->nr_sectors + req->discard_sectors);
	return true;
}

/* ---- a load ----------------------------------------------------------------------------------- */

static void change_mood(void)
{
	static const unsigned depths[] = {1, 2, 3, 4, 8, 16, 32, 64, 128, 255};
	const struct blkfront_disk *disk = blkfront_disk(guest.front);
	bool flush = guest.use_flush && disk->flush;
	bool barrier = guest.use_barrier && disk->barrier;
	unsigned often = dice_one_in(&guest.dice, 3) ? 60 : 6;
	struct mood mood = {
		.weight[KIND_READ] = dice_one_in(&guest.dice, 3) ? 40 : 4,
		.weight[KIND_WRITE] = 60,
		.depth = depths[dice_below(&guest.dice, sizeof(depths) / sizeof(depths[0]))],
		.max_sectors = dice_one_in(&guest.dice, 4) ? MAX_SECTORS : 8,
		.streams = dice_one_in(&guest.dice, 4),
		.left = dice_between(&guest.dice, 20, 200),
	};

	if (flush && dice_below(&guest.dice, 4) > 0) {
		mood.weight[KIND_FLUSH] = often;
		mood.weight[KIND_FLUSH_WRITE] = often / 3;
	}
	if (barrier && dice_below(&guest.dice, 4) > 0) {
		mood.weight[KIND_BARRIER] = often / 6;
		mood.weight[KIND_BARRIER_WRITE] = often / 3;
	}
	if (guest.use_discard && disk->discard && dice_one_in(&guest.dice, 3))
		mood.weight[KIND_DISCARD] = dice_one_in(&guest.dice, 4) ? 30 : 5;
	/* Between two moods all may be quiet. */
	guest.idle = dice_one_in(&guest.dice, 3);
	guest.mood = mood;
}

static int submit_some(void)
{
	int r = 0;

	if (guest.idle && blkfront_outstanding(guest.front) > 0)
		return 0;
	guest.idle = false;
	while (r == 0 && guest.load_left > 0 &&
		blkfront_outstanding(guest.front) < guest.mood.depth) {
		if (!submit_one(&r))
			break;
		guest.load_left--;
		guest.load_started++;
		if (dice_one_in(&guest.dice, 3))
			r = blkfront_push(guest.front);
		if (--guest.mood.left == 0) {
			change_mood();
			break;
		}
	}
	return r;
}

static bool load_has_ended(void)
{
	return guest.load_left == 0 && (!guest.front || !blkfront_is_connected(guest.front) ||
					       blkfront_outstanding(guest.front) == 0);
}

static void answer_waiting(void)
{
	bool ended = load_has_ended();

	if (!(guest.awaits_end && ended) &&
		!(guest.awaited > 0 && (ended || guest.load_started >= guest.awaited)))
		return;
	guest.awaits_end = false;
	guest.awaited = 0;
	say("ok");
}

/* ---- connections ------------------------------------------------------------------------------ */

static int connect_disk(void)
{
	char *error = NULL;
	int r = 0;

	if (!guest.front)
		r = blkfront_create(&guest.options, &guest.front, &error);
	if (r) {
		(void)fail(error ? error : strerror(-r));
		free(error);
		return r;
	}
	if (blkfront_connect(guest.front))
		return fail(blkfront_error(guest.front));
	for (guest.nr_queues = 1; guest.nr_queues < BLKFRONT_QUEUES_MAX; guest.nr_queues++)
		if (blkfront_ring(guest.front, guest.nr_queues) == blkfront_ring(guest.front, 0))
			break;
	change_mood();
	note("connect %u", guest.nr_queues);
	return 0;
}

/* An orderly end, if the backend plays along. */
static int close_disk(void)
{
	int r;

	if (!guest.front || !blkfront_is_connected(guest.front))
		return 0;
	r = blkfront_close(guest.front);
	note("%s", r ? "lost" : "close");
	return r ? fail(blkfront_error(guest.front)) : 0;
}

/* The worker is another one: it has not heard of what was asked of the first. */
static int reconnect_disk(void)
{
	note("lost");
	blkfront_destroy(guest.front);
	guest.front = NULL;
	for (unsigned i = 0; i < NR_JOBS; i++)
		guest.job[i].busy = false;
	return connect_disk();
}

/* ---- commands --------------------------------------------------------------------------------- */

static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return !errno && end != text && !*end;
}

static int command(const char *line)
{
	uint64_t n = 0;
	int r = 0;

	if (strcmp(line, "connect") == 0) {
		r = connect_disk();
	} else if (strcmp(line, "close") == 0) {
		r = close_disk();
	} else if (strcmp(line, "reconnect") == 0) {
		r = reconnect_disk();
	} else if (strncmp(line, "mark ", 5) == 0) {
		note("%s", line + 5);
	} else if (strcmp(line, "finish") == 0) {
		guest.awaits_end = true;
		return 0;
	} else if (strncmp(line, "await ", 6) == 0 && parse_number(line + 6, &n)) {
		guest.awaited = n;
		return 0;
	} else if (strncmp(line, "start ", 6) == 0 && parse_number(line + 6, &n)) {
		guest.load_left = n;
		guest.load_started = 0;
	} else {
		r = fail("what?");
	}
	if (r == 0)
		say("ok");
	return r;
}

/* Lines are read with read(), not stdio: poll() must see what is left. 1 at the end. */
static int serve_commands(void)
{
	static char text[512];
	static size_t n;
	ssize_t got = read(STDIN_FILENO, text + n, sizeof(text) - 1 - n);
	char *end;
	int r = 0;

	if (got <= 0)
		return 1;
	n += (size_t)got;
	text[n] = '\0';
	while (r == 0 && (end = strchr(text, '\n'))) {
		size_t length = (size_t)(end - text) + 1;

		*end = '\0';
		r = command(text);
		n -= length;
		memmove(text, text + length, n + 1);
	}
	return r;
}

/* Sleeps until the disk or whoever gives the commands has something. 0, 1 at the end of the commands. */
static int wait_for_something(void)
{
	struct pollfd fds[BLKFRONT_NR_FDS + 1] = {{0}};
	bool connected = guest.front && blkfront_is_connected(guest.front);
	unsigned n = 0;
	int timeout_ms = -1, r = 0;

	if (connected) {
		if (!blkfront_arm(guest.front))
			timeout_ms = 0;
		else if (blkfront_outstanding(guest.front) > 0)
			timeout_ms = TIMEOUT_MS;
		else if (guest.load_left > 0)
			timeout_ms = 0;
		blkfront_poll_fds(guest.front, fds);
		n = BLKFRONT_NR_FDS;
	}
	fds[n] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	r = poll(fds, n + 1, timeout_ms);
	if (r == 0 && timeout_ms == TIMEOUT_MS)
		return fail("nothing happens");
	r = connected ? blkfront_acknowledge(guest.front, fds) : 0;
	if (r == 0 && fds[n].revents)
		r = serve_commands();
	return r == -ESHUTDOWN ? 0 : r;
}

static int serve(void)
{
	int r = 0;

	while (r == 0) {
		if (guest.front && blkfront_is_connected(guest.front)) {
			r = submit_some();
			if (r == 0)
				r = blkfront_push(guest.front);
			if (r == 0)
				r = blkfront_reap(guest.front);
		}
		if (r) {
			(void)fail(blkfront_error(guest.front));
			break;
		}
		answer_waiting();
		r = wait_for_something();
	}
	return r == 1 ? close_disk() : r;
}

/* ---- the program ------------------------------------------------------------------------------ */

static bool set_option(const char *key, const char *value)
{
	uint64_t n = 0;
	bool is_number = parse_number(value, &n);

	if (strcmp(key, "log") == 0)
		guest.log_path = value;
	else if (strcmp(key, "clock") == 0)
		guest.clock_path = value;
	else if (is_number && strcmp(key, "seed") == 0)
		guest.dice.state = n;
	else if (is_number && strcmp(key, "flushes") == 0)
		guest.use_flush = n;
	else if (is_number && strcmp(key, "barriers") == 0)
		guest.use_barrier = n;
	else if (is_number && strcmp(key, "discards") == 0)
		guest.use_discard = n;
	else if (is_number && n > 0 && strcmp(key, "hot") == 0)
		guest.hot_sectors = n;
	else
		return blkfront_options_set(&guest.options, key, value) == 0;
	return true;
}

static bool parse_options(char **argument)
{
	for (; *argument; argument++) {
		char *value = strchr(*argument, '=');

		if (strncmp(*argument, "--", 2) != 0 || !value)
			return false;
		*value = '\0';
		if (!set_option(*argument + 2, value + 1))
			return false;
	}
	return guest.log_path && guest.clock_path;
}

int main(int argc, char **argv)
{
	int r;

	(void)argc;
	guest.dice.state = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	guest.use_flush = guest.use_barrier = guest.use_discard = true;
	guest.hot_sectors = 64;
	blkfront_options_init(&guest.options);
	if (!parse_options(argv + 1)) {
		(void)fputs(help, stderr);
		return 2;
	}
	(void)fprintf(stderr, "crash-guest: seed=%" PRIu64 "\n", guest.dice.state);
	guest.log = fopen(guest.log_path, "we");
	if (!guest.log || ticks_open(guest.clock_path, &guest.ticks)) {
		(void)fprintf(stderr, "crash-guest: cannot open its log or its clock\n");
		return 1;
	}
	r = serve();
	blkfront_destroy(guest.front);
	return fclose(guest.log) || r ? 1 : 0;
}
