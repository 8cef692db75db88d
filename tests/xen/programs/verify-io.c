/*
 * I/O on a block device whose every byte is checked, for guests of tests/xen (and dom0).
 *
 *   verify-io random DEVICE block=4096 depth=32 count=2000 flush=50
 *   verify-io append DEVICE flush=16
 *   verify-io check  DEVICE count=320
 *
 * random  Writes, reads and flushes, `depth` in flight, with direct I/O; which, and where, is random. It
 *         knows what was written last to each block, so that a read gives exactly that or is an error.
 *         At the end, or when SIGTERM asks for it, all that was written is read once more, in order.
 * append  Writes block after block, and a flush after every `flush` of them, until the device is full or
 *         the program is killed. After each flush it says "verify-io: durable=N": N blocks are safe.
 * check   Reads the first `count` blocks and compares them with what append wrote there.
 *
 * block=  bytes, a multiple of 512               depth=  requests in flight, at most 256
 * offset= size=  the part of the device used     count=  requests (random) or blocks (append, check)
 * seconds=  ends random earlier or, without count, alone
 * flush=  a flush for so many writes; 0: none    reads=  percent of reads among the requests of random
 * seed=   of data and places
 *
 * At the end it says how many of each kind there were, and how long one took on average, in microseconds: for who wants
 * to know, no measure of anything.
 *
 * Exit code 0: every byte was right. 1: not, or a request failed; 2: usage.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libaio.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend-shim/clients/pattern.h"

#define SECTOR    512u
#define MAX_DEPTH 256u

enum kind {
	KIND_READ,
	KIND_WRITE,
	KIND_FLUSH
};

struct request {
	struct iocb iocb; /* first: events point to it */
	enum kind kind;
	uint64_t block;
	uint64_t begin_us;
	uint8_t *data;
};

struct run {
	const char *device;
	uint64_t block_bytes, depth, offset, size, count, seconds, flush, reads, seed;

	int fd;
	io_context_t aio;
	uint64_t nr_blocks;
	uint32_t *written; /* how often each block was */
	bool *busy;        /* a request is on its way: its block is left alone */
	struct request request[MAX_DEPTH];
	struct request *idle[MAX_DEPTH];
	unsigned nr_idle;
	uint64_t random_state, submitted, completed, since_flush, done[3], us[3];
};

/* Alone it is large, and there is one. */
static struct run run;

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t us_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t seconds_now(void)
{
	return us_now() / 1000000;
}

/* xorshift64* */
static uint64_t random_next(void)
{
	run.random_state ^= run.random_state >> 12;
	run.random_state ^= run.random_state << 25;
	run.random_state ^= run.random_state >> 27;
	return run.random_state * 0x2545f4914f6cdd1dull;
}

/* ---- data ------------------------------------------------------------------------------------- */

static uint64_t sector_of(uint64_t block)
{
	return (run.offset + block * run.block_bytes) / SECTOR;
}

/* What a block looks like after it was written for the @generation-th time. */
static struct blkfront_pattern pattern_of(uint32_t generation)
{
	return (struct blkfront_pattern){.tagged = true, .value = run.seed << 32 | generation};
}

static void fill(struct request *request)
{
	struct blkfront_pattern pattern = pattern_of(++run.written[request->block]);

	blkfront_pattern_fill(&pattern, sector_of(request->block), request->data, run.block_bytes);
}

/* A block nobody wrote yet may hold anything. */
static void verify(const struct request *request)
{
	uint32_t generation = run.written[request->block];
	struct blkfront_pattern pattern = pattern_of(generation);
	uint64_t sector = sector_of(request->block);
	size_t same;

	if (generation == 0)
		return;
	same = blkfront_pattern_compare(&pattern, sector, request->data, run.block_bytes);
	if (same == run.block_bytes)
		return;
	for (uint32_t old = 1; old < generation; old++) {
		pattern = pattern_of(old);
		if (blkfront_pattern_compare(&pattern, sector, request->data, SECTOR) == SECTOR)
			warnx("'%s': the data are old, of write %" PRIu32, run.device, old);
	}
	errx(1,
		"'%s': sector %" PRIu64 ", byte %zu of %" PRIu64 ": wrong data after %" PRIu32
		" writes",
		run.device, sector, same, run.block_bytes, generation);
}

/* ---- one request ------------------------------------------------------------------------------ */

