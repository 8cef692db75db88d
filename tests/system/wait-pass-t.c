/*
 * What wakes a queue that sleeps, and what that means: the test is its thread, and says what epoll_wait() returns, or lets the kernel say it.
 */
#include "tests/lib/pass.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "backend/data/queue_impl.h"

static struct loop loop;
static struct fake_engine fake;

/* ---- what epoll_wait() returns ---- */

#define NOBODY (-1)

static struct {
	int fd[2]; /* one for each call; NOBODY: the time is over */
	unsigned n, calls;
} script;

int epoll_wait(int epoll_fd, struct epoll_event *events, int max_events, int timeout_ms)
{
	if (script.n == 0)
		return epoll_pwait(epoll_fd, events, max_events, timeout_ms, NULL);
	if (script.calls == script.n)
		fail_msg("it sleeps once more than it should");
	if (script.fd[script.calls] == NOBODY) {
		script.calls++;
		return 0;
	}
	events[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = script.fd[script.calls++]};
	return 1;
}

/* Wait, while these are told of, one after the other. How many it took. */
static unsigned wait_through(int first_fd, int second_fd)
{
	script.fd[0] = first_fd;
	script.fd[1] = second_fd;
	script.n = 2;
	script.calls = 0;
	wait_for_work(loop.queue);
	script.n = 0;
	return script.calls;
}

/* Wait, without sleeping. */
static void wait_awake(void)
{
	script.n = script.calls = 1;
	wait_for_work(loop.queue);
	script.n = 0;
}

static int engine_fd(void)
{
	return fake.base.ops->fd(&fake.base);
}

/* ---- who has the processor ---- */

static unsigned nr_yields;

/* Somebody else has it for as long as counts. */
int sched_yield(void)
{
	uint64_t until_ns = queue_clock_ns() + POLL_AWAY_NS;

	nr_yields++;
	while (queue_clock_ns() < until_ns)
		continue;
	return 0;
}

/* ---- the tests ---- */

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pass_end_all(&loop, &fake);
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

static void wake(void)
{
	uint64_t one = 1;

	assert_int_equal(write(loop.queue->wake_fd, &one, sizeof(one)), sizeof(one));
}

/* Sleep, be woken by somebody else than the guest, and do what there is. */
static void sleep_and_wake(void)
{
	wake();
	wait_for_work(loop.queue);
}

/* Whether the backend wants an event for one more read. */
static bool wants_event(uint64_t id)
{
	loop_put(&loop, id, BLKIF_OP_READ, 0, 0, 1);
	return frontring_push(&loop.ring);
}

/* R18: asleep it wants an event with the next request, awake it wants none, whoever woke it. */
static void an_event_is_wanted_asleep_only(void **state)
{
	(void)state;
	assert_true(wants_event(1));
	pass_run(&loop);
	sleep_and_wake();
	assert_false(wants_event(2));
	pass_run(&loop);
	assert_int_equal(fake.nr_reads, 2);
	sleep_and_wake();
	pass_run(&loop);
	/* What it asks for when it sleeps the next time. */
	assert_false(backring_final_check(&loop.queue->ring));
	assert_true(wants_event(3));
	pass_run(&loop);
	assert_int_equal(fake.nr_reads, 3);
}

/* What came while it was awake, without an event, is there when it wants to sleep. */
static void it_does_not_sleep_over_a_request(void **state)
{
	(void)state;
	sleep_and_wake();
	pass_run(&loop);
	assert_false(wants_event(1));
	wait_awake();
	pass_run(&loop);
	assert_int_equal(fake.nr_reads, 1);
}

/* Whatever has ended the sleep, if it was not a request: the storage, the time, an event for nothing. */
static void whoever_woke_it(void **state)
{
	const int fd[] = {engine_fd(), NOBODY, channel_fd(&loop.queue->channel)};

	(void)state;
	for (unsigned i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		script.fd[0] = fd[i];
		script.n = 1;
		script.calls = 0;
		wait_for_work(loop.queue);
		script.n = 0;
		assert_false(wants_event(i));
		pass_run(&loop);
	}
	assert_int_equal(fake.nr_reads, 3);
}

