/*
 * Measure a backend through its ring: one frontend thread that keeps iodepth requests in flight.
 *
 *   blkfront-bench --vdev=xvda --op=randread --bs=4k --iodepth=32 --seconds=2 --json
 *   blkfront-bench --op=randwrite --queues=4 --streams=4 --fsync=8
 *
 * Each request in flight is a stream: one request after the other, all on one queue. With --fsync=N
 * each stream flushes after every N of them.
 *
 * Made to cost as little as possible beside the ring: data pages are granted once and never copied,
 * responses are reaped and requests pushed in batches, and it sleeps only when there is nothing to
 * do. Figures are for comparison within one run, see the bench tests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "frontend-shim/blkfront/blkfront.h"

#define MAX_DEPTH 512

/*
 * Latencies in a histogram of 32 linear steps per power of two: 3 % wide at most.
 */
#define STEPS      32u
#define NR_BUCKETS (64 * STEPS)

struct histogram {
	uint64_t bucket[NR_BUCKETS];
	uint64_t count, max;
};

struct bench {
	struct blkfront_options options;
	const char *op_name;
	uint8_t op;
	bool random, json;
	unsigned nr_sectors, depth;
	unsigned flush_every; /* a stream flushes after so many requests; 0: never */
	uint64_t count;       /* requests to make; 0: until the time is up */
	double seconds;
	unsigned spin_us; /* look for responses so long before sleeping */

	struct blkfront *front;
	struct blkfront_request req[MAX_DEPTH];
	uint64_t submitted_ns[MAX_DEPTH];
	unsigned unflushed[MAX_DEPTH]; /* requests since that stream's last flush */
	uint64_t now_ns;               /* read once per batch */
	uint64_t start_ns, deadline_ns;
	double start_cpu;
	uint64_t nr_places, next_place, random_state;
	uint64_t submitted, completed, failed;
	struct histogram latency, flush_latency; /* flushes count in the latter only */
};

/* Latencies alone make it too large for a stack. */
static struct bench bench;

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- latencies -------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t value)
{
	unsigned power;

	if (value < STEPS)
		return (unsigned)value;
	power = 63u - (unsigned)__builtin_clzll(value);
	return (power - 4) * STEPS + (unsigned)(value >> (power - 5)) % STEPS;
}

/* The largest value that falls into @bucket. */
static uint64_t bucket_top(unsigned bucket)
{
	unsigned power = bucket / STEPS + 4;

	if (bucket < STEPS)
		return bucket;
	return ((uint64_t)(STEPS + bucket % STEPS + 1) << (power - 5)) - 1;
}

static void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->bucket[bucket_of(value)]++;
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
}

static double percentile_us(const struct histogram *histogram, double fraction)
{
	uint64_t rank = (uint64_t)((double)histogram->count * fraction);
	uint64_t seen = 0;

	for (unsigned i = 0; i < NR_BUCKETS; i++) {
		seen += histogram->bucket[i];
		if (seen > rank) {
			uint64_t top = bucket_top(i);

			return (double)(top < histogram->max ? top : histogram->max) / 1000;
		}
	}
	return (double)histogram->max / 1000;
}

/* ---- the run ---------------------------------------------------------------------------------- */

static uint64_t next_sector(struct bench *b)
{
	uint64_t place;

	if (b->random) {
		/* xorshift64 */
		b->random_state ^= b->random_state << 13;
		b->random_state ^= b->random_state >> 7;
		b->random_state ^= b->random_state << 17;
		place = b->random_state % b->nr_places;
	} else {
		place = b->next_place++ % b->nr_places;
	}
	return place * b->nr_sectors;
}

static bool may_start(const struct bench *b)
{
	return b->count ? b->submitted < b->count : b->now_ns < b->deadline_ns;
}

