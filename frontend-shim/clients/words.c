#include "frontend-shim/clients/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int blkfront_words_split(struct blkfront_words *words, char *text, bool *ret_async)
{
	char *save;
	char *word = strtok_r(text, " \t\n", &save);
	bool async = word && strcmp(word, "async") == 0;

	words->verb = NULL;
	words->nr = 0;
	*ret_async = async;
	if (async)
		word = strtok_r(NULL, " \t\n", &save);
	if (!word || *word == '#')
		return 0;
	words->verb = word;
	while ((word = strtok_r(NULL, " \t\n", &save))) {
		if (words->nr == BLKFRONT_WORDS_MAX)
			return blkfront_words_bad(words, "too many words");
		words->word[words->nr++] = word;
	}
	return 0;
}

int blkfront_words_bad(const struct blkfront_words *words, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: %s: ", program_invocation_short_name, words->verb);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -EINVAL;
}

int blkfront_words_number(
	const struct blkfront_words *words, const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end;
	bool negative = *text == '-';
	unsigned long long value;

	if (!strchr("0123456789", text[negative]) || !text[negative])
		return blkfront_words_bad(words, "\"%s\" is not a number", text);
	errno = 0;
	value = strtoull(text + negative, &end, 0);
	if (errno || *end)
		return blkfront_words_bad(words, "\"%s\" is not a number", text);
	if (negative)
		value = -value;
	if (value > max)
		return blkfront_words_bad(
			words, "\"%s\" is larger than %llu", text, (unsigned long long)max);
	*ret_value = value;
	return 0;
}

const char *blkfront_words_option(
	const struct blkfront_words *words, unsigned nr_plain, const char *key)
{
	size_t n = strlen(key);

	for (unsigned i = nr_plain; i < words->nr; i++)
		if (strncmp(words->word[i], key, n) == 0 && words->word[i][n] == '=')
			return words->word[i] + n + 1;
	return NULL;
}

int blkfront_words_check(
	const struct blkfront_words *words, unsigned nr_plain, const char *const *keys)
{
	if (words->nr < nr_plain)
		return blkfront_words_bad(words, "too few arguments");
	for (unsigned i = nr_plain; i < words->nr; i++) {
		const char *const *key = keys;

		while (*key && !(strncmp(words->word[i], *key, strlen(*key)) == 0 &&
				       words->word[i][strlen(*key)] == '='))
			key++;
		if (!*key)
			return blkfront_words_bad(words, "what is \"%s\"?", words->word[i]);
	}
	return 0;
}

int blkfront_words_slot(
	const struct blkfront_words *words, const char *text, struct wire_slot *ret_slot)
{
	size_t n = strlen(text);

	memset(ret_slot, 0, sizeof(*ret_slot));
	if (n % 2 || n / 2 > sizeof(ret_slot->bytes))
		return blkfront_words_bad(
			words, "not a slot of up to %zu bytes in hex", sizeof(ret_slot->bytes));
	for (size_t i = 0; i < n; i += 2) {
		char pair[] = {text[i], text[i + 1], '\0'};
		char *end;

		ret_slot->bytes[i / 2] = (uint8_t)strtoul(pair, &end, 16);
		if (*end || pair[0] == '-' || pair[0] == '+' || pair[0] == ' ')
			return blkfront_words_bad(words, "\"%s\" is not hex", pair);
	}
	return 0;
}

int blkfront_words_segments(const struct blkfront_words *words, const char *text,
	struct blk_segment *seg, unsigned *ret_n)
{
	unsigned n = 0;

	for (;;) {
		char *end;
		unsigned long first, last;

		first = strtoul(text, &end, 10);
		if (end == text || *end != '-' || n == WIRE_SEGMENTS_MAX)
			break;
		text = end + 1;
		last = strtoul(text, &end, 10);
		if (end == text || first > 255 || last > 255)
			break;
		seg[n++] = (struct blk_segment){
			.first_sect = (uint8_t)first, .last_sect = (uint8_t)last};
		if (*end == '\0') {
			*ret_n = n;
			return 0;
		}
		if (*end != ',')
			break;
		text = end + 1;
	}
	return blkfront_words_bad(
		words, "segments are written FIRST-LAST,FIRST-LAST..., eleven at most");
}

