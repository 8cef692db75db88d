#include "tests/lib/stamps.h"

#include <string.h>

struct stamp {
	uint64_t sector, version;
};

#define STAMPS_EACH (STAMP_SECTOR / sizeof(struct stamp))

static void lay_out(unsigned sector, uint64_t version, struct stamp *at)
{
	for (unsigned i = 0; i < STAMPS_EACH; i++)
		at[i] = (struct stamp){sector, version};
}

static bool is_as_promised(const struct stamps *stamps, unsigned sector, const void *data)
{
	struct stamp expected[STAMPS_EACH];

	lay_out(sector, stamps->version[sector], expected);
	return memcmp(expected, data, STAMP_SECTOR) == 0;
}

void stamps_write(struct stamps *stamps, unsigned first, unsigned n, void *data)
{
	struct stamp *at = data;

	stamps->last++;
	for (unsigned i = first; i < first + n; i++, at += STAMPS_EACH) {
		stamps->version[i] = stamps->last;
		stamps->is_missed[i] = false;
		lay_out(i, stamps->last, at);
	}
}

unsigned stamps_miss(struct stamps *stamps, unsigned first, unsigned n, const void *data)
{
	const unsigned char *at = data;
	unsigned nr_missed = 0;

	for (unsigned i = first; i < first + n; i++, at += STAMP_SECTOR) {
		if (stamps->is_missed[i] || is_as_promised(stamps, i, at))
			continue;
		stamps->is_missed[i] = true;
		nr_missed++;
	}
	return nr_missed;
}

unsigned stamps_differ(const struct stamps *stamps, unsigned first, unsigned n, const void *data)
{
	const unsigned char *at = data;
	unsigned nr = 0;

	for (unsigned i = first; i < first + n; i++, at += STAMP_SECTOR)
		nr += !is_as_promised(stamps, i, at);
	return nr;
}
