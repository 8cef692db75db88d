/*
 * Every cell of the supervisor's table. The expected one is written down here a second time, in another
 * shape: row by row, as a story would tell it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/supervisor/disk.h"

/* "ACTION next" in the order of enum disk_event. */
/* clang-format off */
static const char *const expected[DISK_STATE_COUNT][DISK_EVENT_COUNT] = {
	/* fresh          open          closing       over          gone          adopted
	   ended          failed        hopeless      timer         domain gone   retry */
	[DISK_ABSENT] = {
	   "start run",  "start run",  "start run",  "forget abs", "forget abs", "greet run",
	   "- abs",      "- abs",      "- abs",      "- abs",      "forget abs", "- abs"},
	[DISK_RUNNING] = {
	   "- run",      "- run",      "- run",      "- run",      "grace stop", "- run",
	   "look fin",   "delay back", "giveup giv", "- run",      "grace stop", "- run"},
	[DISK_STOPPING] = {
	   "- run",      "- stop",     "- stop",     "- stop",     "- stop",     "- stop",
	   "look fin",   "look fin",   "look fin",   "term term",  "- stop",     "- stop"},
	[DISK_TERMINATING] = {
	   "- term",     "- term",     "- term",     "- term",     "- term",     "- term",
	   "look fin",   "look fin",   "look fin",   "kill term",  "- term",     "- term"},
	[DISK_BACKING_OFF] = {
	   "- back",     "- back",     "start run",  "- fin",      "forget abs", "greet run",
	   "- back",     "- back",     "- back",     "start run",  "- fin",      "start run"},
	[DISK_GIVEN_UP] = {
	   "start run",  "- giv",      "start run",  "- fin",      "forget abs", "greet run",
	   "- giv",      "- giv",      "- giv",      "- giv",      "- fin",      "start run"},
	[DISK_FINISHED] = {
	   "start run",  "- fin",      "start run",  "- fin",      "forget abs", "greet run",
	   "- fin",      "- fin",      "- fin",      "- fin",      "- fin",      "start run"},
};
/* clang-format on */

static const char *const action_words[DISK_ACTION_COUNT] = {
	"-", "start", "greet", "look", "delay", "giveup", "grace", "term", "kill", "forget"};
static const char *const state_words[DISK_STATE_COUNT] = {
	"abs", "run", "stop", "term", "back", "giv", "fin"};

static void test_every_cell(void **state)
{
	(void)state;
	for (unsigned s = 0; s < DISK_STATE_COUNT; s++) {
		for (unsigned e = 0; e < DISK_EVENT_COUNT; e++) {
			struct disk_step step = disk_next((enum disk_state)s, (enum disk_event)e);
			char got[32];

			assert_true(step.action < DISK_ACTION_COUNT);
			assert_true(step.next < DISK_STATE_COUNT);
			(void)snprintf(got, sizeof(got), "%s %s", action_words[step.action],
				state_words[step.next]);
			if (strcmp(got, expected[s][e]) != 0)
				fail_msg("%s, %s: '%s', not '%s'",
					disk_state_name((enum disk_state)s),
					disk_event_name((enum disk_event)e), got, expected[s][e]);
		}
	}
}

static bool has_worker(enum disk_state s)
{
	return s == DISK_RUNNING || s == DISK_STOPPING || s == DISK_TERMINATING;
}

/* What holds whatever the cells say: no worker is ever lost, doubled or forgotten. */
static void test_workers_are_accounted_for(void **state)
{
	(void)state;
	for (unsigned s = 0; s < DISK_STATE_COUNT; s++) {
		for (unsigned e = 0; e < DISK_EVENT_COUNT; e++) {
			struct disk_step step = disk_next((enum disk_state)s, (enum disk_event)e);
			bool ends =
				e == DISK_EV_ENDED || e == DISK_EV_FAILED || e == DISK_EV_HOPELESS;
			bool begins = step.action == DISK_DO_START || step.action == DISK_DO_GREET;

			if (has_worker((enum disk_state)s))
				assert_int_equal(has_worker(step.next), !ends);
			else
				assert_int_equal(has_worker(step.next), begins);
			if (begins || step.action == DISK_DO_FORGET)
				assert_false(has_worker((enum disk_state)s));
			if (step.action == DISK_DO_TERM || step.action == DISK_DO_KILL)
				assert_true(has_worker(step.next));
			assert_int_equal(step.next == DISK_ABSENT && s != DISK_ABSENT,
				step.action == DISK_DO_FORGET && s != DISK_ABSENT);
		}
	}
}

static void test_out_of_range(void **state)
{
	struct disk_step step = disk_next(DISK_RUNNING, DISK_EVENT_COUNT);

	(void)state;
	assert_int_equal(step.action, DISK_DO_NOTHING);
	assert_int_equal(step.next, DISK_RUNNING);
	assert_string_equal(disk_state_name(DISK_STATE_COUNT), "invalid");
	assert_string_equal(disk_event_name(DISK_EVENT_COUNT), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_workers_are_accounted_for),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