static void make_next(struct bench *b, struct blkfront_request *req)
{
	unsigned *unflushed = &b->unflushed[req - b->req];

	if (b->flush_every && *unflushed == b->flush_every) {
		*unflushed = 0;
		req->op = BLKIF_OP_FLUSH_DISKCACHE;
		req->sector = 0;
		req->nr_sectors = 0;
	} else {
		++*unflushed;
		req->op = b->op;
		req->sector = next_sector(b);
		req->nr_sectors = b->nr_sectors;
	}
}

static int submit(struct bench *b, struct blkfront_request *req)
{
	int r;

	make_next(b, req);
	r = blkfront_submit(b->front, req);
	if (r == 0) {
		b->submitted_ns[req - b->req] = b->now_ns;
		b->submitted++;
	}
	return r;
}

/* While reaping: the response's place on the ring is free again, so the next request takes it. */
static void done(struct blkfront_request *req)
{
	struct bench *b = req->opaque;

	b->completed++;
	b->failed += req->error || req->status != BLKIF_RSP_OKAY;
	histogram_add(req->op == BLKIF_OP_FLUSH_DISKCACHE ? &b->flush_latency : &b->latency,
		b->now_ns - b->submitted_ns[req - b->req]);
	if (may_start(b) && submit(b, req))
		b->failed++;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Complete what has arrived and push what took its place. */
static int turn(struct bench *b)
{
	int r;

	b->now_ns = clock_ns();
	r = blkfront_reap(b->front);
	return r ? r : blkfront_push(b->front);
}

/* Look for responses for a while, as long as some arrive. No threshold is set, so no events come. */
static int spin(struct bench *b)
{
	uint64_t seen = b->completed, until;
	int r = 0;

	b->now_ns = clock_ns();
	until = b->now_ns + b->spin_us * 1000ull;
	while (r == 0 && b->now_ns < until && blkfront_outstanding(b->front) > 0) {
		r = turn(b);
		if (b->completed != seen)
			until = b->now_ns + b->spin_us * 1000ull;
		seen = b->completed;
	}
	return r;
}

static int run(struct bench *b)
{
	int r = 0;

	b->start_cpu = cpu_seconds();
	b->start_ns = b->now_ns = clock_ns();
	b->deadline_ns = b->start_ns + (uint64_t)(b->seconds * 1e9);
	for (unsigned i = 0; r == 0 && i < b->depth && may_start(b); i++) {
		b->req[i] = (struct blkfront_request){.queue = i, .done = done, .opaque = b};
		r = submit(b, &b->req[i]);
	}
	if (r == 0)
		r = blkfront_push(b->front);
	while (r == 0 && blkfront_outstanding(b->front) > 0) {
		if (b->spin_us)
			r = spin(b);
		if (r == 0 && blkfront_outstanding(b->front) > 0)
			r = blkfront_wait(b->front, (int)b->options.timeout_ms);
		if (r == 0)
			r = turn(b);
	}
	return r;
}

/* The figures of both forms, in the order they are printed. */
struct figures {
	unsigned size_bytes;
	const char *persistent;
	unsigned long long ios, failed, flushes;
	double seconds, iops, p50, p99, p999, max, notified, events, cpu_us;
	double flushes_per_s, flush_p50, flush_p99;
};

static void print_json(const struct bench *b, const struct figures *f)
{
	printf("{\"op\": \"%s\", \"bs\": %u, \"iodepth\": %u, \"persistent\": %s, ", b->op_name,
		f->size_bytes, b->depth, f->persistent);
	printf("\"ios\": %llu, \"failed\": %llu, \"seconds\": %.3f, \"iops\": %.0f, ", f->ios,
		f->failed, f->seconds, f->iops);
	printf("\"fsync\": %u, \"flushes\": %llu, \"flushes_per_s\": %.1f, ", b->flush_every,
		f->flushes, f->flushes_per_s);
	printf("\"flush_p50_us\": %.1f, \"flush_p99_us\": %.1f, ", f->flush_p50, f->flush_p99);
	printf("\"lat_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}, ",
		f->p50, f->p99, f->p999, f->max);
	printf("\"notified_per_io\": %.4f, \"events_per_io\": %.4f, \"cpu_us_per_io\": %.3f}\n",
		f->notified, f->events, f->cpu_us);
}

static void print_text(const struct bench *b, const struct figures *f)
{
	printf("%s bs=%u iodepth=%u persistent=%s: %llu I/Os, %llu failed, %.3f s, %.0f IOPS\n",
		b->op_name, f->size_bytes, b->depth, f->persistent, f->ios, f->failed, f->seconds,
		f->iops);
	printf("  latency: p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", f->p50, f->p99,
		f->p999, f->max);
	printf("  per I/O: %.4f events sent, %.4f received, %.3f us of frontend CPU\n", f->notified,
		f->events, f->cpu_us);
	if (b->flush_every)
		printf("  a flush after every %u: %llu, %.1f per s, p50 %.1f us, p99 %.1f us\n",
			b->flush_every, f->flushes, f->flushes_per_s, f->flush_p50, f->flush_p99);
}

static void report(const struct bench *b)
{
	struct blkfront_stats stats = blkfront_stats(b->front);
	double seconds = (double)(b->now_ns - b->start_ns) / 1e9;
	double n = b->completed ? (double)b->completed : 1;
	struct figures figures = {
		.size_bytes = b->nr_sectors * WIRE_SECTOR_SIZE,
		.persistent = blkfront_disk(b->front)->persistent ? "true" : "false",
		.ios = b->latency.count,
		.failed = b->failed,
		.flushes = b->flush_latency.count,
		.seconds = seconds,
		.iops = seconds > 0 ? (double)b->latency.count / seconds : 0,
		.flushes_per_s = seconds > 0 ? (double)b->flush_latency.count / seconds : 0,
		.flush_p50 = percentile_us(&b->flush_latency, 0.5),
		.flush_p99 = percentile_us(&b->flush_latency, 0.99),
		.p50 = percentile_us(&b->latency, 0.5),
		.p99 = percentile_us(&b->latency, 0.99),
		.p999 = percentile_us(&b->latency, 0.999),
		.max = (double)b->latency.max / 1000,
		.notified = (double)stats.notified / n,
		.events = (double)stats.events / n,
		.cpu_us = (cpu_seconds() - b->start_cpu) * 1e6 / n,
	};

	if (b->json)
		print_json(b, &figures);
	else
		print_text(b, &figures);
}

/* ---- the command line ------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: blkfront-bench [--OPTION=VALUE ...]\n"
	      "  op=OP                  read, write, randread (default), randwrite\n"
	      "  bs=SIZE                bytes per request, with k as 1024 (default 4k, up to 44k)\n"
	      "  iodepth=N              requests in flight, 1..512 (default 32; no more than the rings hold)\n"
	      "  streams=N              the same: each is a stream, the j-th on queue j modulo queues\n"
	      "  fsync=N                each stream flushes after every N requests, if the disk offers that\n"
	      "  seconds=N              how long, 0.001..86400 (default 2)\n"
	      "  count=N                how many requests, flushes too, instead of how long\n"
	      "  spin=US                look for responses so long before sleeping (default 0)\n"
	      "  json                   one line of JSON\n"
	      "The guest:\n" BLKFRONT_OPTIONS_HELP,
		out);
}

static int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (*end == 'k' && value < UINT32_MAX) {
		value *= 1024;
		end++;
	}
	if (errno || *end || value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int set_seconds(const char *text, double *ret_seconds)
{
	char *end;
	double value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtod(text, &end);
	if (*end || !(value >= 0.001 && value <= 86400))
		return -EINVAL;
	*ret_seconds = value;
	return 0;
}

static int set_op(struct bench *b, const char *name)
{
	static const struct {
		const char *name;
		uint8_t op;
		bool random;
	} ops[] = {{"read", BLKIF_OP_READ, false}, {"write", BLKIF_OP_WRITE, false},
		{"randread", BLKIF_OP_READ, true}, {"randwrite", BLKIF_OP_WRITE, true}};

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(name, ops[i].name) == 0) {
			b->op_name = ops[i].name;
			b->op = ops[i].op;
			b->random = ops[i].random;
			return 0;
		}
	return -EINVAL;
}

static int set_option(struct bench *b, const char *key, const char *value)
{
	uint64_t number = 0;
	int r;

	if (strcmp(key, "op") == 0)
		return set_op(b, value);
	if (strcmp(key, "bs") == 0) {
		r = set_number(
			value, 512, (uint64_t)BLKFRONT_MAX_SECTORS * WIRE_SECTOR_SIZE, &number);
		b->nr_sectors = (unsigned)number / WIRE_SECTOR_SIZE;
		return r ? r : number % WIRE_SECTOR_SIZE ? -EINVAL : 0;
	}
	if (strcmp(key, "iodepth") == 0 || strcmp(key, "streams") == 0) {
		r = set_number(value, 1, MAX_DEPTH, &number);
		b->depth = (unsigned)number;
		return r;
	}
	if (strcmp(key, "fsync") == 0) {
		r = set_number(value, 1, UINT32_MAX, &number);
		b->flush_every = (unsigned)number;
		return r;
	}
	if (strcmp(key, "seconds") == 0)
		return set_seconds(value, &b->seconds);
	if (strcmp(key, "spin") == 0) {
		r = set_number(value, 0, 1000000, &number);
		b->spin_us = (unsigned)number;
		return r;
	}
	if (strcmp(key, "count") == 0)
		return set_number(value, 1, UINT64_MAX, &b->count);
	return blkfront_options_set(&b->options, key, value);
}

/* --key=value, or --json. */
static int parse_argument(struct bench *b, const char *argument)
{
	char key[32];
	const char *value = strchr(argument, '=');

	if (strcmp(argument, "--json") == 0) {
		b->json = true;
		return 0;
	}
	if (strncmp(argument, "--", 2) != 0 || !value ||
		(size_t)(value - argument) - 2 >= sizeof(key))
		return -ENOENT;
	snprintf(key, sizeof(key), "%.*s", (int)(value - argument - 2), argument + 2);
	return set_option(b, key, value + 1);
}

static int measure(struct bench *b)
{
	int r = blkfront_connect(b->front);

	if (r) {
		fprintf(stderr, "blkfront-bench: %s\n", blkfront_error(b->front));
		return 1;
	}
	if (!blkfront_disk(b->front)->flush)
		b->flush_every = 0;
	b->nr_places = blkfront_disk(b->front)->nr_sectors / b->nr_sectors;
	if (b->nr_places == 0) {
		fputs("blkfront-bench: the disk is smaller than one request\n", stderr);
		r = -EINVAL;
	} else {
		r = run(b);
		if (r)
			fprintf(stderr, "blkfront-bench: %s (%s)\n", strerror(-r),
				blkfront_error(b->front));
		report(b);
	}
	if (blkfront_close(b->front)) {
		fprintf(stderr, "blkfront-bench: %s\n", blkfront_error(b->front));
		return 1;
	}
	return r || b->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	char *error;
	int r;

	blkfront_options_init(&bench.options);
	bench.nr_sectors = 8;
	bench.depth = 32;
	bench.seconds = 2;
	bench.random_state = 88172645463325252ull;
	(void)set_op(&bench, "randread");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			return 0;
		}
		r = parse_argument(&bench, argv[i]);
		if (r) {
			fprintf(stderr, "blkfront-bench: %s \"%s\"\n",
				r == -ENOENT ? "no such option" : "no such value", argv[i]);
			usage(stderr);
			return 2;
		}
	}
	r = blkfront_create(&bench.options, &bench.front, &error);
	if (r) {
		fprintf(stderr, "blkfront-bench: %s\n", error ? error : strerror(-r));
		free(error);
		return 1;
	}
	r = measure(&bench);
	blkfront_destroy(bench.front);
	return r;
}
