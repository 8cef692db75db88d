/*
 * crash-image - writes an image of what the media may hold when the power fails: any one of the states crash-check counts.
 *
 *   crash-image JOURNAL DATA SIZE TICK IMAGE [--OPTION=VALUE]...
 *
 * JOURNAL and DATA are voldisk's. With --keep=none nothing is on the media but what has to be, with all everything that was on
 * its way, newer over older. With random each operation that is not durable has its own fate by the seed: there, not there, or each atom of it
 * by itself. What a sector may hold at all is said in crash_model.h. A discard is never there.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/crash_log.h"
#include "tests/crash/stamp.h"
#include "tests/lib/dice.h"

enum keep {
	KEEP_NONE,
	KEEP_ALL,
	KEEP_RANDOM,
	KEEP_COUNT,
};

static const char *const keep_names[KEEP_COUNT] = {"none", "all", "random"};

static struct {
	struct crash_log log;
	FILE *data;
	uint64_t *place; /* of each operation's data */
	uint64_t *since; /* when it was durable; UINT64_MAX: not yet */
	uint64_t cut, nr_sectors;
	uint8_t *image;
	uint32_t *there; /* who is on each sector; 0: nobody */
	unsigned keep;
	uint64_t seed;
	uint64_t atom; /* sectors that are there together or not at all */
} ci = {.keep = KEEP_RANDOM, .seed = 1, .atom = 1};

static void *zeroed(size_t n, size_t size)
{
	void *memory = calloc(n ? n : 1, size);

	if (!memory) {
		(void)fputs("crash-image: no memory\n", stderr);
		exit(2);
	}
	return memory;
}

/* ---- what is durable -------------------------------------------------------------------------- */

/* Going back in time: the first flush to end of those that began after now. */
static void find_durable(void)
{
	uint64_t flushed = UINT64_MAX;

	for (size_t i = ci.log.nr_events; i-- > 0;) {
		const struct event *event = &ci.log.event[i];
		const struct op *op = &ci.log.op[event->index];

		if (event->tick > ci.cut)
			continue;
		if (event->what == WHAT_OP_START && op->kind == OP_FLUSH && op->end && !op->error &&
			op->end <= ci.cut && op->end < flushed)
			flushed = op->end;
		if (event->what == WHAT_OP_END && op->kind == OP_WRITE && !op->error)
			ci.since[event->index] = op->fua ? op->end : flushed;
	}
}

static void find_places(void)
{
	uint64_t at = 0;

	for (size_t i = 0; i < ci.log.nr_ops; i++) {
		ci.place[i] = at;
		if (ci.log.op[i].kind == OP_WRITE)
			at += (uint64_t)ci.log.op[i].nr_sectors * STAMP_SECTOR;
	}
}

/* ---- what is there ---------------------------------------------------------------------------- */

static uint64_t roll(uint64_t a, uint64_t b, uint64_t n)
{
	struct dice dice = {.state = ci.seed ^ a << 40 ^ b << 8};

	(void)dice_roll(&dice);
	return dice_below(&dice, n);
}

/* Of an operation that is not durable, the atom with that sector. One in so many survives is the seed's matter, too. */
static bool survives(uint32_t nr, uint64_t sector)
{
	uint64_t one_in = 1 + roll(0, 1, 4);

	if (ci.keep != KEEP_RANDOM)
		return ci.keep == KEEP_ALL;
	switch (roll(nr, 2, 3)) {
	case 0:
		return roll(nr, 3, one_in) == 0;
	default:
		return roll(nr, 4 + sector / ci.atom, one_in) == 0;
	}
}

/* In the order they began. What was there ended before or is under way still, so that either may be the one that stays, unless the
 * new one is durable and began after the other's end. */
static void put(uint32_t nr, uint64_t sector)
{
	const struct op *op = &ci.log.op[nr], *old = &ci.log.op[ci.there[sector]];
	bool durable = ci.since[nr] != UINT64_MAX;
	bool old_durable = ci.there[sector] == 0 || ci.since[ci.there[sector]] != UINT64_MAX;
	bool beside = ci.there[sector] != 0 && (!old->end || old->end > op->start);

	if (!durable && !survives(nr, sector))
		return;
	/* Two at once, of which both will stay as they are: the order is anybody's. */
	if (beside && durable == old_durable && ci.keep == KEEP_RANDOM &&
		roll(nr, 5 + sector / ci.atom, 2) == 0)
		return;
	ci.there[sector] = nr;
}