static void submit(struct request *request)
{
	struct iocb *iocb = &request->iocb;
	uint64_t place = run.offset + request->block * run.block_bytes;
	int r;

	if (request->kind == KIND_FLUSH)
		io_prep_fdsync(iocb, run.fd);
	else if (request->kind == KIND_WRITE)
		io_prep_pwrite(iocb, run.fd, request->data, run.block_bytes, (long long)place);
	else
		io_prep_pread(iocb, run.fd, request->data, run.block_bytes, (long long)place);
	request->begin_us = us_now();
	r = io_submit(run.aio, 1, &iocb);
	if (r != 1)
		errx(1, "'%s': io_submit: %s", run.device, strerror(-r));
	run.submitted++;
}

static void complete(struct request *request, int64_t result)
{
	static const char *const names[] = {"read", "write", "flush"};
	int64_t expected = request->kind == KIND_FLUSH ? 0 : (int64_t)run.block_bytes;

	if (result != expected)
		errx(1, "'%s': a %s at sector %" PRIu64 " gives %" PRId64 " (%s)", run.device,
			names[request->kind], sector_of(request->block), result,
			result < 0 ? strerror((int)-result) : "short");
	if (request->kind == KIND_READ)
		verify(request);
	if (request->kind != KIND_FLUSH)
		run.busy[request->block] = false;
	run.done[request->kind]++;
	run.us[request->kind] += us_now() - request->begin_us;
	run.completed++;
	run.idle[run.nr_idle++] = request;
}

/* Wait for at least one of those in flight. */
static void reap(void)
{
	struct io_event event[MAX_DEPTH];
	int n;

	do
		n = io_getevents(run.aio, 1, MAX_DEPTH, event, NULL);
	while (n == -EINTR);
	if (n < 1)
		errx(1, "'%s': io_getevents: %s", run.device, strerror(-n));
	for (int i = 0; i < n; i++)
		complete((struct request *)event[i].obj, (int64_t)event[i].res);
}

static void reap_all(void)
{
	while (run.nr_idle < run.depth)
		reap();
}

static void send(enum kind kind, uint64_t block)
{
	struct request *request = run.idle[--run.nr_idle];

	request->kind = kind;
	request->block = block;
	if (kind != KIND_FLUSH)
		run.busy[block] = true;
	if (kind == KIND_WRITE)
		fill(request);
	submit(request);
	if (run.nr_idle == 0)
		reap();
}

/* ---- the three verbs -------------------------------------------------------------------------- */

/* Of all blocks at most `depth` are busy, and there are more. */
static uint64_t random_block(void)
{
	uint64_t block;

	do
		block = random_next() % run.nr_blocks;
	while (run.busy[block]);
	return block;
}

static void send_any(void)
{
	if (run.flush != 0 && run.since_flush >= run.flush) {
		run.since_flush = 0;
		send(KIND_FLUSH, 0);
		return;
	}
	if (random_next() % 100 < run.reads) {
		send(KIND_READ, random_block());
		return;
	}
	run.since_flush++;
	send(KIND_WRITE, random_block());
}

static void flush_alone(void)
{
	send(KIND_FLUSH, 0);
	reap_all();
}

static void run_random(void)
{
	uint64_t deadline = run.seconds != 0 ? seconds_now() + run.seconds : UINT64_MAX;
	uint64_t count = run.count != 0 || run.seconds != 0 ? run.count : 2000;
	bool told = false;

	signal(SIGTERM, stop);
	while (!stopped && (count == 0 || run.submitted < count) && seconds_now() < deadline) {
		send_any();
		if (!told && run.completed > 0) {
			/* Who wants to disturb us waits for this. */
			puts("verify-io: running");
			told = true;
		}
	}
	flush_alone();
	for (uint64_t block = 0; block < run.nr_blocks; block++)
		if (run.written[block] != 0)
			send(KIND_READ, block);
	reap_all();
}

static uint64_t blocks_wanted(void)
{
	return run.count != 0 && run.count < run.nr_blocks ? run.count : run.nr_blocks;
}

static void run_append(void)
{
	uint64_t count = blocks_wanted();

	for (uint64_t block = 0; block < count;) {
		send(KIND_WRITE, block++);
		if (run.flush == 0 || block % run.flush != 0)
			continue;
		reap_all();
		flush_alone();
		printf("verify-io: durable=%" PRIu64 "\n", block);
	}
	reap_all();
}

