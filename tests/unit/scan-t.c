/* Which disks are ours, and what a watch event is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/supervisor/child.h"
#include "backend/supervisor/config.h"
#include "backend/supervisor/scan.h"

static const struct {
	const char *kind, *script;
	enum xenbus_state state;
	bool online;
	enum disk_event event;
} judged[] = {
	/* Whose it is. */
	{"vbd3", NULL, XENBUS_INITIALISING, true, DISK_EV_FRESH},
	{"vbd3", "/etc/xen/scripts/block-tap", XENBUS_INITIALISING, true, DISK_EV_FRESH},
	{"vbd", "/etc/xen/scripts/block-blkback", XENBUS_INITIALISING, true, DISK_EV_FRESH},
	{"vbd", "block-blkback", XENBUS_INITIALISING, true, DISK_EV_FRESH},
	{"vbd", "block-other", XENBUS_INITIALISING, true, DISK_EV_FRESH}, /* configured as well */
	{"vbd", "/etc/xen/scripts/block", XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"vbd", "/etc/block-blkback/block", XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"vbd", "/etc/xen/scripts/block-blkback2", XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"vbd", "", XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"vbd", NULL, XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"qdisk", "block-blkback", XENBUS_INITIALISING, true, DISK_EV_OVER},
	{"vbd", NULL, XENBUS_ABSENT, false, DISK_EV_GONE},
	{"qdisk", NULL, XENBUS_ABSENT, true, DISK_EV_GONE},
	/* What it needs. */
	{"vbd3", NULL, XENBUS_INITIALISING, false, DISK_EV_FRESH},
	{"vbd3", NULL, XENBUS_INITWAIT, true, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_CONNECTED, true, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_CONNECTED, false, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_UNKNOWN, true, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_CLOSING, true, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_CLOSING, false, DISK_EV_CLOSING},
	{"vbd3", NULL, XENBUS_CLOSED, true, DISK_EV_OPEN},
	{"vbd3", NULL, XENBUS_CLOSED, false, DISK_EV_OVER},
};

static void test_judge(void **state)
{
	struct config config;

	(void)state;
	config_default(&config);
	config.scripts.n = 2;
	(void)snprintf(config.scripts.word[1], sizeof(config.scripts.word[1]), "block-other");
	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
		struct scan_nodes nodes = {.state = judged[i].state,
			.online = judged[i].online,
			.script = judged[i].script};
		enum disk_event got = scan_judge(&config, judged[i].kind, &nodes);

		if (got != judged[i].event)
			fail_msg("line %zu: %s, not %s", i, disk_event_name(got),
				disk_event_name(judged[i].event));
	}
}

/* One that was given up is no new one; the rest of its life is like any other's. */
static void test_given_up(void **state)
{
	struct scan_nodes nodes = {.state = XENBUS_INITIALISING, .online = true, .given_up = true};
	struct config config;

	(void)state;
	config_default(&config);
	assert_int_equal(scan_judge(&config, "vbd3", &nodes), DISK_EV_OPEN);
	nodes.online = false;
	nodes.state = XENBUS_CLOSING;
	assert_int_equal(scan_judge(&config, "vbd3", &nodes), DISK_EV_CLOSING);
	nodes.state = XENBUS_CLOSED;
	assert_int_equal(scan_judge(&config, "vbd3", &nodes), DISK_EV_OVER);
}

static const struct {
	const char *path;
	enum scan_scope scope;
} scopes[] = {
	{"backend/vbd/5/51712", SCAN_DISK},
	{"backend/vbd/5/51712/state", SCAN_DISK},
	{"backend/vbd/5/51712/online", SCAN_DISK},
	{"backend/vbd/5/51712/script", SCAN_DISK},
	{"/local/domain/3/backend/vbd/5/51712/state", SCAN_DISK},
	{"backend/vbd/5/51712/sectors", SCAN_NOTHING},
	{"backend/vbd/5/51712/worker-status", SCAN_NOTHING},
	{"backend/vbd/5/51712/hotplug-error", SCAN_NOTHING},
	{"backend/vbd/5/51712/state/x", SCAN_NOTHING},
	{"backend/vbd/5/x", SCAN_NOTHING},
	{"backend/vbd/5", SCAN_DOMAIN},
	{"backend/vbd", SCAN_KIND},
	{"backend/vbd/x", SCAN_NOTHING},
	{"backend", SCAN_NOTHING},
	{"", SCAN_NOTHING},
	{"@releaseDomain", SCAN_DEATHS},
	{"@introduceDomain", SCAN_NOTHING},
};

static void test_scope(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		struct vbd_path path = {.domid = 77};
		enum scan_scope got = scan_scope(scopes[i].path, &path);

		if (got != scopes[i].scope)
			fail_msg(
				"'%s': %d, not %d", scopes[i].path, (int)got, (int)scopes[i].scope);
		if (got == SCAN_DISK || got == SCAN_DOMAIN) {
			assert_string_equal(path.kind, "vbd");
			assert_int_equal(path.domid, 5);
		}
	}
}

/* A pid file's name, and back. */
static void test_names(void **state)
{
	static const char *const bad[] = {"", "blkbackd.pid", "claim-file-1-2.lock", "vbd-5-51712",
		"vbd-5-51712.lock", "vbd-5-x.pid", "vbd-5.pid", "-5-51712.pid", "vbd-05-51712.pid",
		"vbd--5-51712x.pid", "vbd-99999-1.pid", "..-5-1.pid", ".pid",
		"vbd-5-51712.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid.pid"};
	struct vbd_path path;
	char name[CHILD_NAME_MAX];

	(void)state;
	assert_true(child_name_parse("vbd-5-51712.pid", &path));
	assert_int_equal(path.devid, 51712);
	child_name(&path, name);
	assert_string_equal(name, "vbd-5-51712");
	assert_true(child_name_parse("a-b-5-51712.pid", &path));
	assert_string_equal(path.kind, "a-b");
	assert_true(child_name_parse("abcdefghijklmno-32751-4294967295.pid", &path));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(child_name_parse(bad[i], &path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
