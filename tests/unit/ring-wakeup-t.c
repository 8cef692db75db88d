/*
 * R17, R18 under real concurrency: two threads, one per end, that sleep whenever the final check
 * lets them and are woken only by the other's notifications. A lost wake-up is a sleep that outlives
 * its deadline. Run under the thread sanitizer too: the indexes must order the slots.
 *
 * A ring that is never quite empty, or never quite full, hides races, so the frontend limits the
 * number of requests in flight differently in each run.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

#define NR_REQUESTS 50000u
#define DEADLINE_MS 20000

struct channel {
	int fd; /* an event channel: any number of notifications wake once */
	unsigned long notified, slept;
};

struct run {
	struct ring_pair pair;
	struct channel to_back, to_front;
	unsigned depth; /* requests in flight at most */
	const char *back_failure;
};

static struct run run;

/*
 * How often an end looks at the ring again before it goes to sleep: a different number each time. It
 * keeps both ends awake together and moves them against each other, so that every instruction of
 * the one at some time meets every instruction of the other.
 */
static unsigned patience(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 20;
}

static void notify(struct channel *channel)
{
	uint64_t one = 1;

	channel->notified++;
	if (write(channel->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* False when nobody notified within the deadline. */
static bool sleep_on(struct channel *channel)
{
	struct pollfd fd = {.fd = channel->fd, .events = POLLIN};
	uint64_t count;
	int r;

	channel->slept++;
	do
		r = poll(&fd, 1, DEADLINE_MS);
	while (r < 0 && errno == EINTR);
	return r == 1 && read(channel->fd, &count, sizeof(count)) == sizeof(count);
}

static const char *serve(struct run *r)
{
	uint64_t answered = 0;
	uint32_t random = 1;
	unsigned looks = 0;

	while (answered < NR_REQUESTS) {
		unsigned n = backring_available(&r->pair.back);

		if (r->pair.back.broken)
			return "the ring broke";
		if (n > 0)
			looks = patience(&random);
		for (; n > 0; n--, answered++) {
			uint64_t id = ring_pair_take(&r->pair);

			if (id != answered)
				return "the backend took requests out of order";
			backring_respond(&r->pair.back, id, BLKIF_OP_READ, (int16_t)id);
		}
		if (backring_push(&r->pair.back))
			notify(&r->to_front);
		if (answered == NR_REQUESTS || looks-- > 0)
			continue;
		looks = patience(&random);
		if (!backring_final_check(&r->pair.back) && !sleep_on(&r->to_back))
			return "the backend missed a wake-up";
	}
	return NULL;
}

static void *backend_thread(void *arg)
{
	struct run *r = arg;

	r->back_failure = serve(r);
	return NULL;
}

static const char *request(struct run *r)
{
	uint64_t sent = 0, received = 0;
	uint32_t random = 2;
	unsigned looks = 0;

	while (received < NR_REQUESTS) {
		struct frontring_response rsp;

		while (sent < NR_REQUESTS && sent - received < r->depth)
			ring_pair_put(&r->pair, sent++);
		if (frontring_push(&r->pair.front))
			notify(&r->to_back);
		for (; frontring_get(&r->pair.front, &rsp); received++) {
			if (rsp.id != received || rsp.status != (int16_t)received)
				return "the frontend got a wrong response";
			looks = patience(&random);
		}
		/* With room to send there is work to do; without, only a response helps. */
		if (sent < NR_REQUESTS && sent - received < r->depth)
			continue;
		if (received == NR_REQUESTS || looks-- > 0)
			continue;
		looks = patience(&random);
		if (!frontring_final_check(&r->pair.front) && !sleep_on(&r->to_front))
			return "the frontend missed a wake-up";
	}
	return NULL;
}

/*
 * Two ends that wake each other tend to be put on one CPU, where they never meet: give each its own,
 * if there are two.
 */
static void use_cpu(pthread_t thread, unsigned which, const cpu_set_t *allowed)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (unsigned cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, allowed) && seen++ == which) {
			CPU_SET(cpu, &one);
			(void)pthread_setaffinity_np(thread, sizeof(one), &one);
			return;
		}
}

static void run_threads(enum wire_abi abi, unsigned depth)
{
	const char *front_failure;
	cpu_set_t allowed;
	pthread_t thread;

	run = (struct run){.depth = depth};
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	run.to_back.fd = eventfd(0, EFD_CLOEXEC);
	run.to_front.fd = eventfd(0, EFD_CLOEXEC);
	assert_true(run.to_back.fd >= 0 && run.to_front.fd >= 0);
	ring_pair_init(&run.pair, abi, 1, 0u - NR_REQUESTS / 2);
	assert_int_equal(pthread_create(&thread, NULL, backend_thread, &run), 0);
	use_cpu(thread, 1, &allowed);
	use_cpu(pthread_self(), 0, &allowed);
	front_failure = request(&run);
	pthread_join(thread, NULL);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
	close(run.to_back.fd);
	close(run.to_front.fd);
	if (front_failure || run.back_failure)
		fail_msg("depth %u: %s", depth, front_failure ? front_failure : run.back_failure);
	/* Nobody sleeps through a notification or wakes without one. */
	assert_true(run.to_back.slept <= run.to_back.notified);
	assert_true(run.to_front.slept <= run.to_front.notified);
}

static void one_in_flight(void **state)
{
	(void)state;
	run_threads(WIRE_ABI_64, 1);
	run_threads(WIRE_ABI_32, 1);
}

static void a_few_in_flight(void **state)
{
	(void)state;
	run_threads(WIRE_ABI_64, 3);
	run_threads(WIRE_ABI_32, 3);
}

static void a_full_ring(void **state)
{
	(void)state;
	run_threads(WIRE_ABI_64, 32);
	run_threads(WIRE_ABI_32, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_in_flight),
		cmocka_unit_test(a_few_in_flight),
		cmocka_unit_test(a_full_ring),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
