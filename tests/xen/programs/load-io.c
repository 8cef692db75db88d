/*
 * A steady load on a block device, for the figures of `make bench-xen`. What it reads it does not look at.
 *
 *   load-io read|write random|sequential DEVICE block=4096 depth=32 seconds=3
 *
 * Keeps `depth` requests in flight with direct I/O for so many seconds, each block of the device being
 * equally likely (random) or the next one (sequential). Then prints one line:
 *
 *   load-io: ios=N us=N busy_ms=N
 *
 * us is how long it took, busy_ms how long the processors of this system were not idle meanwhile,
 * interrupts included. Exit code 0; 1: a request failed; 2: usage.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libaio.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 256u

struct load {
	const char *device;
	bool is_write, is_random;
	uint64_t block_bytes, depth, seconds;

	int fd;
	io_context_t aio;
	uint64_t nr_blocks, next_block, random_state, ios;
	struct iocb iocb[MAX_DEPTH];
	struct iocb *ready[MAX_DEPTH]; /* not in flight */
	unsigned nr_ready;
};

static struct load load;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* All processors together: user, nice, system, irq and softirq of /proc/stat (proc(5)). */
static uint64_t busy_ms(void)
{
	uint64_t user, nice, system, irq, softirq;
	FILE *file = fopen("/proc/stat", "re");

	if (!file ||
		fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64,
			&user, &nice, &system, &irq, &softirq) != 5)
		err(1, "/proc/stat");
	(void)fclose(file);
	return (user + nice + system + irq + softirq) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* ---- the load --------------------------------------------------------------------------------- */

static uint64_t next_block(void)
{
	if (!load.is_random)
		return load.next_block++ % load.nr_blocks;
	/* xorshift64* */
	load.random_state ^= load.random_state >> 12;
	load.random_state ^= load.random_state << 25;
	load.random_state ^= load.random_state >> 27;
	return load.random_state * 0x2545f4914f6cdd1dull % load.nr_blocks;
}

/* All that is not in flight, at once. */
static void submit(void)
{
	int n = (int)load.nr_ready;
	int r;

	for (int i = 0; i < n; i++)
		load.ready[i]->u.c.offset = (int64_t)next_block() * (int64_t)load.block_bytes;
	r = io_submit(load.aio, n, load.ready);
	if (r != n)
		errx(1, "'%s': io_submit of %d: %s", load.device, n,
			r < 0 ? strerror(-r) : "not all taken");
	load.nr_ready = 0;
}

/* Wait for at least one of those in flight. */
static void reap(void)
{
	struct io_event event[MAX_DEPTH];
	int n = io_getevents(load.aio, 1, MAX_DEPTH, event, NULL);

	if (n < 1)
		errx(1, "'%s': io_getevents: %s", load.device, strerror(-n));
	for (int i = 0; i < n; i++) {
		if (event[i].res != load.block_bytes)
			errx(1, "'%s': a request gives %ld", load.device, (long)event[i].res);
		load.ready[load.nr_ready++] = event[i].obj;
	}
	load.ios += (uint64_t)n;
}

static void run(void)
{
	uint64_t busy = busy_ms();
	uint64_t begin = now_us();
	uint64_t end = begin + load.seconds * 1000000;

	while (now_us() < end) {
		submit();
		reap();
	}
	while (load.nr_ready < load.depth)
		reap();
	end = now_us();
	printf("load-io: ios=%" PRIu64 " us=%" PRIu64 " busy_ms=%" PRIu64 "\n", load.ios,
		end - begin, busy_ms() - busy);
}

/* ---- setting up ------------------------------------------------------------------------------- */

static const struct option_name {
	const char *name;
	uint64_t *value;
	uint64_t max;
} options[] = {
	{"block", &load.block_bytes, 1u << 24},
	{"depth", &load.depth, MAX_DEPTH},
	{"seconds", &load.seconds, 3600},
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
		*option->value = strtoull(value + 1, &end, 10);
		if (end == value + 1 || *end || *option->value == 0 || *option->value > option->max)
			break;
		return;
	}
	errx(2, "'%s' is not understood; see the top of tests/xen/programs/load-io.c", word);
}

/* One of two words. */
static bool choose(const char *word, const char *yes, const char *no)
{
	if (strcmp(word, yes) != 0 && strcmp(word, no) != 0)
		errx(2, "'%s' is neither %s nor %s", word, yes, no);
	return strcmp(word, yes) == 0;
}

static void prepare(void)
{
	off_t size;
	int r;

	load.fd = open(load.device, (load.is_write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	size = load.fd < 0 ? -1 : lseek(load.fd, 0, SEEK_END);
	if (size < 0)
		err(1, "'%s'", load.device);
	load.nr_blocks = (uint64_t)size / load.block_bytes;
	if (load.nr_blocks == 0)
		errx(2, "'%s': is smaller than a block", load.device);
	load.random_state = 1;
	r = io_setup(MAX_DEPTH, &load.aio);
	if (r < 0)
		errx(1, "io_setup: %s", strerror(-r));
	for (unsigned i = 0; i < load.depth; i++) {
		void *data = aligned_alloc(4096, (load.block_bytes + 4095) / 4096 * 4096);

		if (!data)
			errx(1, "out of memory");
		memset(data, 'l', load.block_bytes);
		if (load.is_write)
			io_prep_pwrite(&load.iocb[i], load.fd, data, load.block_bytes, 0);
		else
			io_prep_pread(&load.iocb[i], load.fd, data, load.block_bytes, 0);
		load.ready[load.nr_ready++] = &load.iocb[i];
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		errx(2, "usage: load-io read|write random|sequential DEVICE [key=value]...");
	load.block_bytes = 4096;
	load.depth = 1;
	load.seconds = 3;
	load.is_write = choose(argv[1], "write", "read");
	load.is_random = choose(argv[2], "random", "sequential");
	load.device = argv[3];
	for (int i = 4; i < argc; i++)
		set_option(argv[i]);
	prepare();
	run();
	return 0;
}
