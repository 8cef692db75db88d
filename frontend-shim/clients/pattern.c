#include "frontend-shim/clients/pattern.h"

#include <string.h>

#include "ring/wire.h"

#define WORDS_PER_SECTOR (WIRE_SECTOR_SIZE / sizeof(uint64_t))

/* A mix of all three in which one changed bit changes half of the word. */
static uint64_t tag(uint64_t seed, uint64_t sector, unsigned word)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + sector * WORDS_PER_SECTOR + word;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void fill_sector(const struct blkfront_pattern *pattern, uint64_t sector, uint8_t *data)
{
	if (!pattern->tagged) {
		memset(data, (int)pattern->value, WIRE_SECTOR_SIZE);
		return;
	}
	for (unsigned i = 0; i < WORDS_PER_SECTOR; i++) {
		uint64_t word = tag(pattern->value, sector, i);

		memcpy(data + i * sizeof(word), &word, sizeof(word));
	}
}

void blkfront_pattern_fill(
	const struct blkfront_pattern *pattern, uint64_t sector, void *ret_data, size_t size_bytes)
{
	uint8_t *data = ret_data;

	for (size_t i = 0; i < size_bytes / WIRE_SECTOR_SIZE; i++)
		fill_sector(pattern, sector + i, data + i * WIRE_SECTOR_SIZE);
}

size_t blkfront_pattern_compare(const struct blkfront_pattern *pattern, uint64_t sector,
	const void *data, size_t size_bytes)
{
	const uint8_t *bytes = data;
	uint8_t expected[WIRE_SECTOR_SIZE];

	for (size_t i = 0; i < size_bytes; i++) {
		if (i % WIRE_SECTOR_SIZE == 0)
			fill_sector(pattern, sector + i / WIRE_SECTOR_SIZE, expected);
		if (bytes[i] != expected[i % WIRE_SECTOR_SIZE])
			return i;
	}
	return size_bytes;
}
