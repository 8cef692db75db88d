/*
 * Measure a backend through its rings: one frontend thread that keeps iodepth I/Os of each disk in flight.
 *
 *   blkfront-bench --vdev=xvda --op=randread --bs=4k --iodepth=32 --seconds=2 --json
 *   blkfront-bench --op=randwrite --queues=4 --streams=4 --fsync=8
 *   blkfront-bench --vdev=xvda,xvdb,xvdc --iodepth=1
 *   blkfront-bench --op=read --bs=1M --indirect=256 --ring-order=2
 *
 * Each I/O in flight is a stream: one I/O after the other, all on one queue. With --fsync=N each stream flushes after
 * every N of them.
 *
 * With --ramp=SECONDS figures begin so much later, when grants are mapped and pages have been touched.
 *
 * Made to cost as little as possible beside the ring: data pages are granted once and never copied,
 * responses are reaped and requests pushed in batches, and it sleeps only when there is nothing to
 * do. Figures are for comparison within one run, see the bench tests.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "frontend-shim/clients/load.h"
#include "frontend-shim/clients/load_report.h"

#define MAX_DISKS 128u
#define MAX_PIDS  128u
#define MAX_NAME  16u

struct disk {
	char vdev[MAX_NAME];
	struct blkfront *front;
	bool asleep; /* an event will come when there is something to do */
};

struct bench {
	struct blkfront_options options;
	struct load_plan plan;
	bool json, stay;
	double ramp_seconds;
	unsigned spin_us; /* look for responses so long before sleeping */

	struct disk disk[MAX_DISKS];
	struct load load[MAX_DISKS];
	unsigned nr_disks;
	clockid_t backend[MAX_PIDS]; /* the CPU time of a process */
	unsigned nr_backends;

	int epoll;
	uint64_t now_ns, start_ns, connected_ns;
	uint64_t ramp_end_ns; /* figures begin then; 0: they have */
	double start_cpu_us, start_backend_us;
};

/* Latencies alone make it too large for a stack. */
static struct bench bench = {.epoll = -1};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double backend_us(const struct bench *b)
{
	double sum = 0;

	for (unsigned i = 0; i < b->nr_backends; i++)
		sum += (double)clock_ns(b->backend[i]) / 1000;
	return sum;
}

/* ---- events ----------------------------------------------------------------------------------- */

/* The descriptor @which of blkfront_poll_fds() of a disk. */
static int listen_to(struct bench *b, unsigned disk, unsigned which, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN, .data.u64 = (uint64_t)disk * BLKFRONT_NR_FDS + which};

	return epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int listen_to_all(struct bench *b)
{
	int r = 0;

	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0)
		return -errno;
	for (unsigned i = 0; i < b->nr_disks; i++) {
		struct pollfd fds[BLKFRONT_NR_FDS];

		blkfront_poll_fds(b->disk[i].front, fds);
		for (unsigned j = 0; r == 0 && j < BLKFRONT_NR_FDS; j++)
			r = listen_to(b, i, j, fds[j].fd);
	}
	return r;
}

static int acknowledge(struct bench *b, uint64_t data)
{
	struct disk *disk = &b->disk[data / BLKFRONT_NR_FDS];
	struct pollfd fds[BLKFRONT_NR_FDS] = {{0}};

	fds[data % BLKFRONT_NR_FDS].revents = POLLIN;
	disk->asleep = false;
	return blkfront_acknowledge(disk->front, fds);
}

static int take_events(struct bench *b, int timeout_ms, bool must_come)
{
	struct epoll_event events[MAX_DISKS];
	int n = epoll_wait(b->epoll, events, MAX_DISKS, timeout_ms);
	int r = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0 && must_come)
		return -ETIMEDOUT;
	for (int i = 0; r == 0 && i < n; i++)
		r = acknowledge(b, events[i].data.u64);
	return r;
}

/* ---- the run ---------------------------------------------------------------------------------- */

static unsigned nr_active(const struct bench *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->nr_disks; i++)
		n += b->load[i].nr_active;
	return n;
}

static int turn(struct bench *b, unsigned i)
{
	b->load[i].now_ns = b->now_ns = clock_ns(CLOCK_MONOTONIC);
	return load_turn(&b->load[i]);
}

static uint64_t nr_ended(const struct bench *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < b->nr_disks; i++)
		n += b->load[i].latencies.count + b->load[i].flush_latencies.count;
	return n;
}

