/*
 * What a disk has to hold, given what was written to it and discarded.
 *
 * One thread at a time; pure. Owns one copy of the disk. Of a discarded range storage may have the right to return zeros or what
 * was there, sector by sector, but nothing else: such a sector is in doubt until it has been looked at, and from then on is what it
 * was seen to be.
 */
#ifndef TESTS_LIB_GUEST_MODEL_H
#define TESTS_LIB_GUEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_model {
	uint64_t nr_sectors;
	uint8_t *data;
	bool *in_doubt; /* for each sector: may be all zeros instead */
};

/* A disk of zeros. -ENOMEM. */
int guest_model_init(struct guest_model *model, uint64_t nr_sectors)
	__attribute__((nonnull, warn_unused_result));
void guest_model_fini(struct guest_model *model) __attribute__((nonnull));

/* Ranges lie inside the disk: the caller knows. */
void guest_model_write(struct guest_model *model, uint64_t sector, uint64_t nr_sectors,
	const void *data) __attribute__((nonnull));

/* They are zeros, or with @in_doubt may be. */
void guest_model_zero(struct guest_model *model, uint64_t sector, uint64_t nr_sectors,
	bool in_doubt) __attribute__((nonnull));

/* Settles what was in doubt. The offset of the first byte that cannot be right; nr_sectors * 512 if all can. */
size_t guest_model_compare(struct guest_model *model, uint64_t sector, uint64_t nr_sectors,
	const void *data) __attribute__((nonnull));

#endif
