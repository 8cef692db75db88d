/*
 * Every input of xenbus_next() against the rules of STATES.md, stated a second time by kinds of
 * states instead of cell by cell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "xenstore/xenbus.h"

enum self_kind {
	FRESH,
	READY,
	SERVING,
	PARTING,
	DONE,
	SELF_KINDS
};
enum front_kind {
	SILENT,
	BEFORE,
	UP,
	LEAVING,
	LEFT,
	BUSY,
	FRONT_KINDS
};

static const enum self_kind self_kind[XENBUS_STATES] = {
	FRESH, FRESH, READY, FRESH, SERVING, PARTING, DONE, FRESH, FRESH};
static const enum front_kind front_kind[XENBUS_SEEN] = {
	SILENT, BEFORE, BEFORE, UP, UP, LEAVING, LEFT, BUSY, BUSY, SILENT};

/* . nothing, o open, c connect, 5 closing, 6 closed, F finish; one letter per front_kind */
static const char *const rules[2][SELF_KINDS] = {
	{"666666", "666666", "66.56.", "66..6.", "FFFFFF"}, /* offline */
	{"ooo56o", "..c56.", "6o.56.", "6o..6.", ".oo5.."}, /* online */
};

static enum xenbus_action action_of(char letter)
{
	const char *letters = ".oc56F";

	for (unsigned i = 0; letters[i]; i++) {
		if (letters[i] == letter)
			return (enum xenbus_action)i;
	}
	fail_msg("no such letter: %c", letter);
	return XENBUS_DO_NOTHING;
}

static enum xenbus_action expected(const struct xenbus_input *in)
{
	enum self_kind self = self_kind[in->self];
	enum front_kind front = front_kind[in->frontend];

	if (in->node == XENBUS_ABSENT)
		return XENBUS_DO_FINISH;
	if (in->node == XENBUS_INITIALISING && in->self != XENBUS_INITIALISING &&
		in->self != XENBUS_UNKNOWN)
		return XENBUS_DO_FINISH;
	if (in->node == XENBUS_CLOSING && self != PARTING)
		return self == SERVING ? XENBUS_DO_CLOSING : XENBUS_DO_CLOSED;
	if (in->rekeyed && (self == SERVING || self == PARTING) && front == UP)
		return in->online ? XENBUS_DO_OPEN : XENBUS_DO_CLOSED;
	return action_of(rules[in->online][self][front]);
}

/* All 9 x 10 x 10 x 2 x 2 inputs. */
static void test_every_cell(void **state)
{
	const unsigned n = XENBUS_STATES * XENBUS_SEEN * XENBUS_SEEN * 2 * 2;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct xenbus_input in = {
			.online = i % 2,
			.rekeyed = i / 2 % 2,
			.frontend = (enum xenbus_state)(i / 4 % XENBUS_SEEN),
			.node = (enum xenbus_state)(i / 4 / XENBUS_SEEN % XENBUS_SEEN),
			.self = (enum xenbus_state)(i / 4 / XENBUS_SEEN / XENBUS_SEEN),
		};

		if (xenbus_next(&in) != expected(&in))
			fail_msg("self %s node %s frontend %s online %d rekeyed %d: %s, not %s",
				xenbus_state_name(in.self), xenbus_state_name(in.node),
				xenbus_state_name(in.frontend), in.online, in.rekeyed,
				xenbus_action_name(xenbus_next(&in)),
				xenbus_action_name(expected(&in)));
	}
}

/* A frontend's state out of range counts as Unknown, ours as Initialising. */
static void test_out_of_range(void **state)
{
	struct xenbus_input in = {.self = XENBUS_CONNECTED,
		.node = XENBUS_CONNECTED,
		.frontend = (enum xenbus_state)10,
		.online = true};

	(void)state;
	assert_int_equal(xenbus_next(&in), XENBUS_DO_CLOSED);
	in.frontend = (enum xenbus_state)UINT32_MAX;
	assert_int_equal(xenbus_next(&in), XENBUS_DO_CLOSED);
	in.self = (enum xenbus_state)9;
	in.frontend = XENBUS_CONNECTED;
	assert_int_equal(xenbus_next(&in), XENBUS_DO_OPEN);
}

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"", "9", "-1", "04", "4 ", " 4", "4\n", "44", "0x4", "four", "/", ":"};
	char text[2] = "0";

	(void)state;
	assert_int_equal(xenbus_parse(NULL), XENBUS_ABSENT);
	for (unsigned i = 0; i < XENBUS_STATES; i++) {
		text[0] = (char)('0' + i);
		assert_int_equal(xenbus_parse(text), i);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(xenbus_parse(bad[i]), XENBUS_UNKNOWN);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(xenbus_state_name(XENBUS_UNKNOWN), "Unknown");
	assert_string_equal(xenbus_state_name(XENBUS_INITWAIT), "InitWait");
	assert_string_equal(xenbus_state_name(XENBUS_RECONFIGURED), "Reconfigured");
	assert_string_equal(xenbus_state_name(XENBUS_ABSENT), "absent");
	assert_string_equal(xenbus_state_name((enum xenbus_state)10), "invalid");
	assert_string_equal(xenbus_action_name(XENBUS_DO_NOTHING), "nothing");
	assert_string_equal(xenbus_action_name(XENBUS_DO_FINISH), "finish");
	assert_string_equal(xenbus_action_name((enum xenbus_action)6), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("xenbus table", tests, NULL, NULL);
}