/* While nothing is taken (D9) it sleeps without having asked for an event. What came meanwhile is found when it goes on. */
static void what_came_while_it_was_held_up_is_found(void **state)
{
	(void)state;
	sleep_and_wake();
	pass_run(&loop);
	disk_stop(loop.disk, 0);
	pass_run(&loop);
	assert_false(wants_event(1));
	sleep_and_wake();
	pass_run(&loop);
	assert_int_equal(fake.nr_reads, 0);
	disk_go_on(loop.disk);
	/* That wakes it. */
	wait_for_work(loop.queue);
	pass_run(&loop);
	assert_int_equal(fake.nr_reads, 1);
}

/* An I/O that was reaped before its eventfd was heard of wakes nobody a second time. */
static void an_old_end_of_an_io_is_slept_over(void **state)
{
	(void)state;
	fake.base.shows_all = true;
	assert_int_equal(wait_through(engine_fd(), loop.queue->wake_fd), 2);
}

static void the_end_of_an_io_wakes(void **state)
{
	(void)state;
	fake.base.shows_all = true;
	loop_put(&loop, 1, BLKIF_OP_READ, 0, 0, 1);
	pass_push(&loop);
	fake_engine_end_all(&fake);
	assert_int_equal(wait_through(engine_fd(), loop.queue->wake_fd), 1);
	pass_run(&loop);
	loop_expect(&loop, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
}

/* Of an engine that cannot show all it has done every word counts. */
static void an_engine_that_hides_is_asked(void **state)
{
	(void)state;
	fake.base.shows_all = false;
	assert_int_equal(wait_through(engine_fd(), loop.queue->wake_fd), 1);
}

/* Control is told of a request, however it was found, and not of an event alone. */
static void the_next_request_is_reported(void **state)
{
	(void)state;
	queue_report_request(loop.queue);
	assert_int_equal(xenevtchn_notify(loop.evtchn, loop.port), 0);
	wait_for_work(loop.queue);
	pass_run(&loop);
	assert_false(queue_take_report(loop.queue));
	/* No event is left that came before. */
	do
		sleep_and_wake();
	while (loop.queue->channel.masked);
	assert_false(wants_event(1));
	pass_run(&loop);
	assert_true(queue_take_report(loop.queue));
	assert_false(wants_event(2));
	pass_run(&loop);
	assert_false(queue_take_report(loop.queue));
}

/* Wait in vain, with these terms, where all waits before were short; and be woken. */
static void look_in_vain(enum poll_mode mode)
{
	const struct poll_terms terms = {.mode = mode, .fixed_us = 50, .budget_percent = 100};

	poller_init(&loop.queue->poller, &terms, &loop.disk->poll_budget);
	for (unsigned i = 0; i < 100; i++)
		poller_waited(&loop.queue->poller, 0, POLL_AUTO_NS);
	nr_yields = 0;
	sleep_and_wake();
	pass_run(&loop);
}

/* Who looks for work by his own judgement lets others run, and ends it when they did. */
static void others_run_meanwhile(void **state)
{
	(void)state;
	look_in_vain(POLL_AUTO);
	assert_int_equal(loop.queue->stats.looks, 1);
	assert_int_equal(nr_yields, 1);
	assert_true(loop.queue->poller.rest_until_ns > 0);
	/* They are let be for a while: there is no look. */
	loop.queue->poller.rest_until_ns = UINT64_MAX;
	sleep_and_wake();
	assert_int_equal(loop.queue->stats.looks, 1);
}

static void who_was_told_how_long_does_not_let_go(void **state)
{
	(void)state;
	look_in_vain(POLL_FIXED);
	assert_int_equal(loop.queue->stats.looks, 1);
	assert_int_equal(nr_yields, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_event_is_wanted_asleep_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			it_does_not_sleep_over_a_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whoever_woke_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_came_while_it_was_held_up_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_old_end_of_an_io_is_slept_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_an_io_wakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_engine_that_hides_is_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_request_is_reported, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_run_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_was_told_how_long_does_not_let_go, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