/* Look for responses for a while, as long as some arrive. No threshold is set, so no events come. */
static int spin(struct bench *b)
{
	uint64_t seen = nr_ended(b), until;
	int r = 0;

	b->now_ns = clock_ns(CLOCK_MONOTONIC);
	until = b->now_ns + b->spin_us * 1000ull;
	while (r == 0 && b->now_ns < until && nr_active(b) > 0) {
		for (unsigned i = 0; r == 0 && i < b->nr_disks; i++)
			r = turn(b, i);
		if (nr_ended(b) != seen)
			until = b->now_ns + b->spin_us * 1000ull;
		seen = nr_ended(b);
	}
	return r;
}

/* One turn of each disk that is awake. */
static int look_around(struct bench *b, bool *ret_some_awake, bool *ret_some_asleep)
{
	*ret_some_awake = *ret_some_asleep = false;
	for (unsigned i = 0; i < b->nr_disks; i++) {
		struct disk *disk = &b->disk[i];

		if (!disk->asleep) {
			int r = turn(b, i);

			if (r)
				return r;
			disk->asleep = b->load[i].nr_active == 0 || blkfront_arm(disk->front);
		}
		*ret_some_awake |= !disk->asleep;
		*ret_some_asleep |= disk->asleep && b->load[i].nr_active > 0;
	}
	return 0;
}

static void begin_figures(struct bench *b)
{
	for (unsigned i = 0; i < b->nr_disks; i++)
		load_begin_figures(&b->load[i]);
	b->start_backend_us = backend_us(b);
	b->start_cpu_us = cpu_us();
	b->start_ns = b->now_ns = clock_ns(CLOCK_MONOTONIC);
	b->ramp_end_ns = 0;
}

static int start(struct bench *b)
{
	uint64_t deadline_ns;
	int r = 0;

	begin_figures(b);
	if (b->ramp_seconds > 0)
		b->ramp_end_ns = b->start_ns + (uint64_t)(b->ramp_seconds * 1e9);
	deadline_ns = b->start_ns + (uint64_t)((b->ramp_seconds + b->plan.seconds) * 1e9);
	for (unsigned i = 0; r == 0 && i < b->nr_disks; i++) {
		b->load[i].now_ns = clock_ns(CLOCK_MONOTONIC);
		b->load[i].deadline_ns = deadline_ns;
		r = load_start(&b->load[i]);
	}
	return r;
}

static int run(struct bench *b)
{
	bool some_awake, some_asleep;
	int r = start(b);

	while (r == 0 && nr_active(b) > 0) {
		if (b->ramp_end_ns && b->now_ns >= b->ramp_end_ns)
			begin_figures(b);
		if (b->spin_us)
			r = spin(b);
		if (r == 0)
			r = look_around(b, &some_awake, &some_asleep);
		if (r || !some_asleep)
			continue;
		/* Those that are awake must not keep the others waiting. */
		r = some_awake ? take_events(b, 0, false)
			       : take_events(b, (int)b->options.timeout_ms, true);
	}
	return r;
}

static void report(const struct bench *b)
{
	const char *vdevs[MAX_DISKS];
	struct load_report report = {
		.loads = b->load,
		.vdevs = vdevs,
		.nr_loads = b->nr_disks,
		.connected_ns = b->connected_ns,
		.seconds = (double)(b->now_ns - b->start_ns) / 1e9,
		.cpu_us = cpu_us() - b->start_cpu_us,
		.has_backend_cpu = b->nr_backends > 0,
		.backend_cpu_us = backend_us(b) - b->start_backend_us,
		.json = b->json,
	};

	for (unsigned i = 0; i < b->nr_disks; i++)
		vdevs[i] = b->disk[i].vdev;
	load_report_print(&report);
	(void)fflush(stdout);
}