/* One of the numbers of a made-up request; absent ones stay. */
static int optional_number(
	const struct blkfront_words *words, const char *key, uint64_t max, uint64_t *value)
{
	const char *text = blkfront_words_option(words, 0, key);

	return text ? blkfront_words_number(words, text, max, value) : 0;
}

static int set_header(const struct blkfront_words *words, unsigned n, struct blk_request *req)
{
	uint64_t op = 0, nr_segments = n, sector = 0, id = 0, indirect = 0;
	int r = optional_number(words, "op", 255, &op);

	if (r == 0)
		r = optional_number(words, "indirect", 1, &indirect);
	if (r == 0)
		r = optional_number(words, "nr_segments", indirect ? 65535 : 255, &nr_segments);
	if (r == 0)
		r = optional_number(words, "sector", UINT64_MAX, &sector);
	if (r == 0)
		r = optional_number(words, "id", UINT64_MAX, &id);
	req->indirect = indirect;
	req->op = (uint8_t)op;
	req->nr_segments = (uint16_t)nr_segments;
	req->sector = sector;
	req->id = id;
	return r;
}

int blkfront_words_request(const struct blkfront_words *words, uint32_t data_gref,
	uint32_t descriptor_gref, struct blk_request *ret_req)
{
	const char *segments = blkfront_words_option(words, 0, "segs");
	uint64_t gref = data_gref, descriptor = descriptor_gref;
	unsigned n = 0;
	int r;

	*ret_req = (struct blk_request){0};
	for (unsigned i = 0; i < BLK_SEGMENTS_MAX; i++)
		ret_req->seg[i].last_sect = WIRE_PAGE_SECTORS - 1;
	r = segments ? blkfront_words_segments(words, segments, ret_req->seg, &n) : 0;
	if (r == 0)
		r = set_header(words, n, ret_req);
	if (r == 0)
		r = optional_number(words, "gref", UINT32_MAX, &gref);
	if (r == 0)
		r = optional_number(words, "descriptor", UINT32_MAX, &descriptor);
	for (unsigned i = 0; i < BLK_SEGMENTS_MAX; i++)
		ret_req->seg[i].gref = (uint32_t)gref;
	for (unsigned i = 0; i < WIRE_INDIRECT_PAGES; i++)
		ret_req->indirect_gref[i] = (uint32_t)descriptor;
	return r;
}

int blkfront_words_pattern(
	const struct blkfront_words *words, const char *text, struct blkfront_pattern *ret_pattern)
{
	uint64_t value;
	bool tagged = strncmp(text, "seed:", 5) == 0;
	int r = tagged ? blkfront_words_number(words, text + 5, UINT64_MAX, &value)
		       : blkfront_words_number(words, text, 255, &value);

	if (r == 0)
		*ret_pattern = (struct blkfront_pattern){.tagged = tagged, .value = value};
	return r;
}

int blkfront_words_only_number(
	const struct blkfront_words *words, uint64_t max, uint64_t *ret_value)
{
	if (words->nr != 1)
		return blkfront_words_bad(words, "needs a number");
	return blkfront_words_number(words, words->word[0], max, ret_value);
}

int blkfront_words_status(const struct blkfront_words *words, const char *text, int32_t *ret_status)
{
	char *end;
	long value;

	if (strcmp(text, "any") == 0) {
		*ret_status = BLKFRONT_STATUS_ANY;
		return 0;
	}
	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < INT16_MIN || value > INT16_MAX)
		return blkfront_words_bad(words, "\"%s\" is not a status", text);
	*ret_status = (int32_t)value;
	return 0;
}
