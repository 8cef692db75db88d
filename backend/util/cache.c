#include "backend/util/cache.h"

#include <string.h>

static const struct {
	const char *name;
	bool direct;
	bool through;
} modes[CACHE_MODE_COUNT] = {
	[CACHE_NONE] = {"none", true, false},
	[CACHE_DIRECTSYNC] = {"directsync", true, true},
	[CACHE_WRITETHROUGH] = {"writethrough", false, true},
	[CACHE_WRITEBACK] = {"writeback", false, false},
	[CACHE_UNSAFE] = {"unsafe", false, false},
};

const char *cache_mode_name(enum cache_mode mode)
{
	return modes[mode].name;
}

bool cache_mode_parse(const char *text, enum cache_mode *ret_mode)
{
	if (strcmp(text, "volatile") == 0) {
		*ret_mode = CACHE_UNSAFE;
		return true;
	}
	for (unsigned i = 0; i < CACHE_MODE_COUNT; i++) {
		if (strcmp(text, modes[i].name) != 0)
			continue;
		*ret_mode = (enum cache_mode)i;
		return true;
	}
	return false;
}

bool cache_is_direct(enum cache_mode mode)
{
	return modes[mode].direct;
}

bool cache_writes_through(enum cache_mode mode)
{
	return modes[mode].through;
}

bool cache_flushes(enum cache_mode mode)
{
	return mode != CACHE_UNSAFE;
}

enum cache_mode cache_mode_writing_through(enum cache_mode mode)
{
	return cache_is_direct(mode) ? CACHE_DIRECTSYNC : CACHE_WRITETHROUGH;
}
