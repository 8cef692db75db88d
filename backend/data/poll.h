/*
 * Whether it pays to look for work before sleeping, and for how long.
 *
 * A queue that sleeps is woken by its guest or its storage, which takes tens of microseconds. One that looks at the ring and at
 * its engine for so long finds it at once, and uses the processor meanwhile. Here is decided how long it looks:
 *
 *   as long as the last waits took, and as much again, when nearly all of them were short, and not at all when they were not (POLL_AUTO);
 *   never longer together than the disk's budget allows, which its queues share;
 *   and not where others want the processor: then it is let be for a while, longer each time (POLL_AUTO).
 *
 * Queue thread only, but for the budget, which all queues of a disk use at the same time. Pure: the caller tells the time, looks,
 * lets others run meanwhile, and sleeps. An idle queue soon looks no more: its waits are long ones.
 */
#ifndef BACKEND_DATA_POLL_H
#define BACKEND_DATA_POLL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest look that adapts, and the longest that can be asked for. */
#define POLL_AUTO_NS 100000u
#define POLL_MAX_US  10000u

/* In percent of one processor: what a disk may use for it if nobody says otherwise, and what can be said. */
#define POLL_BUDGET     100u
#define POLL_BUDGET_MAX 800u

enum poll_mode {
	POLL_AUTO,
	POLL_OFF,
	POLL_FIXED, /* always so long, as far as the budget goes */
};

/* What the administrator chose. */
struct poll_terms {
	enum poll_mode mode;
	uint32_t fixed_us;       /* FIXED */
	uint32_t budget_percent; /* of one processor, for all queues of the disk together */
};

/* The time that was looked, put end to end as if at so many percent: a time in the future is used up. */
struct poll_budget {
	_Atomic uint64_t used_until_ns;
};

/* What is waited for. Their waits differ: a disk may be slow and its guest quick. */
enum poll_wait {
	POLL_FOR_GUEST,   /* nothing is in flight */
	POLL_FOR_STORAGE, /* something is; the guest may send more, too */
	POLL_WAITS,
};

/* Who else wants the processor, as it was when others were let run the last time in a look. */
enum poll_others {
	POLL_UNASKED, /* they were not */
	POLL_FREE,
	POLL_WANTED,
};

/*
 * With more than so many requests in flight it is not looked for the storage (POLL_AUTO): they share a wake-up, so looking saves each of them
 * little, and takes what it takes.
 */
#define POLL_FEW 8u

/*
 * Who has looked that long, in one look or in several, lets others run, each time it has been so long again (POLL_AUTO); and when that has taken
 * so long, others wanted the processor. An interrupt takes less.
 */
#define POLL_YIELD_NS 20000u
#define POLL_AWAY_NS  25000u

struct poller {
	struct poll_terms terms;
	struct poll_budget *budget; /* borrowed */
	struct {
		uint64_t window_ns;
		uint32_t short_share; /* of the last waits, of POLL_ALL */
	} wait[POLL_WAITS];
	uint64_t rest_ns;       /* so long it is let be, the next time others want the processor */
	uint64_t rest_until_ns; /* ... this time */
	uint64_t unasked_ns;    /* looked since others were let run */
};

void poller_init(struct poller *poller, const struct poll_terms *terms, struct poll_budget *budget)
	__attribute__((nonnull));

/* What a queue waits for that has so many requests under way. */
static inline enum poll_wait poll_wait_of(unsigned nr_in_flight)
{
	return nr_in_flight == 0 ? POLL_FOR_GUEST : POLL_FOR_STORAGE;
}

/* How long to look, from @now_ns on, in nanoseconds, with so many requests in flight; 0: not at all. */
uint64_t poller_window(const struct poller *poller, unsigned nr_in_flight, uint64_t now_ns)
	__attribute__((nonnull, warn_unused_result));

/* When others are to be let run, by who begins to look at @now_ns. Who was told for how long to look does not let go: never. */
uint64_t poller_yield(const struct poller *poller, uint64_t now_ns)
	__attribute__((nonnull, warn_unused_result));

/* It was looked for so long, others' time not counted, whatever was found: the budget is that much poorer. */
void poller_looked(struct poller *poller, uint64_t now_ns, uint64_t spent_ns,
	enum poll_others others) __attribute__((nonnull));

/*
 * A wait took so long, whether it ended by looking or by sleeping; so many were in flight when it began. UINT64_MAX: there was nothing to
 * do after it.
 */
void poller_waited(struct poller *poller, unsigned nr_in_flight, uint64_t waited_ns)
	__attribute__((nonnull));

#endif