/* Until whoever started us closes our standard input: everything is connected, and nothing happens. */
static void stay(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

/* ---- the disks -------------------------------------------------------------------------------- */

static int complain(const struct disk *disk, int r, const char *text)
{
	fprintf(stderr, "blkfront-bench: %s: %s\n", disk->vdev, text ? text : strerror(-r));
	return r;
}

static int connect_disk(struct bench *b, unsigned i)
{
	struct blkfront_options options = b->options;
	struct disk *disk = &b->disk[i];
	char *error = NULL;
	int r;

	if (options.nr_pages == 0)
		options.nr_pages = load_pages(&b->plan);
	if (disk->vdev[0] && blkfront_options_set(&options, "vdev", disk->vdev))
		return complain(disk, -EINVAL, "no such disk");
	r = blkfront_create(&options, &disk->front, &error);
	if (r) {
		(void)complain(disk, r, error);
		free(error);
		return r;
	}
	r = blkfront_connect(disk->front);
	if (r)
		return complain(disk, r, blkfront_error(disk->front));
	r = load_init(&b->load[i], &b->plan, disk->front, 88172645463325252ull + i);
	if (r)
		return complain(disk, r, r == -ERANGE ? "the disk is smaller than one I/O" : NULL);
	return 0;
}

static int close_disk(struct bench *b, unsigned i)
{
	struct disk *disk = &b->disk[i];
	int r = 0;

	if (disk->front && blkfront_is_connected(disk->front) && blkfront_close(disk->front))
		r = complain(disk, -EIO, blkfront_error(disk->front));
	blkfront_destroy(disk->front);
	load_fini(&b->load[i]);
	return r;
}

/*
 * Something to be done with every AT_A_TIME-th disk, in a thread of its own: both ends mostly wait for each other, and backends for
 * the kernel. Xenstored lets a guest have ten transactions at a time.
 */
#define AT_A_TIME 8u

struct errand {
	struct bench *bench;
	int (*what)(struct bench *b, unsigned i);
	unsigned first;
	int result;
	pthread_t thread;
	bool is_apart;
};

static void *run_errand(void *arg)
{
	struct errand *errand = arg;

	for (unsigned i = errand->first; i < errand->bench->nr_disks; i += AT_A_TIME) {
		int r = errand->what(errand->bench, i);

		errand->result = errand->result ? errand->result : r;
	}
	return NULL;
}

/* The first error, after all. */
static int for_each_disk(struct bench *b, int (*what)(struct bench *b, unsigned i))
{
	struct errand errands[AT_A_TIME];
	int r = 0;

	for (unsigned i = 0; i < AT_A_TIME; i++) {
		struct errand *errand = &errands[i];

		*errand = (struct errand){.bench = b, .what = what, .first = i};
		errand->is_apart = i > 0 && i < b->nr_disks &&
				   pthread_create(&errand->thread, NULL, run_errand, errand) == 0;
	}
	for (unsigned i = 0; i < AT_A_TIME; i++) {
		if (errands[i].is_apart)
			(void)pthread_join(errands[i].thread, NULL);
		else
			(void)run_errand(&errands[i]);
		r = r ? r : errands[i].result;
	}
	return r;
}

static int connect_all(struct bench *b)
{
	int r = for_each_disk(b, connect_disk);

	b->connected_ns = clock_ns(CLOCK_MONOTONIC);
	return r ? r : listen_to_all(b);
}

static int close_all(struct bench *b)
{
	int r = for_each_disk(b, close_disk);

	if (b->epoll >= 0)
		(void)close(b->epoll);
	return r;
}

static int measure(struct bench *b)
{
	int r;

	r = run(b);
	if (r)
		fprintf(stderr, "blkfront-bench: %s\n", strerror(-r));
	for (unsigned i = 0; r && i < b->nr_disks; i++)
		(void)complain(&b->disk[i], r, blkfront_error(b->disk[i].front));
	report(b);
	for (unsigned i = 0; r == 0 && i < b->nr_disks; i++)
		r = b->load[i].failed ? -EIO : 0;
	if (r == 0 && b->stay)
		stay();
	return r;
}

/* ---- the command line ------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: blkfront-bench [--OPTION=VALUE ...]\n"
	      "  op=OP                  read, write, randread (default), randwrite\n"
	      "  bs=SIZE                bytes per I/O, with k or M (default 4k, up to 1M); what is larger than a request is\n"
	      "                         made of several\n"
	      "  iodepth=N              I/Os in flight of each disk, 1..512 (default 32)\n"
	      "  streams=N              the same: each is a stream, the j-th on queue j modulo queues\n"
	      "  fsync=N                each stream flushes after every N I/Os, if the disk offers that\n"
	      "  seconds=N              how long, 0.001..86400 (default 2)\n"
	      "  ramp=SECONDS           before that, and not counted (default 0)\n"
	      "  count=N                how many I/Os of each disk, flushes too, instead of how long\n"
	      "  spin=US                look for responses so long before sleeping (default 0)\n"
	      "  backend-pid=PID,...    say how much CPU these processes took, too\n"
	      "  json                   one line of JSON\n"
	      "  stay                   then stay connected until standard input ends\n"
	      "The guest; vdev may name several disks (xvda,xvdb), whose figures are summed up:\n" BLKFRONT_OPTIONS_HELP,
		out);
}

static int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;
	unsigned shift;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	shift = *end == 'k' ? 10 : *end == 'M' ? 20 : 0;
	if (shift && value < UINT32_MAX) {
		value <<= shift;
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

static int set_op(struct load_plan *plan, const char *name)
{
	static const struct {
		const char *name;
		uint8_t op;
		bool random;
	} ops[] = {{"read", BLKIF_OP_READ, false}, {"write", BLKIF_OP_WRITE, false},
		{"randread", BLKIF_OP_READ, true}, {"randwrite", BLKIF_OP_WRITE, true}};

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(name, ops[i].name) == 0) {
			plan->op_name = ops[i].name;
			plan->op = ops[i].op;
			plan->random = ops[i].random;
			return 0;
		}
	return -EINVAL;
}

/* Call @set with each part of a list. */
static int set_list(struct bench *b, const char *list, int (*set)(struct bench *b, const char *one))
{
	for (;;) {
		size_t n = strcspn(list, ",");
		char one[MAX_NAME];
		int r;

		if (n == 0 || n >= sizeof(one))
			return -EINVAL;
		snprintf(one, sizeof(one), "%.*s", (int)n, list);
		r = set(b, one);
		if (r || list[n] == '\0')
			return r;
		list += n + 1;
	}
}

static int add_disk(struct bench *b, const char *vdev)
{
	unsigned number;

	if (b->nr_disks == MAX_DISKS || blkfront_vdev_parse(vdev, &number))
		return -EINVAL;
	snprintf(b->disk[b->nr_disks++].vdev, sizeof(b->disk[0].vdev), "%s", vdev);
	return 0;
}

static int add_backend(struct bench *b, const char *text)
{
	uint64_t pid = 0;

	if (b->nr_backends == MAX_PIDS || set_number(text, 1, INT32_MAX, &pid))
		return -EINVAL;
	return clock_getcpuclockid((pid_t)pid, &b->backend[b->nr_backends++]) ? -EINVAL : 0;
}

static int set_size(struct load_plan *plan, const char *value)
{
	uint64_t number = 0;

	if (set_number(value, 512, (uint64_t)BLKFRONT_MAX_SECTORS * WIRE_SECTOR_SIZE, &number) ||
		number % WIRE_SECTOR_SIZE)
		return -EINVAL;
	plan->nr_sectors = (unsigned)number / WIRE_SECTOR_SIZE;
	return 0;
}

static int set_unsigned(const char *text, unsigned min, unsigned max, unsigned *ret_value)
{
	uint64_t number = 0;
	int r = set_number(text, min, max, &number);

	if (r == 0)
		*ret_value = (unsigned)number;
	return r;
}

static int set_option(struct bench *b, const char *key, const char *value)
{
	struct load_plan *plan = &b->plan;

	if (strcmp(key, "op") == 0)
		return set_op(plan, value);
	if (strcmp(key, "bs") == 0)
		return set_size(plan, value);
	if (strcmp(key, "iodepth") == 0 || strcmp(key, "streams") == 0)
		return set_unsigned(value, 1, LOAD_MAX_DEPTH, &plan->depth);
	if (strcmp(key, "fsync") == 0)
		return set_unsigned(value, 1, UINT32_MAX, &plan->flush_every);
	if (strcmp(key, "seconds") == 0)
		return set_seconds(value, &plan->seconds);
	if (strcmp(key, "ramp") == 0)
		return set_seconds(value, &b->ramp_seconds);
	if (strcmp(key, "spin") == 0)
		return set_unsigned(value, 0, 1000000, &b->spin_us);
	if (strcmp(key, "count") == 0)
		return set_number(value, 1, UINT64_MAX, &plan->count);
	if (strcmp(key, "vdev") == 0)
		return set_list(b, value, add_disk);
	if (strcmp(key, "backend-pid") == 0)
		return set_list(b, value, add_backend);
	return blkfront_options_set(&b->options, key, value);
}

/* --key=value, or a word of its own. */
static int parse_argument(struct bench *b, const char *argument)
{
	char key[32];
	const char *value = strchr(argument, '=');

	if (strcmp(argument, "--json") == 0) {
		b->json = true;
		return 0;
	}
	if (strcmp(argument, "--stay") == 0) {
		b->stay = true;
		return 0;
	}
	if (strncmp(argument, "--", 2) != 0 || !value ||
		(size_t)(value - argument) - 2 >= sizeof(key))
		return -ENOENT;
	snprintf(key, sizeof(key), "%.*s", (int)(value - argument - 2), argument + 2);
	return set_option(b, key, value + 1);
}

static void set_defaults(struct bench *b)
{
	blkfront_options_init(&b->options);
	b->plan = (struct load_plan){.nr_sectors = 8, .depth = 32, .seconds = 2};
	(void)set_op(&b->plan, "randread");
}

int main(int argc, char **argv)
{
	int r;

	/* libxenstore's own way to ignore it is not for several threads. */
	(void)signal(SIGPIPE, SIG_IGN);
	set_defaults(&bench);
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
	/* The one of `frontend`, or the default. */
	if (bench.nr_disks == 0)
		bench.nr_disks = 1;
	r = connect_all(&bench);
	if (r == 0)
		r = measure(&bench);
	if (close_all(&bench))
		r = -EIO;
	return r ? 1 : 0;
}
