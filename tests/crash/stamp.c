#include "tests/crash/stamp.h"

#include <string.h>

#define WORDS (STAMP_SECTOR / sizeof(uint64_t))

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void stamp_fill(uint32_t id, uint64_t sector, void *data)
{
	uint64_t words[WORDS] = {(uint64_t)id + 1, sector};

	for (unsigned i = 2; i < WORDS; i++)
		words[i] = mix(((uint64_t)id + 1) << 32 ^ sector << 8 ^ i);
	memcpy(data, words, sizeof(words));
}

uint32_t stamp_read(uint64_t sector, const void *data)
{
	static const uint8_t zeros[STAMP_SECTOR];
	uint8_t expected[STAMP_SECTOR];
	uint64_t first;

	if (memcmp(data, zeros, sizeof(zeros)) == 0)
		return STAMP_ZERO;
	memcpy(&first, data, sizeof(first));
	if (first == 0 || first - 1 > STAMP_MAX)
		return STAMP_BAD;
	stamp_fill((uint32_t)(first - 1), sector, expected);
	return memcmp(data, expected, sizeof(expected)) == 0 ? (uint32_t)(first - 1) : STAMP_BAD;
}
