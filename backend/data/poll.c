#include "backend/data/poll.h"

/* A wait that took so long is worth looking twice as long for. */
#define POLL_GROWTH 2u
/* A window below this finds nothing that a pass would not have found. */
#define POLL_LEAST_NS 2000u
/* What was not used lately may be used now, so much of it. */
#define POLL_BURST_NS 10000000u
/* After looking for so long it is asked who else wants the processors. */
#define POLL_ASK_NS 1000000u
/* How long they are let be: the first time, and at most. */
#define POLL_REST_NS     1000000u
#define POLL_REST_MAX_NS 256000000u

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
	return poller->window_ns[poll_wait_of(nr_in_flight)];
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

bool poller_spent(struct poller *poller, uint64_t now_ns, uint64_t spent_ns)
{
	_Atomic uint64_t *used = &poller->budget->used_until_ns;
	uint64_t least_ns = now_ns > POLL_BURST_NS ? now_ns - POLL_BURST_NS : 0;
	uint64_t old_ns = atomic_load_explicit(used, memory_order_relaxed), new_ns;

	do
		new_ns = (old_ns > least_ns ? old_ns : least_ns) +
			 spent_ns * 100 / poller->terms.budget_percent;
	while (!atomic_compare_exchange_weak_explicit(
		used, &old_ns, new_ns, memory_order_relaxed, memory_order_relaxed));
	poller->unasked_ns += spent_ns;
	return poller->terms.mode == POLL_AUTO && poller->unasked_ns >= POLL_ASK_NS;
}

void poller_waited(struct poller *poller, unsigned nr_in_flight, uint64_t waited_ns)
{
	uint64_t *window_ns = &poller->window_ns[poll_wait_of(nr_in_flight)];

	if (waited_ns <= *window_ns || nr_in_flight > POLL_FEW)
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

void poller_told(struct poller *poller, uint64_t now_ns, bool is_busy)
{
	poller->unasked_ns = 0;
	if (!is_busy) {
		poller->rest_ns =
			poller->rest_ns > POLL_REST_NS ? poller->rest_ns / 2 : POLL_REST_NS;
		return;
	}
	poller->rest_until_ns = now_ns + poller->rest_ns;
	if (poller->rest_ns < POLL_REST_MAX_NS)
		poller->rest_ns *= 2;
}