static void choose(void)
{
	for (size_t i = 0; i < ci.log.nr_events && ci.log.event[i].tick <= ci.cut; i++) {
		uint32_t nr = ci.log.event[i].index;
		const struct op *op = &ci.log.op[nr];

		if (ci.log.event[i].what != WHAT_OP_START || op->kind != OP_WRITE)
			continue;
		for (uint64_t s = op->sector; s < op->sector + op->nr_sectors && s < ci.nr_sectors;
			s++)
			put(nr, s);
	}
}

/* ---- the image -------------------------------------------------------------------------------- */

static bool fill(void)
{
	for (uint64_t s = 0; s < ci.nr_sectors; s++) {
		uint8_t *to = ci.image + s * STAMP_SECTOR;
		uint32_t nr = ci.there[s];

		if (nr == 0) {
			stamp_fill(STAMP_INITIAL, s, to);
			continue;
		}
		if (fseeko(ci.data,
			    (off_t)(ci.place[nr] + (s - ci.log.op[nr].sector) * STAMP_SECTOR),
			    SEEK_SET) ||
			fread(to, 1, STAMP_SECTOR, ci.data) != STAMP_SECTOR)
			return false;
	}
	return true;
}

static bool write_image(const char *path)
{
	FILE *file = fopen(path, "we");
	bool good;

	if (!file)
		return false;
	good = fwrite(ci.image, STAMP_SECTOR, ci.nr_sectors, file) == ci.nr_sectors;
	return fclose(file) == 0 && good;
}

/* ---- the program ------------------------------------------------------------------------------ */

static const char help[] =
	"usage: crash-image JOURNAL DATA SIZE TICK IMAGE [--OPTION=VALUE]...\n"
	"keep=none|all|random   what is there of that which need not be (default random)\n"
	"seed=N                 of random (default 1)\n"
	"atom=BYTES             are there together or not at all (default 512)\n";

static bool set_option(const char *argument)
{
	char *end;

	if (strncmp(argument, "--keep=", 7) == 0) {
		ci.keep = 0;
		while (ci.keep < KEEP_COUNT && strcmp(argument + 7, keep_names[ci.keep]) != 0)
			ci.keep++;
		return ci.keep < KEEP_COUNT;
	}
	if (strncmp(argument, "--seed=", 7) == 0) {
		ci.seed = strtoull(argument + 7, &end, 10);
		return *end == '\0';
	}
	if (strncmp(argument, "--atom=", 7) == 0) {
		ci.atom = strtoull(argument + 7, &end, 10) / STAMP_SECTOR;
		return *end == '\0' && ci.atom > 0;
	}
	return false;
}

static bool take_arguments(int argc, char **argv)
{
	char *end;

	if (argc < 6)
		return false;
	ci.nr_sectors = strtoull(argv[3], &end, 10) / STAMP_SECTOR;
	if (*end || ci.nr_sectors == 0)
		return false;
	ci.cut = strtoull(argv[4], &end, 10);
	if (*end)
		return false;
	for (int i = 6; i < argc; i++)
		if (!set_option(argv[i]))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	bool good;

	if (!take_arguments(argc, argv)) {
		(void)fputs(help, stderr);
		return 2;
	}
	crash_log_read(&ci.log, argv[1]);
	crash_log_sort(&ci.log);
	ci.data = fopen(argv[2], "re");
	ci.image = zeroed(ci.nr_sectors, STAMP_SECTOR);
	ci.there = zeroed(ci.nr_sectors, sizeof(*ci.there));
	ci.place = zeroed(ci.log.nr_ops, sizeof(*ci.place));
	ci.since = zeroed(ci.log.nr_ops, sizeof(*ci.since));
	memset(ci.since, 0xff, ci.log.nr_ops * sizeof(*ci.since));
	find_durable();
	find_places();
	choose();
	good = ci.data && fill() && write_image(argv[5]);
	if (!good)
		(void)fprintf(stderr, "crash-image: '%s' cannot be made\n", argv[5]);
	if (ci.data)
		(void)fclose(ci.data);
	free(ci.image);
	free(ci.there);
	free(ci.place);
	free(ci.since);
	crash_log_fini(&ci.log);
	return good ? 0 : 2;
}
