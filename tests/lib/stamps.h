/*
 * What a stretch of a disk must hold: in each sector its number and the version that was written last, whoever wrote it and by whatever way.
 *
 * One thread; plain data. A version is promised as soon as its writer was told that it is written: nothing here loses power.
 */
#ifndef TESTS_LIB_STAMPS_H
#define TESTS_LIB_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_SECTOR 512u
#define STAMP_COUNT  256u /* sectors of the stretch */
#define STAMP_BYTES  (STAMP_SECTOR * STAMP_COUNT)

struct stamps {
	uint64_t last; /* of all versions */
	uint64_t version[STAMP_COUNT];
	/* This version has been missed already: what was not there once is not counted again. */
	bool is_missed[STAMP_COUNT];
};

/* The next version of @n sectors from @first on, laid out in @data: promised from now on. */
void stamps_write(struct stamps *stamps, unsigned first, unsigned n, void *data)
	__attribute__((nonnull));

/* How many of these sectors are not in @data as they were promised, and were not missed before. */
unsigned stamps_miss(struct stamps *stamps, unsigned first, unsigned n, const void *data)
	__attribute__((nonnull));

/* How many are not, missed before or not. */
unsigned stamps_differ(const struct stamps *stamps, unsigned first, unsigned n, const void *data)
	__attribute__((nonnull));

#endif
