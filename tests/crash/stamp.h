/*
 * What a crash test writes: every word of a sector of 512 bytes says who wrote it and follows from that and from where it
 * belongs, so that a mixture of two is noticed.
 *
 * Any thread; pure functions.
 */
#ifndef TESTS_CRASH_STAMP_H
#define TESTS_CRASH_STAMP_H

#include <stdint.h>
#include <stdio.h>

#define STAMP_SECTOR 512u

/* Numbers of requests begin at 1. */
#define STAMP_INITIAL 0u                /* the disk as it was delivered */
#define STAMP_ZERO    UINT32_MAX        /* nothing but zeros: discarded */
#define STAMP_BAD     (UINT32_MAX - 1u) /* anything else, another sector's stamp too */
#define STAMP_MAX     (UINT32_MAX - 2u)

void stamp_fill(uint32_t id, uint64_t sector, void *data) __attribute__((nonnull));

/*
 * Who wrote what is found at @sector. Of a sector torn between two the one whose words begin it, and the other one in @ret_other, where
 * otherwise the same is.
 */
uint32_t stamp_read(uint64_t sector, const void *data, uint32_t *ret_other)
	__attribute__((nonnull));

/* Of @n sectors from @first on " NUMBER*COUNT" for each run by one writer; " NUMBER+NUMBER*COUNT" for torn ones. */
void stamps_print(FILE *file, uint64_t first, uint64_t n, const void *data)
	__attribute__((nonnull));

#endif
