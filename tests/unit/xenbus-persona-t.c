/*
 * Every frontend and toolstack we serve, as the sequence of what it writes and what it waits for.
 * Between two waits the backend may look at any of the moments, or at none: all those interleavings
 * are run, and all must end alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/xenbus-world.h"

enum verb {
	FRONT,      /* the frontend writes its state */
	KEYS,       /* the frontend grants new rings */
	WAIT,       /* somebody waits for our state: we look, and must be there */
	SERVED,     /* we look, and must hold the rings of the frontend's keys */
	DETACH,     /* the toolstack: online=0, state=5, unless we are Closed already (libxl) */
	DETACH_RAW, /* the same, without looking first */
	REMOVED,    /* the toolstack removes our directory */
	RENEWED,    /* ... and makes a new one */
	READY,      /* the hotplug script has given us storage (arg 1), or not yet (arg 0) */
	REFUSED,    /* we look, and say that the connection failed */
	END,
};

struct step {
	enum verb verb;
	unsigned arg;
};

/* Pieces of many personas. */
#define BOOT_LINUX                                                                                 \
	{FRONT, 1}, {WAIT, 2}, {KEYS, 7}, {FRONT, 3}, {WAIT, 4}, {FRONT, 4},                       \
	{                                                                                          \
		SERVED, 0                                                                          \
	}

static const struct step linux_reboots[] = {
	BOOT_LINUX, {FRONT, 5}, {FRONT, 6}, {WAIT, 6}, BOOT_LINUX, {END, 4}};
static const struct step linux_kexec[] = {
	BOOT_LINUX, {FRONT, 5}, {WAIT, 5}, {FRONT, 6}, {WAIT, 6}, BOOT_LINUX, {END, 4}};
/* A kernel that finds us Connected takes that for its own connection and writes keys and 3 at
 * once. */
static const struct step linux_crash_kernel[] = {BOOT_LINUX, {FRONT, 1}, {KEYS, 9}, {FRONT, 3},
	{WAIT, 4}, {FRONT, 4}, {SERVED, 0}, {END, 4}};
static const struct step grub_then_linux[] = {
	{KEYS, 1}, {FRONT, 3}, {WAIT, 4}, {FRONT, 6}, {WAIT, 6}, {FRONT, 1}, BOOT_LINUX, {END, 4}};
static const struct step ovmf_then_linux[] = {{WAIT, 2}, {KEYS, 1}, {FRONT, 4}, {WAIT, 4},
	{FRONT, 5}, {WAIT, 5}, {FRONT, 6}, {WAIT, 6}, {FRONT, 1}, {WAIT, 2}, BOOT_LINUX, {END, 4}};
static const struct step mini_os[] = {{KEYS, 1}, {FRONT, 4}, {WAIT, 4}, {FRONT, 5}, {WAIT, 5},
	{FRONT, 6}, {WAIT, 6}, {FRONT, 1}, {WAIT, 2}, {END, 2}};
/* The same without any manners: whatever we miss, its second connection must be served. */
static const struct step mini_os_in_a_hurry[] = {{KEYS, 1}, {FRONT, 4}, {WAIT, 4}, {FRONT, 5},
	{FRONT, 6}, {FRONT, 1}, {KEYS, 2}, {FRONT, 4}, {SERVED, 0}, {END, 4}};
static const struct step windows_suspend[] = {BOOT_LINUX, {FRONT, 5}, {WAIT, 5}, {FRONT, 6},
	{WAIT, 6}, {FRONT, 1}, {WAIT, 2}, {KEYS, 2}, {FRONT, 3}, {WAIT, 4}, {FRONT, 4}, {SERVED, 0},
	{END, 4}};
static const struct step xl_checkpoint[] = {BOOT_LINUX, {FRONT, 4}, {SERVED, 0}, {END, 4}};
static const struct step xl_save[] = {
	BOOT_LINUX, {FRONT, 9}, {DETACH, 0}, {WAIT, 6}, {REMOVED, 0}, {END, 6}};
static const struct step xl_save_raw[] = {
	BOOT_LINUX, {FRONT, 9}, {DETACH_RAW, 0}, {WAIT, 6}, {END, 6}};
static const struct step xl_save_unconnected[] = {
	{WAIT, 2}, {FRONT, 9}, {DETACH, 0}, {WAIT, 6}, {END, 6}};
static const struct step hot_detach[] = {BOOT_LINUX, {DETACH, 0}, {FRONT, 6}, {WAIT, 6}, {END, 6}};
/* The guest has the disk mounted: it is served until the last user is gone. */
static const struct step hot_detach_in_use[] = {BOOT_LINUX, {DETACH, 0}, {SERVED, 0}, {FRONT, 5},
	{SERVED, 0}, {WAIT, 5}, {FRONT, 6}, {WAIT, 6}, {END, 6}};
static const struct step hot_detach_no_driver[] = {{WAIT, 2}, {DETACH, 0}, {WAIT, 6}, {END, 6}};
/* xl destroy: the frontend directory and our state in one go, then our directory. */
static const struct step xl_destroy[] = {
	BOOT_LINUX, {DETACH, 0}, {FRONT, 9}, {WAIT, 6}, {REMOVED, 0}, {END, 6}};
