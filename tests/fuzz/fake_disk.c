#include "tests/fuzz/fake_disk.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring/wire.h"
#include "tests/fuzz/fuzz.h"

struct fake_disk fake_disk;

struct fake_io {
	struct engine_io io;
	unsigned version;
	struct engine_done done;
};

static struct {
	struct engine base;
	unsigned capacity;
	int event_fd;
	struct fake_io flying[LIMIT_SLOTS + 1];
	unsigned nr_ended;
	struct fake_io ended[LIMIT_SLOTS + 1];
} engine;

/* ---- the pattern of a sector: its number and version, disguised, then words that follow from them ---- */

#define WORDS (WIRE_SECTOR_SIZE / 8)
#define MAGIC UINT64_C(0xb10cbac5ec700000)

/* Another version's first word is no guest's: it is further off than sectors are. */
static void write_pattern(uint8_t *at, uint64_t sector, unsigned version)
{
	uint64_t words[WORDS];

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = (MAGIC + sector) ^ (uint64_t)i << 56 ^ (uint64_t)version << 34;
	memcpy(at, words, sizeof(words));
}

bool fake_disk_is_sector(const uint8_t *pattern, uint64_t sector, unsigned version)
{
	uint8_t expected[WIRE_SECTOR_SIZE];

	write_pattern(expected, sector, version);
	return memcmp(expected, pattern, sizeof(expected)) == 0;
}

int64_t fake_disk_sector_of(const uint8_t *pattern)
{
	uint64_t sector;

	memcpy(&sector, pattern, sizeof(sector));
	sector -= MAGIC;
	return sector <= UINT32_MAX && fake_disk_is_sector(pattern, sector, 0) ? (int64_t)sector
									       : -1;
}

static void read_data(const struct fake_io *ended)
{
	const struct engine_io *io = &ended->io;
	uint64_t sector = io->offset_bytes >> WIRE_SECTOR_SHIFT;

	for (unsigned i = 0; i < io->nr_iov; i++)
		for (size_t at = 0; at < io->iov[i].iov_len; at += WIRE_SECTOR_SIZE)
			write_pattern(
				(uint8_t *)io->iov[i].iov_base + at, sector++, ended->version);
}

/* ---- the engine ---- */

static void fake_put(struct engine *e, const struct engine_io *io)
{
	(void)e;
	FUZZ_CHECK(fake_disk.nr_flying + engine.nr_ended < engine.capacity, "more than fit");
	engine.flying[fake_disk.nr_flying++] =
		(struct fake_io){.io = *io, .version = fake_disk.on_put(io)};
}

void fake_disk_end(unsigned i, int error, bool refused)
{
	struct fake_io *flying;

	if (fake_disk.nr_flying == 0)
		return;
	i %= fake_disk.nr_flying;
	flying = &engine.flying[i];
	engine.ended[engine.nr_ended++] = (struct fake_io){.io = flying->io,
		.version = flying->version,
		.done = {.tag = flying->io.tag, .error = error, .refused = error && refused}};
	fake_disk.nr_flying--;
	memmove(flying, flying + 1, (fake_disk.nr_flying - i) * sizeof(*flying));
}

static void fake_commit(struct engine *e)
{
	(void)e;
}

static unsigned fake_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	unsigned n = 0;

	(void)e;
	while (fake_disk.at_once && fake_disk.nr_flying > 0)
		fake_disk_end(0, 0, false);
	for (; n < max && n < engine.nr_ended; n++) {
		const struct fake_io *ended = &engine.ended[n];

		if (ended->io.verb == ENGINE_READ && ended->done.error == 0)
			read_data(ended);
		fake_disk.on_end(&ended->io, &ended->done);
		done[n] = ended->done;
	}
	engine.nr_ended -= n;
	memmove(engine.ended, engine.ended + n, engine.nr_ended * sizeof(engine.ended[0]));
	return n;
}

static bool fake_has_done(const struct engine *e)
{
	(void)e;
	return engine.nr_ended > 0;
}

static int fake_fd(const struct engine *e)
{
	(void)e;
	return engine.event_fd;
}

static unsigned fake_in_flight(const struct engine *e)
{
	(void)e;
	return fake_disk.nr_flying + engine.nr_ended;
}

static void fake_destroy(struct engine *e)
{
	FUZZ_CHECK(fake_in_flight(e) == 0, "%u still under way", fake_in_flight(e));
	(void)close(engine.event_fd);
	fake_disk.nr_engines--;
}

static const struct engine_ops fake_ops = {
	fake_put, fake_commit, fake_reap, fake_has_done, fake_fd, fake_in_flight, fake_destroy};

/* In the place of backend/data/engine_aio.c. */
int engine_aio_create(unsigned capacity, struct engine **ret_engine)
{
	FUZZ_CHECK(fake_disk.nr_engines == 0 && capacity <= LIMIT_SLOTS + 1, "another engine");
	engine.base.ops = &fake_ops;
	engine.capacity = capacity;
	engine.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_disk.nr_engines++;
	*ret_engine = &engine.base;
	return 0;
}
