/*
 * How a queue waits when a pass has found nothing: it looks for work for a while (poll.h), asks for an event, and sleeps.
 */
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"
#include "ring/barrier.h"

/* ---- looking ---- */

/* The clock costs more than a look. */
#define LOOKS_PER_CLOCK 8u

struct look {
	uint64_t start_ns, until_ns;
	uint64_t yield_ns; /* not before: others are let run */
	uint64_t away_ns;  /* others ran for so long */
	bool found;
	enum poll_others others;
};

static bool sees_work(const struct queue *q)
{
	for (unsigned i = 0; i < LOOKS_PER_CLOCK; i++) {
		if (queue_sees_work(q))
			return true;
		shared_relax();
	}
	return false;
}

/* Whoever waits for this processor has it now. When we have it again. */
static uint64_t let_others_run(const struct queue *q, struct look *look, uint64_t now_ns)
{
	uint64_t then_ns, took_ns;

	(void)sched_yield();
	then_ns = queue_clock_ns();
	took_ns = then_ns - now_ns;
	look->yield_ns = then_ns + POLL_YIELD_NS;
	look->away_ns += took_ns;
	look->others = took_ns >= POLL_AWAY_NS ? POLL_WANTED : POLL_FREE;
	look->found = queue_sees_work(q);
	return then_ns;
}

/* Until there is something, or the time is over, or others want the processor. When that was. */
static uint64_t look_until(const struct queue *q, struct look *look)
{
	uint64_t now_ns;

	do {
		look->found = sees_work(q);
		now_ns = queue_clock_ns();
		if (!look->found && now_ns >= look->yield_ns)
			now_ns = let_others_run(q, look, now_ns);
	} while (!look->found && look->others != POLL_WANTED && now_ns < look->until_ns);
	return now_ns;
}

/* True: there is something to do. */
static bool look_for_work(struct queue *q, unsigned nr_in_flight, uint64_t start_ns)
{
	/* An fdatasync that is put off has its own time. */
	uint64_t window_ns =
		q->gather_until_ns ? 0 : poller_window(&q->poller, nr_in_flight, start_ns);
	struct look look = {.start_ns = start_ns,
		.until_ns = start_ns + window_ns,
		.yield_ns = poller_yield(&q->poller, start_ns),
		.others = POLL_UNASKED};
	uint64_t now_ns, spent_ns;

	if (window_ns == 0)
		return false;
	now_ns = look_until(q, &look);
	spent_ns = now_ns - start_ns - look.away_ns;
	stat_add(&q->stats.looks, 1);
	stat_add(&q->stats.looks_found, look.found);
	stat_add(&q->stats.looks_ns, spent_ns);
	poller_looked(&q->poller, now_ns, spent_ns, look.others);
	if (look.found)
		poller_waited(&q->poller, nr_in_flight, now_ns - start_ns);
	return look.found;
}

/* ---- sleeping ---- */

/*
 * Before sleeping: ask for an event and look once more (R18). False: there is more to do. Where nothing is taken from the ring now, no event is asked for
 * either: what wakes us then has us look at the ring before the next sleep.
 */
static bool may_sleep(struct queue *q)
{
	if (atomic_load(&q->stop) || atomic_load(&q->status) == QUEUE_BROKEN)
		return true;
	/* Nothing is taken until there are buffers again: the end of an I/O wakes us, or the disk does. */
	if (q->waiting.n > 0)
		return true;
	/* Nor while the disk is somebody else's: the gate's opening wakes us. */
	if (queue_is_held_up(q))
		return true;
	/* A ring found broken just now still has to be reported: by the next pass. */
	if (backring_final_check(&q->ring) || q->ring.broken)
		return false;
	/* Only now, the ring being empty, may the next event come (XSA-332). */
	channel_unmask(&q->channel);
	return true;
}

static int idle_timeout(const struct queue *q, uint64_t now_ns)
{
	int give_back = trim_timeout_ms(q), stall = stall_timeout_ms(q, now_ns);

	return give_back < 0 || (stall >= 0 && stall < give_back) ? stall : give_back;
}

#define NR_EVENTS 3

/* A gather is over in less than a millisecond, perhaps. A kernel that cannot wait so shortly does not wait at all. */
static int wait_for_event(struct queue *q, struct epoll_event event[NR_EVENTS], uint64_t now_ns)
{
	uint64_t left_ns = q->gather_until_ns > now_ns ? q->gather_until_ns - now_ns : 0;
	struct timespec left = {.tv_nsec = (long)left_ns};

	if (q->gather_until_ns)
		return epoll_pwait2(q->epoll_fd, event, NR_EVENTS, &left, NULL);
	return epoll_wait(q->epoll_fd, event, NR_EVENTS, idle_timeout(q, now_ns));
}

/*
 * What the storage has ended may have been seen before its eventfd was: then that is still to be told, and is no news. An engine that
 * cannot show all it has done has to be asked.
 */
static bool is_stale(const struct queue *q, const struct epoll_event *event, int n)
{
	const struct engine *engine = q->engine;

	return n == 1 && event->data.fd == engine->ops->fd(engine) && engine->shows_all &&
	       !engine->ops->has_done(engine);
}

/* False: nothing has come. */
static bool sleep_until_event(struct queue *q)
{
	struct epoll_event event[NR_EVENTS];
	uint64_t count;
	bool gathers = q->gather_until_ns != 0;
	int n;

	do
		n = wait_for_event(q, event, queue_clock_ns());
	while (is_stale(q, event, n));
	/* Whatever woke us: pages grow old while others are served, too. */
	q->pcache.now_s = queue_seconds(queue_clock_ns());
	if (n == 0 && !gathers && trim_is_due(q))
		trim(q);
	for (int i = 0; i < n; i++) {
		if (event[i].data.fd == channel_fd(&q->channel)) {
			if (channel_take(&q->channel))
				stat_add(&q->stats.events, 1);
		} else if (event[i].data.fd == q->wake_fd) {
			(void)!read(q->wake_fd, &count, sizeof(count));
			q->look = true;
		}
	}
	/* It was not a request: what the guest sends while we are awake is found without an event. */
	if (!backring_has_requests(&q->ring))
		backring_withdraw(&q->ring);
	return n > 0;
}

/* ---- both ---- */

void wait_for_work(struct queue *q)
{
	unsigned nr_in_flight = q->nr_slots - q->free.n;
	uint64_t start_ns = queue_clock_ns();

	stall_look(q, start_ns);
	if (look_for_work(q, nr_in_flight, start_ns))
		return;
	if (!may_sleep(q) || !sleep_until_event(q))
		return;
	q->slept_ns = queue_clock_ns() - start_ns;
	q->slept_with = nr_in_flight;
}

/* It was for nothing then, however short it was: a guest's event without a request, say. */
void wait_judge(struct queue *q, bool found)
{
	if (q->slept_ns == 0)
		return;
	poller_waited(&q->poller, q->slept_with, found ? q->slept_ns : UINT64_MAX);
	q->slept_ns = 0;
}