static const struct step removed_under_us[] = {BOOT_LINUX, {REMOVED, 0}, {END, 4}};
static const struct step replaced_under_us[] = {
	BOOT_LINUX, {REMOVED, 0}, {RENEWED, 0}, {FRONT, 1}, {END, 4}};
/* Linux writes 3 before the hotplug script has reported; libxl must find us in exactly 2. */
static const struct step hot_attach[] = {{READY, 0}, {WAIT, 2}, {KEYS, 1}, {FRONT, 3}, {WAIT, 2},
	{READY, 1}, {WAIT, 4}, {FRONT, 4}, {SERVED, 0}, {END, 4}};
static const struct step bad_keys_then_good[] = {{READY, 0}, {FRONT, 3}, {WAIT, 2}, {REFUSED, 0},
	{READY, 1}, {WAIT, 5}, {FRONT, 6}, {WAIT, 6}, BOOT_LINUX, {END, 4}};

#define PERSONA(p, ends)                                                                           \
	{                                                                                          \
#p, p, (ends)                                                                      \
	}
static const struct {
	const char *name;
	const struct step *steps;
	bool ends; /* the worker */
} personas[] = {
	PERSONA(linux_reboots, false),
	PERSONA(linux_kexec, false),
	PERSONA(linux_crash_kernel, false),
	PERSONA(grub_then_linux, false),
	PERSONA(ovmf_then_linux, false),
	PERSONA(mini_os, false),
	PERSONA(mini_os_in_a_hurry, false),
	PERSONA(windows_suspend, false),
	PERSONA(xl_checkpoint, false),
	PERSONA(xl_save, true),
	PERSONA(xl_save_raw, true),
	PERSONA(xl_save_unconnected, true),
	PERSONA(hot_detach, true),
	PERSONA(hot_detach_in_use, true),
	PERSONA(hot_detach_no_driver, true),
	PERSONA(xl_destroy, true),
	PERSONA(removed_under_us, true),
	PERSONA(replaced_under_us, true),
	PERSONA(hot_attach, false),
	PERSONA(bad_keys_then_good, false),
};

static void others_act(struct world *w, const struct step *s)
{
	switch (s->verb) {
	case FRONT:
		w->frontend = (enum xenbus_state)s->arg;
		break;
	case KEYS:
		w->key += s->arg;
		break;
	case DETACH:
	case DETACH_RAW:
		if (s->verb == DETACH && w->node == XENBUS_CLOSED)
			break;
		w->online = false;
		w->node = XENBUS_CLOSING;
		break;
	case REMOVED:
		w->online = false;
		w->node = XENBUS_ABSENT;
		break;
	case RENEWED:
		w->online = true;
		w->node = XENBUS_INITIALISING;
		break;
	case READY:
		w->storage_ready = s->arg;
		break;
	case WAIT:
	case SERVED:
	case REFUSED:
	case END:
		break;
	}
}

/* What the backend must have come to at a step where it looks; false if not. */
static bool backend_looks(struct world *w, const struct step *s)
{
	if (world_settle(w) > WORLD_CHAIN_MAX)
		return false;
	if (s->verb == WAIT)
		return w->node == (enum xenbus_state)s->arg;
	if (s->verb == SERVED)
		return w->rings && w->rings_key == w->key;
	if (s->verb == REFUSED)
		world_perform(w, XENBUS_DO_CLOSING);
	return true;
}

/* Runs one persona; bit i of `looks` says whether the backend looks after its i-th write. */
static void run(const char *name, const struct step *s, bool ends, uint32_t looks)
{
	const struct step *first = s;
	struct world w = world_new();
	bool ok = true;
	uint32_t left = looks;

	for (; s->verb != END && ok; s++) {
		others_act(&w, s);
		if (s->verb == WAIT || s->verb == SERVED || s->verb == REFUSED) {
			ok = backend_looks(&w, s);
			continue;
		}
		if (left & 1)
			ok = backend_looks(&w, s);
		left >>= 1;
	}
	if (!ok)
		fail_msg("%s: step %u, looks %#x: node %s, self %s", name, (unsigned)(s - first),
			looks, xenbus_state_name(w.node), xenbus_state_name(w.self));
	(void)world_settle(&w);
	if (w.ended != ends || w.self != (enum xenbus_state)s->arg)
		fail_msg("%s: end, looks %#x: %s, self %s", name, looks,
			w.ended ? "ended" : "alive", xenbus_state_name(w.self));
	assert_int_equal(w.rings, w.self == XENBUS_CONNECTED && !w.ended);
}

static unsigned nr_writes(const struct step *s)
{
	unsigned n = 0;

	for (; s->verb != END; s++)
		n += s->verb != WAIT && s->verb != SERVED && s->verb != REFUSED;
	return n;
}

static void test_personas(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(personas) / sizeof(personas[0]); i++) {
		uint32_t n = UINT32_C(1) << nr_writes(personas[i].steps);

		for (uint32_t looks = 0; looks < n; looks++)
			run(personas[i].name, personas[i].steps, personas[i].ends, looks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_personas),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("xenbus personas", tests, NULL, NULL);
}
