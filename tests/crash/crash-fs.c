/*
 * crash-fs - keeps files on a file system, writes down what was acknowledged to be durable, and checks after a power cut.
 *
 *   crash-fs load FOLDER PROMISES CLOCK SEED N      N steps of each kind, the kinds at once
 *   crash-fs check FOLDER PROMISES TICK             as it has to be if the power failed then
 *   crash-fs witness CLOCK PROMISES                 for a load that shares no clock with the disk, in a guest
 *
 * Kinds of things, each with a number, and with versions 1, 2 ... of which each follows when the one before is acknowledged:
 *   file N      written under another name, fsynced, renamed, its folder fsynced; or removed, and the folder fsynced
 *   record 0    appended to a log, which is fsynced; a version is one record
 *   slot N      a page of a table, written in place: pwrite and fdatasync, or by O_DSYNC
 *
 * PROMISES has lines "TICK begin|done KIND NUMBER VERSION" with ticks of the disk's clock (ticks.h). What was done before the cut is there, or
 * something that was begun later; nothing else is. All bytes follow from kind, number and version.
 *
 * A load whose PROMISES and CLOCK are - prints its lines, with a tick of 0. What it prints is the witness's standard input, which
 * gives a tick to each "done" when it hears of it: later than it was, never too early. Lines of others are left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/ticks.h"
#include "tests/lib/dice.h"

#define NR_THINGS    24u
#define PAGE         4096u
#define MAX_BYTES    20000u
#define MAX_VERSIONS 100000u

enum kind {
	KIND_FILE,
	KIND_RECORD,
	KIND_SLOT,
	KIND_COUNT,
};

static const char *const kind_names[KIND_COUNT] = {"file", "record", "slot"};

/* What may be found of a thing. */
struct thing {
	unsigned done, begun; /* versions */
};

static struct {
	int folder;
	FILE *promises;
	struct ticks ticks;
	uint64_t seed;
	unsigned nr_steps;
	struct thing thing[KIND_COUNT][NR_THINGS];
	unsigned nr_bad;
} fs;

/* ---- what they contain ------------------------------------------------------------------------ */

static struct dice dice_of(enum kind kind, unsigned nr, unsigned version)
{
	struct dice dice = {((uint64_t)kind << 60) ^ ((uint64_t)nr << 40) ^ version};

	(void)dice_roll(&dice);
	return dice;
}

/* Every seventh version of a file is that there is none. */
static bool is_gone(unsigned version)
{
	return version == 0 || version % 7 == 0;
}

/* The content, into @data of MAX_BYTES; its size. */
static size_t content(enum kind kind, unsigned nr, unsigned version, uint8_t *data)
{
	struct dice dice = dice_of(kind, nr, version);
	size_t size = kind == KIND_SLOT ? PAGE : dice_between(&dice, 60, 600);

	if (kind == KIND_FILE && dice_one_in(&dice, 4))
		size = dice_between(&dice, 600, MAX_BYTES);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)dice_roll(&dice);
	(void)snprintf((char *)data, 60, "%s %u version %u, %zu bytes\n", kind_names[kind], nr,
		version, size);
	return size;
}

/* ---- the load --------------------------------------------------------------------------------- */

static void promise(const char *what, enum kind kind, unsigned nr, unsigned version)
{
	(void)fprintf(fs.promises, "%" PRIu64 " %s %s %u %u\n",
		fs.ticks.counter ? ticks_take(&fs.ticks) : 0, what, kind_names[kind], nr, version);
}

