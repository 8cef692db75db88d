#include "backend/supervisor/restarts.h"

#include <string.h>

static void drop(struct restarts *restarts, unsigned n)
{
	restarts->n -= n;
	memmove(restarts->deaths_ms, restarts->deaths_ms + n,
		restarts->n * sizeof(restarts->deaths_ms[0]));
}

/* Forget what happened before the window, and the oldest when there is no room. */
static void note(struct restarts *restarts, uint32_t window_ms, uint64_t now_ms)
{
	unsigned old = 0;

	while (old < restarts->n && now_ms - restarts->deaths_ms[old] > window_ms)
		old++;
	if (old == 0 && restarts->n == RESTARTS_LIMIT_MAX)
		old = 1;
	drop(restarts, old);
	restarts->deaths_ms[restarts->n++] = now_ms;
}

bool restarts_again(struct restarts *restarts, const struct restarts_rules *rules, uint64_t now_ms,
	uint32_t *ret_delay_ms)
{
	uint64_t delay = rules->delay_min_ms;

	note(restarts, rules->window_ms, now_ms);
	if (rules->limit && restarts->n >= rules->limit)
		return false;
	for (unsigned i = 1; i < restarts->n && delay < rules->delay_max_ms; i++)
		delay *= 2;
	*ret_delay_ms = delay < rules->delay_max_ms ? (uint32_t)delay : rules->delay_max_ms;
	return true;
}
