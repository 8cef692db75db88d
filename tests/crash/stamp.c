#include "tests/crash/stamp.h"

#include <inttypes.h>
#include <string.h>

#define WORDS (STAMP_SECTOR / sizeof(uint64_t))

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t word_of(uint32_t id, uint64_t sector, unsigned i)
{
	uint64_t id_part = (uint64_t)(id + 1) << 32;

	return id_part | (uint32_t)mix(id_part ^ sector << 8 ^ i);
}

void stamp_fill(uint32_t id, uint64_t sector, void *data)
{
	uint64_t words[WORDS];

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = word_of(id, sector, i);
	memcpy(data, words, sizeof(words));
}

static uint32_t writer_of(uint64_t word, uint64_t sector, unsigned i)
{
	uint32_t id = (uint32_t)(word >> 32) - 1;

	if (word == 0)
		return STAMP_ZERO;
	return id <= STAMP_MAX && word == word_of(id, sector, i) ? id : STAMP_BAD;
}

uint32_t stamp_read(uint64_t sector, const void *data, uint32_t *ret_other)
{
	uint64_t words[WORDS];
	uint32_t first, other;

	memcpy(words, data, sizeof(words));
	first = writer_of(words[0], sector, 0);
	other = first;
	for (unsigned i = 1; i < WORDS; i++) {
		uint32_t id = writer_of(words[i], sector, i);

		if (other == first)
			other = id;
		else if (id != first && id != other)
			other = STAMP_BAD;
	}
	*ret_other = first == STAMP_BAD ? STAMP_BAD : other;
	return *ret_other == STAMP_BAD ? STAMP_BAD : first;
}

static void print_run(FILE *file, uint32_t id, uint32_t other, uint64_t n)
{
	(void)fprintf(file, " %" PRIu32, id);
	if (other != id)
		(void)fprintf(file, "+%" PRIu32, other);
	(void)fprintf(file, "*%" PRIu64, n);
}

void stamps_print(FILE *file, uint64_t first, uint64_t n, const void *data)
{
	const uint8_t *bytes = data;
	uint32_t id = 0, other = 0;
	uint64_t begin = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint32_t next_other;
		uint32_t next = stamp_read(first + i, bytes + i * STAMP_SECTOR, &next_other);

		if (i > begin && (next != id || next_other != other)) {
			print_run(file, id, other, i - begin);
			begin = i;
		}
		id = next;
		other = next_other;
	}
	if (n > 0)
		print_run(file, id, other, n - begin);
}
