#include "place.h"

const struct place place_all = {0, PLACE_END, true};
const struct place place_unknown = {0, PLACE_END, false};

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > PLACE_END - b ? PLACE_END : a + b;
}

struct place place_above(const struct place *place, const struct window *window)
{
	struct place above = *place;

	if (place->start >= window->end || place->end <= window->start)
		above.start = above.end = 0;
	else
		above.start -= lower(window->start, place->start);
	/* Up to the window's end is up to the end of what shows it. */
	if (above.end >= window->end)
		above.end = PLACE_END;
	else if (above.end > 0)
		above.end -= window->start;
	return above;
}

struct place place_below(const struct place *place, const struct window *window)
{
	struct place below = *place;

	below.start = sum(window->start, place->start);
	below.end = lower(window->end, sum(window->start, place->end));
	return below;
}

bool place_is_empty(const struct place *place)
{
	return place->start >= place->end;
}

bool place_is_all(const struct place *place)
{
	return place->is_exact && place->start == 0 && place->end == PLACE_END;
}
