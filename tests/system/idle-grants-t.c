/*
 * Pages that stay mapped are given back to the guest when it has not used them for a minute, a few at a time, also while it uses
 * others; and after that nothing wakes the queue any more. Time is the test's: the clock and epoll_wait() are ours.
 */
#include "tests/lib/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "backend/data/budget.h"
#include "backend/data/queue_impl.h"

static struct loop loop;

/* The clock, and how the queue's thread sleeps. */
static atomic_uint now_s = 100;
static atomic_int last_timeout;
static atomic_uint nr_sleeps;
static atomic_bool wakes; /* nobody wakes up by himself, the test writes eventfds */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	*ret = (struct timespec){.tv_sec = (time_t)atomic_load(&now_s)};
	return 0;
}

static int (*real_epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *) = epoll_pwait;

/*
 * Whoever sleeps with a timeout wakes up at once, and so much later; without one, when there is something.
 */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n = real_epoll_pwait(
		fd, events, max, timeout < 0 || atomic_load(&wakes) ? -1 : 0, NULL);

	if (timeout >= 0) {
		atomic_store(&last_timeout, timeout);
		atomic_fetch_add(&nr_sleeps, 1);
		if (n == 0)
			atomic_fetch_add(&now_s, (unsigned)timeout / 1000);
	}
	return n;
}

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	atomic_store(&nr_sleeps, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

static uint64_t nr_mapped(void)
{
	return loop_nr_mapped(&loop);
}

/* Use @n pages from @page on, by hand. */
static void use(unsigned page, unsigned n)
{
	struct frontring_response rsp;

	for (unsigned i = 0; i < n; i++) {
		loop_put(&loop, i, BLKIF_OP_READ, 0, page + i, 1);
		loop_push(&loop);
		while (!loop_get(&loop, &rsp))
			(void)queue_poll_once(loop.queue);
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	}
	while (queue_poll_once(loop.queue))
		;
}

/* Those in use stay, the others go, however busy the queue is. */
static void test_while_others_are_used(void **state)
{
	(void)state;
	use(0, 100);
	use(200, 10);
	assert_int_equal(nr_mapped(), 110);
	atomic_fetch_add(&now_s, LIMIT_GRANT_IDLE_S - 1);
	use(200, 10);
	assert_int_equal(nr_mapped(), 110);
	atomic_fetch_add(&now_s, 1);
	/* No more than so many at a time. */
	use(200, 1);
	assert_in_range(queue_stats(loop.queue).grants_released, 1, 10 * LIMIT_GRANT_RELEASE);
	use(200, 10);
	assert_int_equal(nr_mapped(), 10);
	assert_int_equal(queue_stats(loop.queue).grants_released, 100);
	/* Used again, mapped again. */
	use(0, 100);
	assert_int_equal(nr_mapped(), 110);
}

static void test_a_few_at_a_time(void **state)
{
	(void)state;
	use(0, 3 * LIMIT_GRANT_RELEASE);
	atomic_fetch_add(&now_s, LIMIT_GRANT_IDLE_S);
	loop.queue->pcache.now_s = atomic_load(&now_s);
	for (unsigned i = 1; i <= 3; i++) {
		(void)queue_poll_once(loop.queue);
		assert_int_equal(queue_stats(loop.queue).grants_released, i * LIMIT_GRANT_RELEASE);
	}
	assert_int_equal(nr_mapped(), 0);
}

/* A page that an I/O is done on is in use, however long that takes. */
static void test_in_use(void **state)
{
	uint16_t page;

	(void)state;
	use(0, 4);
	page = pcache_get(&loop.queue->pcache, loop.ref[2]);
	assert_int_not_equal(page, PCACHE_NONE);
	atomic_fetch_add(&now_s, 10 * LIMIT_GRANT_IDLE_S);
	loop.queue->pcache.now_s = atomic_load(&now_s);
	(void)queue_poll_once(loop.queue);
	assert_int_equal(nr_mapped(), 1);
	pcache_put(&loop.queue->pcache, page);
	(void)queue_poll_once(loop.queue);
	assert_int_equal(nr_mapped(), 1);
}

/* The thread, asleep: it wakes up for that, and when all are gone it does not any more. */
static void test_asleep(void **state)
{
	(void)state;
	use(0, 100);
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; nr_mapped() > 0; i++) {
		assert_in_range(i, 0, 10000);
		(void)poll(NULL, 0, 1);
	}
	queue_stop(loop.queue);
	assert_int_equal(queue_stats(loop.queue).grants_released, 100);
	/* Once for the minute, and once for each lot that is due. */
	assert_in_range(atomic_load(&nr_sleeps), 1, 6);
	assert_int_equal(pcache_idle_in(&loop.queue->pcache), -1);
}

/* Woken every half minute for another queue's sake, a barrier's: its own pages grow old all the same. */
static void test_woken_for_others(void **state)
{
	(void)state;
	use(0, 100);
	atomic_store(&wakes, true);
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; nr_mapped() > 0; i++) {
		uint64_t one = 1;

		assert_in_range(i, 0, 10000);
		(void)poll(NULL, 0, 1);
		atomic_fetch_add(&now_s, 30);
		assert_int_equal(write(loop.queue->wake_fd, &one, sizeof(one)), sizeof(one));
	}
	atomic_store(&wakes, false);
	queue_stop(loop.queue);
	assert_int_equal(queue_stats(loop.queue).grants_released, 100);
}

/* What was reserved for pages that are not mapped any more is others', with the queue asleep. */
static void test_the_budget_rests(void **state)
{
	struct budget budget;
	struct problem problem;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/idle-grants-t.%d", (int)getpid());
	assert_int_equal(budget_open(&budget, path, 1000, &problem), 0);
	loop_disconnect(&loop);
	loop.budget = &budget;
	loop_connect(&loop);
	use(0, 4);
	assert_true(budget_sum(&budget) >= 4);
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; budget_sum(&budget) > 0; i++) {
		assert_in_range(i, 0, 10000);
		(void)poll(NULL, 0, 1);
	}
	queue_stop(loop.queue);
	assert_int_equal(nr_mapped(), 0);
	/* A minute for the pages, a second for the budget, and none more. */
	assert_in_range(atomic_load(&nr_sleeps), 1, 4);
	assert_false(guest_may_rest(&loop.queue->guest));
	/* A rest with pages mapped, as when the memory of a burst is given back: they are not the last to be counted. */
	loop_disconnect(&loop);
	loop_connect(&loop);
	use(0, 32);
	guest_rest(&loop.queue->guest);
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; budget_sum(&budget) > 0; i++) {
		assert_in_range(i, 0, 10000);
		(void)poll(NULL, 0, 1);
	}
	queue_stop(loop.queue);
	/* And at the end of a connection. */
	loop_disconnect(&loop);
	loop_connect(&loop);
	use(0, 4);
	assert_true(budget_sum(&budget) >= 4);
	loop_disconnect(&loop);
	assert_int_equal(budget_sum(&budget), 0);
	loop.budget = NULL;
	loop_connect(&loop);
	budget_close(&budget);
	assert_int_equal(unlink(path), 0);
}

#define IDLE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IDLE_TEST(test_while_others_are_used),
		IDLE_TEST(test_a_few_at_a_time),
		IDLE_TEST(test_in_use),
		IDLE_TEST(test_asleep),
		IDLE_TEST(test_woken_for_others),
		IDLE_TEST(test_the_budget_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
