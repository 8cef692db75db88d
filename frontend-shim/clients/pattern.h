/*
 * Data to write to a disk and to recognise when it is read back.
 *
 * Any thread; pure. Either one byte all over, or words that each tell where and with which seed they
 * were written, so that data that turns up at the wrong place, or is old, is told from the right one.
 */
#ifndef FRONTEND_SHIM_CLIENTS_PATTERN_H
#define FRONTEND_SHIM_CLIENTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blkfront_pattern {
	bool tagged;
	uint64_t value; /* the byte, or the seed */
};

/* What @size_bytes (a multiple of 512) at @sector look like. */
void blkfront_pattern_fill(const struct blkfront_pattern *pattern, uint64_t sector, void *ret_data,
	size_t size_bytes) __attribute__((nonnull));

/* The offset of the first byte that differs; @size_bytes when none does. */
size_t blkfront_pattern_compare(const struct blkfront_pattern *pattern, uint64_t sector,
	const void *data, size_t size_bytes) __attribute__((nonnull));

#endif
