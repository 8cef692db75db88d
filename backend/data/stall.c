/*
 * Storage that does not answer: who has waited for it longest, looked at now and then while something is in flight. Queue thread
 * only.
 */
#include "backend/data/queue_impl.h"

/* Of the time that is too long: how often it is looked. */
#define LOOKS 4u

static uint64_t interval_ns(const struct queue *q)
{
	return (uint64_t)q->cfg.timeout_ms * 1000000u / LOOKS;
}

static bool is_watched(const struct queue *q)
{
	return q->cfg.timeout_ms > 0 && q->engine->ops->in_flight(q->engine) > 0;
}

int stall_timeout_ms(const struct queue *q, uint64_t now_ns)
{
	if (!is_watched(q))
		return -1;
	return now_ns < q->stall_look_ns ? (int)((q->stall_look_ns - now_ns) / 1000000u) + 1 : 0;
}

static void consider(
	struct queue *q, uint64_t now_ns, uint64_t started_ns, unsigned *n, uint64_t *longest_ns)
{
	uint64_t ns = now_ns > started_ns ? now_ns - started_ns : 0;

	if (ns < (uint64_t)q->cfg.timeout_ms * 1000000u)
		return;
	(*n)++;
	if (ns > *longest_ns)
		*longest_ns = ns;
}

void stall_look(struct queue *q, uint64_t now_ns)
{
	uint64_t longest_ns = 0;
	unsigned n = 0;

	bool is_time = is_watched(q) && now_ns >= q->stall_look_ns;

	if (!is_time && (is_watched(q) || q->stats.stalled == 0))
		return;
	q->stall_look_ns = now_ns + interval_ns(q);
	for (unsigned s = 0; s < q->nr_touched; s++)
		if (q->slot[s].state == SLOT_IO)
			consider(q, now_ns, q->slot[s].started_ns, &n, &longest_ns);
	if (q->sync_runs)
		consider(q, now_ns, q->sync_ns, &n, &longest_ns);
	if (n == 0 && q->stats.stalled == 0)
		return;
	stat_set(&q->stats.stalled, n);
	stat_set(&q->stats.stalled_max_ns, longest_ns);
	queue_report(q);
}