static void run_check(void)
{
	uint64_t count = blocks_wanted();

	for (uint64_t block = 0; block < count; block++) {
		run.written[block] = 1;
		send(KIND_READ, block);
	}
	reap_all();
}

/* ---- setting up ------------------------------------------------------------------------------- */

static const struct option_name {
	const char *name;
	uint64_t *value;
	uint64_t max;
} options[] = {
	{"block", &run.block_bytes, 1u << 24},
	{"depth", &run.depth, MAX_DEPTH},
	{"offset", &run.offset, INT64_MAX},
	{"size", &run.size, INT64_MAX},
	{"count", &run.count, UINT32_MAX},
	{"seconds", &run.seconds, 86400},
	{"flush", &run.flush, UINT32_MAX},
	{"reads", &run.reads, 100},
	{"seed", &run.seed, UINT32_MAX},
};

static void set_option(const char *word)
{
	const char *value = strchr(word, '=');
	char *end;

	for (size_t i = 0; value && i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option_name *option = &options[i];

		if (strlen(option->name) != (size_t)(value - word) ||
			strncmp(option->name, word, (size_t)(value - word)) != 0)
			continue;
		errno = 0;
		*option->value = strtoull(value + 1, &end, 10);
		if (errno != 0 || end == value + 1 || *end != '\0' || *option->value > option->max)
			break;
		return;
	}
	errx(2, "'%s' is not understood; see the top of tests/xen/programs/verify-io.c", word);
}

static void set_defaults(void)
{
	run.block_bytes = 4096;
	run.depth = 32;
	run.reads = 50;
	run.seed = 1;
}

static void open_device(bool writing)
{
	uint64_t end;
	off_t size;

	run.fd = open(run.device, (writing ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (run.fd < 0)
		err(1, "'%s'", run.device);
	size = lseek(run.fd, 0, SEEK_END);
	if (size < 0)
		err(1, "'%s': size", run.device);
	end = run.size != 0 ? run.offset + run.size : (uint64_t)size;
	if (end > (uint64_t)size || run.offset >= end)
		errx(2, "'%s': has only %jd bytes", run.device, (intmax_t)size);
	if (run.block_bytes == 0 || run.block_bytes % SECTOR != 0 || run.offset % SECTOR != 0)
		errx(2, "block and offset are multiples of %u", SECTOR);
	run.nr_blocks = (end - run.offset) / run.block_bytes;
	if (run.depth == 0 || run.nr_blocks <= run.depth)
		errx(2, "'%s': more blocks than requests in flight are needed", run.device);
}

static void prepare(void)
{
	int r = io_setup(MAX_DEPTH, &run.aio);

	if (r < 0)
		errx(1, "io_setup: %s", strerror(-r));
	run.written = calloc(run.nr_blocks, sizeof(*run.written));
	run.busy = calloc(run.nr_blocks, sizeof(*run.busy));
	if (!run.written || !run.busy)
		errx(1, "out of memory");
	for (unsigned i = 0; i < run.depth; i++) {
		run.request[i].data = aligned_alloc(4096, (run.block_bytes + 4095) / 4096 * 4096);
		if (!run.request[i].data)
			errx(1, "out of memory");
		run.idle[run.nr_idle++] = &run.request[i];
	}
	run.random_state = run.seed * 2 + 1;
}

static uint64_t mean_us(enum kind kind)
{
	return run.done[kind] != 0 ? run.us[kind] / run.done[kind] : 0;
}

static void report(void)
{
	printf("verify-io: right reads=%" PRIu64 " writes=%" PRIu64 " flushes=%" PRIu64
	       " read_us=%" PRIu64 " write_us=%" PRIu64 " flush_us=%" PRIu64 "\n",
		run.done[KIND_READ], run.done[KIND_WRITE], run.done[KIND_FLUSH], mean_us(KIND_READ),
		mean_us(KIND_WRITE), mean_us(KIND_FLUSH));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
		bool writing;
	} verbs[] = {
		{"random", run_random, true},
		{"append", run_append, true},
		{"check", run_check, false},
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3)
		errx(2, "usage: verify-io random|append|check DEVICE [key=value]...");
	set_defaults();
	run.device = argv[2];
	for (int i = 3; i < argc; i++)
		set_option(argv[i]);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		open_device(verbs[i].writing);
		prepare();
		verbs[i].function();
		report();
		return 0;
	}
	errx(2, "'%s' is not a verb: use random, append or check", argv[1]);
}