static void need(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "crash-fs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_file(const char *name, int flags)
{
	int fd = openat(fs.folder, name, flags | O_CLOEXEC, 0600);

	need(fd >= 0, name);
	return fd;
}

static void put_file(unsigned nr, unsigned version, uint8_t *data)
{
	char name[32], other[32];
	size_t size = content(KIND_FILE, nr, version, data);
	int fd;

	(void)snprintf(name, sizeof(name), "file.%u", nr);
	(void)snprintf(other, sizeof(other), "file.%u.new", nr);
	if (is_gone(version)) {
		need(unlinkat(fs.folder, name, 0) == 0, name);
	} else {
		fd = open_file(other, O_WRONLY | O_CREAT | O_TRUNC);
		need(write(fd, data, size) == (ssize_t)size, other);
		need(fsync(fd) == 0, "fsync");
		(void)close(fd);
		need(renameat(fs.folder, other, fs.folder, name) == 0, name);
	}
	need(fsync(fs.folder) == 0, "fsync of the folder");
}

static void put_record(int fd, unsigned version, uint8_t *data)
{
	size_t size = content(KIND_RECORD, 0, version, data);

	need(write(fd, data, size) == (ssize_t)size, "log");
	need((version % 2 ? fsync(fd) : fdatasync(fd)) == 0, "fsync of the log");
}

static void put_slot(int fd, unsigned nr, unsigned version, uint8_t *data)
{
	struct iovec iov = {.iov_base = data, .iov_len = content(KIND_SLOT, nr, version, data)};
	bool sync = version % 2 == 0;

	need(pwritev2(fd, &iov, 1, (off_t)nr * PAGE, sync ? RWF_DSYNC : 0) == PAGE, "table");
	if (!sync)
		need(fdatasync(fd) == 0, "fdatasync of the table");
}

static void *load_kind(void *argument)
{
	enum kind kind = *(const enum kind *)argument;
	struct dice dice = dice_of(kind, (unsigned)fs.seed, 0);
	uint8_t data[MAX_BYTES];
	int fd = -1;

	if (kind == KIND_RECORD)
		fd = open_file("log", O_WRONLY | O_CREAT | O_APPEND);
	else if (kind == KIND_SLOT)
		fd = open_file("table", O_WRONLY | O_CREAT);
	need(fsync(fs.folder) == 0, "fsync of the folder");
	for (unsigned i = 0; i < fs.nr_steps; i++) {
		unsigned nr = kind == KIND_RECORD ? 0 : (unsigned)dice_below(&dice, NR_THINGS);
		unsigned version = ++fs.thing[kind][nr].begun;

		promise("begin", kind, nr, version);
		if (kind == KIND_FILE)
			put_file(nr, version, data);
		else if (kind == KIND_RECORD)
			put_record(fd, version, data);
		else
			put_slot(fd, nr, version, data);
		promise("done", kind, nr, version);
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

static int load(char **argv)
{
	static enum kind kinds[KIND_COUNT] = {KIND_FILE, KIND_RECORD, KIND_SLOT};
	pthread_t thread[KIND_COUNT];

	fs.promises = strcmp(argv[3], "-") == 0 ? stdout : fopen(argv[3], "we");
	need(fs.promises && setvbuf(fs.promises, NULL, _IOLBF, 0) == 0, argv[3]);
	need(strcmp(argv[4], "-") == 0 || ticks_open(argv[4], &fs.ticks) == 0, argv[4]);
	fs.seed = strtoull(argv[5], NULL, 10);
	fs.nr_steps = (unsigned)strtoul(argv[6], NULL, 10);
	for (unsigned i = 0; i < KIND_COUNT; i++)
		need(pthread_create(&thread[i], NULL, load_kind, &kinds[i]) == 0, "thread");
	for (unsigned i = 0; i < KIND_COUNT; i++)
		(void)pthread_join(thread[i], NULL);
	return fclose(fs.promises) ? 1 : 0;
}

/* ---- the witness ------------------------------------------------------------------------------ */

/* Until the console ends, with its guest. */
static int witness(char **argv)
{
	char line[256], kind[8], what[8];
	unsigned nr, version;

	fs.promises = fopen(argv[3], "we");
	need(fs.promises != NULL, argv[3]);
	need(ticks_open(argv[2], &fs.ticks) == 0, argv[2]);
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t tick = ticks_take(&fs.ticks);

		if (sscanf(line, "0 %7s %7s %u %u", what, kind, &nr, &version) == 4)
			(void)fprintf(fs.promises, "%" PRIu64 " %s %s %u %u\n",
				what[0] == 'd' ? tick : 0, what, kind, nr, version);
	}
	return fclose(fs.promises) ? 1 : 0;
}

/* ---- the check -------------------------------------------------------------------------------- */

static void bad(enum kind kind, unsigned nr, const char *why)
{
	const struct thing *thing = &fs.thing[kind][nr];

	fs.nr_bad++;
	printf("LOST: %s %u: version %u was done, %u begun: %s\n", kind_names[kind], nr,
		thing->done, thing->begun, why);
}

static bool read_promises(const char *path, uint64_t cut)
{
	FILE *file = fopen(path, "re");
	char what[8], name[8];
	unsigned nr, version;
	uint64_t tick;
	int n;

	if (!file)
		return false;
	while ((n = fscanf(file, "%" SCNu64 " %7s %7s %u %u\n", &tick, what, name, &nr,
			&version)) == 5) {
		unsigned kind = 0;

		while (kind < KIND_COUNT && strcmp(name, kind_names[kind]) != 0)
			kind++;
		if (kind == KIND_COUNT || nr >= NR_THINGS || version > MAX_VERSIONS)
			break;
		if (tick <= cut && what[0] == 'd')
			fs.thing[kind][nr].done = version;
		else if (tick <= cut)
			fs.thing[kind][nr].begun = version;
	}
	(void)fclose(file);
	return n == EOF;
}

/* Whether @found is a version that may be. */
static bool is_version(
	enum kind kind, unsigned nr, const uint8_t *found, size_t size, uint8_t *expected)
{
	const struct thing *thing = &fs.thing[kind][nr];

	for (unsigned version = thing->done; version <= thing->begun; version++) {
		if (version > 0 && !(kind == KIND_FILE && is_gone(version)) &&
			content(kind, nr, version, expected) == size &&
			memcmp(found, expected, size) == 0)
			return true;
	}
	return false;
}

static void check_file(unsigned nr)
{
	const struct thing *thing = &fs.thing[KIND_FILE][nr];
	uint8_t found[MAX_BYTES + 1], expected[MAX_BYTES];
	bool may_be_gone = false;
	char name[32];
	ssize_t n;
	int fd;

	for (unsigned version = thing->done; version <= thing->begun; version++)
		may_be_gone |= is_gone(version);
	(void)snprintf(name, sizeof(name), "file.%u", nr);
	fd = openat(fs.folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT || !may_be_gone)
			bad(KIND_FILE, nr, strerror(errno));
		return;
	}
	n = read(fd, found, sizeof(found));
	(void)close(fd);
	if (n < 0)
		bad(KIND_FILE, nr, strerror(errno));
	else if (!is_version(KIND_FILE, nr, found, (size_t)n, expected))
		bad(KIND_FILE, nr, n ? "something else" : "it is empty");
}

/* All records that were done, one behind the other. */
static void check_log(void)
{
	const struct thing *thing = &fs.thing[KIND_RECORD][0];
	uint8_t found[MAX_BYTES], expected[MAX_BYTES];
	FILE *file;
	int fd;

	if (thing->done == 0)
		return;
	fd = openat(fs.folder, "log", O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		bad(KIND_RECORD, 0, strerror(errno));
		return;
	}
	for (unsigned version = 1; version <= thing->done; version++) {
		size_t size = content(KIND_RECORD, 0, version, expected);

		if (fread(found, 1, size, file) != size || memcmp(found, expected, size) != 0) {
			printf("record %u is not there\n", version);
			bad(KIND_RECORD, 0, "a record is missing, or something else");
			break;
		}
	}
	(void)fclose(file);
}

static void check_slots(void)
{
	uint8_t found[PAGE], expected[MAX_BYTES];
	int fd = openat(fs.folder, "table", O_RDONLY | O_CLOEXEC);

	for (unsigned nr = 0; nr < NR_THINGS; nr++) {
		if (fs.thing[KIND_SLOT][nr].done == 0)
			continue;
		if (fd < 0 || pread(fd, found, PAGE, (off_t)nr * PAGE) != PAGE)
			bad(KIND_SLOT, nr, "it cannot be read");
		else if (!is_version(KIND_SLOT, nr, found, PAGE, expected))
			bad(KIND_SLOT, nr, "something else");
	}
	if (fd >= 0)
		(void)close(fd);
}

static int check(char **argv)
{
	unsigned nr_done = fs.nr_bad;

	if (!read_promises(argv[3], strtoull(argv[4], NULL, 10))) {
		(void)fprintf(stderr, "crash-fs: '%s' cannot be read, or is wrong\n", argv[3]);
		return 2;
	}
	for (unsigned nr = 0; nr < NR_THINGS; nr++)
		check_file(nr);
	check_log();
	check_slots();
	for (unsigned kind = 0; kind < KIND_COUNT; kind++)
		for (unsigned nr = 0; nr < NR_THINGS; nr++)
			nr_done += fs.thing[kind][nr].done;
	printf("crash-fs: %u promises, %u things are not as promised\n", nr_done, fs.nr_bad);
	return fs.nr_bad ? 1 : 0;
}

/* By the number of arguments. */
static const char *const commands[] = {[4] = "witness", [5] = "check", [7] = "load"};

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 7 || !commands[argc] || strcmp(argv[1], commands[argc]) != 0) {
		(void)fputs("usage: crash-fs load FOLDER PROMISES CLOCK SEED N\n"
			    "       crash-fs check FOLDER PROMISES TICK\n"
			    "       crash-fs witness CLOCK PROMISES\n",
			stderr);
		return 2;
	}
	if (argc == 4)
		return witness(argv);
	fs.folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(fs.folder >= 0, argv[2]);
	return argc == 7 ? load(argv) : check(argv);
}
