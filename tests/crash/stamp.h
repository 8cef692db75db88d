/*
 * What a crash test writes: every sector of 512 bytes says who wrote it and where it belongs, and all of its bytes follow from
 * that, so that a mixture of two is noticed.
 *
 * Any thread; pure functions.
 */
#ifndef TESTS_CRASH_STAMP_H
#define TESTS_CRASH_STAMP_H

#include <stdint.h>

#define STAMP_SECTOR 512u

/* Numbers of requests begin at 1. */
#define STAMP_INITIAL 0u                /* the disk as it was delivered */
#define STAMP_ZERO    UINT32_MAX        /* nothing but zeros: discarded */
#define STAMP_BAD     (UINT32_MAX - 1u) /* anything else, another sector's stamp too */
#define STAMP_MAX     (UINT32_MAX - 2u)

void stamp_fill(uint32_t id, uint64_t sector, void *data) __attribute__((nonnull));

/* Who wrote what is found at @sector. */
uint32_t stamp_read(uint64_t sector, const void *data) __attribute__((nonnull));

#endif
