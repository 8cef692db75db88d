/* Names of nodes: what is a disk's directory, what is a guest's frontend, what fits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <xen/io/xs_wire.h>

#include "xenstore/path.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *path;
	struct vbd_path vbd;
} good[] = {
	{"backend/vbd/5/51712", {"vbd", 5, 51712, false, 0}},
	{"backend/vbd3/0/0", {"vbd3", 0, 0, false, 0}},
	{"backend/a-kind_of-0123/32751/4294967295",
		{"a-kind_of-0123", 32751, UINT32_MAX, false, 0}},
	{"backend/123456789012345/1/2", {"123456789012345", 1, 2, false, 0}},
	{"/local/domain/0/backend/vbd/5/51712", {"vbd", 5, 51712, true, 0}},
	{"/local/domain/32751/backend/vbd/5/51712", {"vbd", 5, 51712, true, 32751}},
};

static const char *const bad[] = {"", "/", "backend", "backend/", "backend/vbd", "backend/vbd/5",
	"backend/vbd/5/", "backend/vbd/5/51712/", "backend/vbd/5/51712//", "backend/vbd/5//51712",
	"backend//5/51712", "backend/vbd//51712", "/backend/vbd/5/51712", "//backend/vbd/5/51712",
	"Backend/vbd/5/51712", "backend/VBD/5/51712", "backend/vb.d/5/51712",
	"backend/vb d/5/51712", "backend/../5/51712", "backend/vbd@/5/51712",
	"backend/vbd/32752/51712", "backend/vbd/5/4294967296", "backend/vbd/05/51712",
	"backend/vbd/5/051712", "backend/vbd/-5/51712", "backend/vbd/5/-1", "backend/vbd/+5/51712",
	"backend/vbd/5/51712 ", " backend/vbd/5/51712", "backend/vbd/5/51712\n",
	"backend/vbd/5x/51712", "backend/vbd/5/51712x", "backend/vbd/0x5/51712",
	"backend/vbd/5/0xca00", "backend/vbd/a/51712", "backend/vbd/5/xvda",
	"backend/vbd/00000000005/51712", "/local/domain/0/backend/vbd/5",
	"/local/domain/backend/vbd/5/51712", "/local/domain//backend/vbd/5/51712",
	"/local/domain/32752/backend/vbd/5/51712", "/local/domain/00/backend/vbd/5/51712",
	"local/domain/0/backend/vbd/5/51712", "/local/domain/0//backend/vbd/5/51712",
	"/local/domain/0backend/vbd/5/51712", "/local/domain/0/device/vbd/51712"};

static void test_parse(void **state)
{
	struct vbd_path vbd;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		memset(&vbd, 0xaa, sizeof(vbd));
		assert_int_equal(vbd_path_parse(good[i].path, &vbd), 0);
		assert_true(vbd_path_same(&vbd, &good[i].vbd));
		assert_int_equal(vbd.absolute, good[i].vbd.absolute);
		assert_int_equal(vbd.backend_domid, good[i].vbd.backend_domid);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (vbd_path_parse(bad[i], &vbd) != -EINVAL)
			fail_msg("not refused: \"%s\"", bad[i]);
	}
	assert_int_equal(vbd_path_parse("backend/1234567890123456/1/2", &vbd), -ENAMETOOLONG);
	assert_int_equal(vbd_path_parse("backend/vbd/5/51712/state", &vbd), -EINVAL);
}

/* A failure leaves the caller's copy alone. */
static void test_parse_failure_writes_nothing(void **state)
{
	struct vbd_path vbd = {"kept", 1, 2, true, 3};
	const char *rest = "kept";

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(vbd_path_parse(bad[i], &vbd), -EINVAL);
		if (vbd_path_parse_below(bad[i], &vbd, &rest) != -EINVAL)
			fail_msg("not refused: \"%s\"", bad[i]);
	}
	assert_string_equal(vbd.kind, "kept");
	assert_int_equal(vbd.devid, 2);
	assert_string_equal(rest, "kept");
}

static void test_parse_below(void **state)
{
	struct vbd_path vbd;
	const char *rest;

	(void)state;
	assert_int_equal(vbd_path_parse_below("backend/vbd/5/51712", &vbd, &rest), 0);
	assert_string_equal(rest, "");
	assert_int_equal(vbd_path_parse_below("backend/vbd/5/51712/state", &vbd, &rest), 0);
	assert_string_equal(rest, "state");
	assert_int_equal(
		vbd_path_parse_below("/local/domain/7/backend/vbd/5/51712/a/B_9", &vbd, &rest), 0);
	assert_string_equal(rest, "a/B_9");
	assert_int_equal(vbd.backend_domid, 7);
	assert_int_equal(vbd_path_parse_below("backend/vbd/5/51712/a//b", &vbd, &rest), -EINVAL);
	assert_int_equal(vbd_path_parse_below("backend/vbd/5/51712/a/", &vbd, &rest), -EINVAL);
	assert_int_equal(vbd_path_parse_below("backend/vbd/5/51712/a.b", &vbd, &rest), -EINVAL);
}

/* Fills `buf` with `head`, then 'a' up to `len`. */
static void long_path(char *buf, const char *head, size_t len)
{
	memset(buf, 'a', len);
	buf[len] = '\0';
	memcpy(buf, head, strlen(head));
}

