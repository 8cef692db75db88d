#include "backend/data/poll.h"

/* A wait that took so long is worth looking twice as long for. */
#define POLL_GROWTH 2u
/* A window below this finds nothing that a pass would not have found. */
#define POLL_LEAST_NS 2000u
/* What was not used lately may be used now, so much of it. */
#define POLL_BURST_NS 10000000u
/* How long others are let be: the first time, and at most. */
#define POLL_REST_NS     250000u
#define POLL_REST_MAX_NS 256000000u
/* Each time that nobody wants the processor takes so much of it back: one in six that somebody does keeps it as it is. */
#define POLL_REST_FORGIVEN 8u
/* The share of short waits: all, what is asked for, and over how many waits it is taken. */
#define POLL_ALL      65536u
#define POLL_MOST     (POLL_ALL / 8 * 7)
#define POLL_REMEMBER 16u

void poller_init(struct poller *poller, const struct poll_terms *terms, struct poll_budget *budget)
{
	*poller = (struct poller){.terms = *terms, .budget = budget, .rest_ns = POLL_REST_NS};
}

static bool has_budget(const struct poller *poller, uint64_t now_ns)
{
	return poller->terms.budget_percent > 0 &&
	       atomic_load_explicit(&poller->budget->used_until_ns, memory_order_relaxed) <= now_ns;
}

/* What adapts. */
static uint64_t auto_window(const struct poller *poller, unsigned nr_in_flight, uint64_t now_ns)
{
	if (now_ns < poller->rest_until_ns || nr_in_flight > POLL_FEW)
		return 0;
	if (poller->wait[poll_wait_of(nr_in_flight)].short_share < POLL_MOST)
		return 0;
	return poller->wait[poll_wait_of(nr_in_flight)].window_ns;
}

uint64_t poller_window(const struct poller *poller, unsigned nr_in_flight, uint64_t now_ns)
{
	uint64_t window_ns = 0;

	switch (poller->terms.mode) {
	case POLL_OFF:
		return 0;
	case POLL_FIXED:
		window_ns = (uint64_t)poller->terms.fixed_us * 1000;
		break;
	case POLL_AUTO:
		window_ns = auto_window(poller, nr_in_flight, now_ns);
		break;
	}
	return window_ns > 0 && has_budget(poller, now_ns) ? window_ns : 0;
}

static void pay(struct poller *poller, uint64_t now_ns, uint64_t spent_ns)
{
	_Atomic uint64_t *used = &poller->budget->used_until_ns;
	uint64_t least_ns = now_ns > POLL_BURST_NS ? now_ns - POLL_BURST_NS : 0;
	uint64_t old_ns = atomic_load_explicit(used, memory_order_relaxed), new_ns;

	do
		new_ns = (old_ns > least_ns ? old_ns : least_ns) +
			 spent_ns * 100 / poller->terms.budget_percent;
	while (!atomic_compare_exchange_weak_explicit(
		used, &old_ns, new_ns, memory_order_relaxed, memory_order_relaxed));
}

uint64_t poller_yield(const struct poller *poller, uint64_t now_ns)
{
	if (poller->terms.mode != POLL_AUTO)
		return UINT64_MAX;
	return now_ns + POLL_YIELD_NS - poller->unasked_ns;
}

static void forgive(struct poller *poller)
{
	poller->rest_ns -= poller->rest_ns / POLL_REST_FORGIVEN;
	if (poller->rest_ns < POLL_REST_NS)
		poller->rest_ns = POLL_REST_NS;
}

static void rest(struct poller *poller, uint64_t now_ns)
{
	poller->rest_until_ns = now_ns + poller->rest_ns;
	poller->rest_ns *= 2;
	if (poller->rest_ns > POLL_REST_MAX_NS)
		poller->rest_ns = POLL_REST_MAX_NS;
}

void poller_looked(
	struct poller *poller, uint64_t now_ns, uint64_t spent_ns, enum poll_others others)
{
	pay(poller, now_ns, spent_ns);
	poller->unasked_ns = others == POLL_UNASKED ? poller->unasked_ns + spent_ns : 0;
	if (poller->unasked_ns > POLL_YIELD_NS)
		poller->unasked_ns = POLL_YIELD_NS;
	if (others == POLL_FREE)
		forgive(poller);
	else if (others == POLL_WANTED)
		rest(poller, now_ns);
}

void poller_waited(struct poller *poller, unsigned nr_in_flight, uint64_t waited_ns)
{
	enum poll_wait wait = poll_wait_of(nr_in_flight);
	uint64_t *window_ns = &poller->wait[wait].window_ns;
	uint32_t *share = &poller->wait[wait].short_share;

	if (nr_in_flight > POLL_FEW)
		return;
	*share -= *share / POLL_REMEMBER;
	if (waited_ns <= POLL_AUTO_NS)
		*share += POLL_ALL / POLL_REMEMBER;
	if (waited_ns <= *window_ns)
		return;
	if (waited_ns <= POLL_AUTO_NS)
		*window_ns = waited_ns * POLL_GROWTH;
	else
		*window_ns /= 2;
	if (*window_ns > POLL_AUTO_NS)
		*window_ns = POLL_AUTO_NS;
	if (*window_ns < POLL_LEAST_NS)
		*window_ns = 0;
}
