/*
 * A disk without storage, for fuzzing the queue: engine_aio_create() of an engine whose I/Os end when the test says so.
 * A sector reads as a pattern that tells which one it is, and for which I/O it was read, where that is to be told; what is
 * written is looked at and forgotten. Data move while
 * the queue reaps, and at no other time.
 */
#ifndef TESTS_FUZZ_FAKE_DISK_H
#define TESTS_FUZZ_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/engine.h"
#include "backend/util/limits.h"

struct fake_disk {
	bool at_once; /* whatever was put has ended well when the queue reaps */
	unsigned nr_flying;
	unsigned nr_engines;
	/* What the model thinks of it: which version of its sectors a read is to find, 0 if the guest may see it. */
	unsigned (*on_put)(const struct engine_io *io);
	void (*on_end)(const struct engine_io *io, const struct engine_done *done);
};

extern struct fake_disk fake_disk;

/* The I/O @i of those that are under way ends, modulo their number; nothing if there are none. */
void fake_disk_end(unsigned i, int error, bool refused);

/* Whether this is what a read finds as that version of the sector. */
bool fake_disk_is_sector(const uint8_t *pattern, uint64_t sector, unsigned version);

/* The sector of this pattern, as the guest sees it; -1 when it is none. */
int64_t fake_disk_sector_of(const uint8_t *pattern);

#endif