static void test_length_limits(void **state)
{
	char path[XENSTORE_ABS_PATH_MAX + 2];
	char out[XENSTORE_ABS_PATH_MAX + 100];
	struct vbd_path vbd;
	const char *rest;

	(void)state;
	long_path(path, "backend/vbd/5/51712/", XENSTORE_REL_PATH_MAX);
	assert_int_equal(vbd_path_parse_below(path, &vbd, &rest), 0);
	long_path(path, "backend/vbd/5/51712/", XENSTORE_REL_PATH_MAX + 1);
	assert_int_equal(vbd_path_parse_below(path, &vbd, &rest), -ENAMETOOLONG);
	long_path(path, "/local/domain/0/backend/vbd/5/51712/", XENSTORE_ABS_PATH_MAX);
	assert_int_equal(vbd_path_parse_below(path, &vbd, &rest), 0);
	long_path(path, "/local/domain/0/backend/vbd/5/51712/", XENSTORE_ABS_PATH_MAX + 1);
	assert_int_equal(vbd_path_parse_below(path, &vbd, &rest), -ENAMETOOLONG);

	long_path(path, "/local/domain/5/", XENSTORE_ABS_PATH_MAX);
	assert_true(path_frontend_ok(path, 5));
	long_path(path, "/local/domain/5/", XENSTORE_ABS_PATH_MAX + 1);
	assert_false(path_frontend_ok(path, 5));

	long_path(path, "/a", XENSTORE_ABS_PATH_MAX - 2);
	assert_int_equal(path_join(out, sizeof(out), path, "b"), 0);
	assert_int_equal(path_join(out, sizeof(out), path, "bb"), -ENAMETOOLONG);
	long_path(path, "a", XENSTORE_REL_PATH_MAX - 2);
	assert_int_equal(path_join(out, sizeof(out), path, "b"), 0);
	assert_int_equal(path_join(out, sizeof(out), path, "bb"), -ENAMETOOLONG);
}

static void test_relative_round_trip(void **state)
{
	char buf[VBD_PATH_MAX];
	struct vbd_path vbd;

	(void)state;
	assert_int_equal(vbd_path_parse("/local/domain/9/backend/vbd3/32751/4294967295", &vbd), 0);
	vbd_path_relative(&vbd, buf);
	assert_string_equal(buf, "backend/vbd3/32751/4294967295");
	assert_int_equal(vbd_path_parse("backend/123456789012345/32751/4294967295", &vbd), 0);
	vbd_path_relative(&vbd, buf);
	assert_string_equal(buf, "backend/123456789012345/32751/4294967295");
}

static void test_same(void **state)
{
	const struct vbd_path a = {"vbd", 5, 51712, false, 0};
	const struct vbd_path also_a = {"vbd", 5, 51712, true, 3};
	const struct vbd_path kind = {"vbd3", 5, 51712, false, 0};
	const struct vbd_path domid = {"vbd", 6, 51712, false, 0};
	const struct vbd_path devid = {"vbd", 5, 51728, false, 0};

	(void)state;
	assert_true(vbd_path_same(&a, &also_a));
	assert_false(vbd_path_same(&a, &kind));
	assert_false(vbd_path_same(&a, &domid));
	assert_false(vbd_path_same(&a, &devid));
}

static void test_join(void **state)
{
	static const struct {
		const char *dir, *name;
	} refused[] = {{"", "b"}, {"a", ""}, {"a/", "b"}, {"a", "/b"}, {"a", "b/"}, {"a//b", "c"},
		{"a", "b//c"}, {"/", "b"}, {"//a", "b"}, {"a", "b c"}, {"a", "b\n"}, {"a", ".."},
		{"a b", "c"}, {"a", "caf\xc3\xa9"}};
	char buf[8] = "untouch";

	(void)state;
	assert_int_equal(path_join(buf, sizeof(buf), "/a", "b/c"), 0);
	assert_string_equal(buf, "/a/b/c");
	assert_int_equal(path_join(buf, sizeof(buf), "abc", "def"), 0);
	assert_string_equal(buf, "abc/def");
	assert_int_equal(path_join(buf, sizeof(buf), "abc", "defg"), -ENAMETOOLONG);
	assert_string_equal(buf, "");
	assert_int_equal(path_join(buf, 0, "a", "b"), -ENAMETOOLONG);
	for (size_t i = 0; i < COUNT(refused); i++) {
		buf[0] = 'x';
		if (path_join(buf, sizeof(buf), refused[i].dir, refused[i].name) != -EINVAL)
			fail_msg("not refused: \"%s\" + \"%s\"", refused[i].dir, refused[i].name);
		assert_string_equal(buf, "");
	}
}

static void test_frontend(void **state)
{
	static const char *const refused[] = {"", "/", "/local/domain/5", "/local/domain/5/",
		"/local/domain/5//device", "/local/domain/5/device/", "/local/domain/5/device//vbd",
		"/local/domain/6/device/vbd/51712", "/local/domain/50/device/vbd/51712",
		"/local/domain/05/device/vbd/51712", "/local/domain/5x/device",
		"/local/domain//device", "device/vbd/51712", "local/domain/5/device",
		"/Local/domain/5/device", "/local/domain/5/../6/device",
		"/local/domain/5/device vbd", "//local/domain/5/device", "/vm/5/device",
		"/local/domain/4294967301/device"};

	(void)state;
	assert_true(path_frontend_ok("/local/domain/5/device/vbd/51712", 5));
	assert_true(path_frontend_ok("/local/domain/0/device/vbd/51712", 0));
	assert_true(path_frontend_ok("/local/domain/32751/x", 32751));
	assert_false(path_frontend_ok("/local/domain/32752/x", 32752));
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (path_frontend_ok(refused[i], 5))
			fail_msg("accepted \"%s\"", refused[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_failure_writes_nothing),
		cmocka_unit_test(test_parse_below),
		cmocka_unit_test(test_length_limits),
		cmocka_unit_test(test_relative_round_trip),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_frontend),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
