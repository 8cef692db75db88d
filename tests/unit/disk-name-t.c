/*
 * What an operator may call a disk: every form names the one it should, nothing else is taken for one,
 * and devices have the numbers of vbd-interface(7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/disk_name.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		struct disk_name name;
	} good[] = {
		{"5/51712", {"", 5, 51712}},
		{"0/0", {"", 0, 0}},
		{"5/xvda", {"", 5, 51712}},
		{"5/sdb1", {"", 5, 2065}},
		{"vbd-5-51712", {"vbd", 5, 51712}},
		{"vbd3-5-51712", {"vbd3", 5, 51712}},
		{"my-kind-5-51712", {"my-kind", 5, 51712}},
		{"backend/vbd/5/51712", {"vbd", 5, 51712}},
		{"/local/domain/0/backend/vbd3/32751/268435456", {"vbd3", 32751, 1u << 28}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct disk_name name;

		assert_int_equal(disk_name_parse(good[i].text, &name), 0);
		assert_string_equal(name.kind, good[i].name.kind);
		assert_int_equal(name.domid, good[i].name.domid);
		assert_int_equal(name.devid, good[i].name.devid);
	}
}

static void test_no_disk(void **state)
{
	static const char *const bad[] = {"", "5", "5/", "/5", "5/51712/", "5/51712 ", " 5/51712",
		"05/51712", "5/051712", "-5/51712", "5/-1", "5/0x10", "4294967296/1",
		"5/4294967296", "xvda", "5-51712", "-5-51712", "vbd-5-", "vbd-5-xvda", "vbd--51712",
		"VBD-5-51712", "vbd/5/51712", "backend/vbd/5/xvda", "backend/vbd/5",
		"backend/vbd/5/51712/state", "backend//5/51712", "/backend/vbd/5/51712",
		"/local/domain/x/backend/vbd/5/51712", "/local/domain/0/vbd/5/51712",
		"/local/domain/0/5/51712", "../5/51712", "a-very-long-kind-indeed-5-51712"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct disk_name name;

		if (disk_name_parse(bad[i], &name) == 0)
			fail_msg("'%s' is taken for a disk", bad[i]);
	}
}

/* Name and number are each other's. */
static void test_devices(void **state)
{
	static const struct {
		const char *text;
		uint32_t devid;
	} known[] = {
		{"xvda", 202 << 8},
		{"xvda1", 202 << 8 | 1},
		{"xvda15", 202 << 8 | 15},
		{"xvda16", 1 << 28 | 16},
		{"xvdp", 202 << 8 | 15 << 4},
		{"xvdq", 1 << 28 | 16 << 8},
		{"xvdz", 1 << 28 | 25 << 8},
		{"xvdaa", 1 << 28 | 26 << 8},
		{"xvdaz255", 1 << 28 | 51 << 8 | 255},
		{"xvdzz", 1 << 28 | 701 << 8},
		{"xvdaaa", 1 << 28 | 702 << 8},
		{"xvdbgqcv", 1 << 28 | 0xfffff << 8},
		{"sda", 8 << 8},
		{"sdp15", 8 << 8 | 15 << 4 | 15},
		{"hda", 3 << 8},
		{"hdb63", 3 << 8 | 1 << 6 | 63},
		{"hdc", 22 << 8},
		{"hdd1", 22 << 8 | 1 << 6 | 1},
		{"12345", 12345},
		{"0", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		char name[DEVICE_NAME_MAX];
		uint32_t devid = UINT32_MAX;

		assert_int_equal(device_parse(known[i].text, &devid), 0);
		assert_int_equal(devid, known[i].devid);
		device_name(devid, name);
		assert_string_equal(name, known[i].text);
	}
}

static void test_no_device(void **state)
{
	static const char *const bad[] = {"", "xvd", "xvd1", "xvdA", "xvda0", "xvda01", "xvda256",
		"xvdbgqcw", "xvdzzzzz", "sdq", "sda16", "hde", "hda64", "vda", "a", "xvda1 ",
		"xvda1p1", "xvda-1", "4294967296"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint32_t devid;

		if (device_parse(bad[i], &devid) == 0)
			fail_msg("'%s' is taken for a device", bad[i]);
	}
}

/* Whatever the number: what is shown means it. */
static void test_every_name_means_its_number(void **state)
{
	static const uint32_t first[] = {0, 3 << 8, 8 << 8, 22 << 8, 202 << 8, 1 << 28,
		(1 << 28) + (1 << 20), 1 << 29, UINT32_MAX - 5000};

	(void)state;
	for (size_t i = 0; i < COUNT(first); i++) {
		for (uint32_t n = 0; n < 5000; n++) {
			char name[DEVICE_NAME_MAX];
			uint32_t devid;

			device_name(first[i] + n, name);
			assert_int_equal(device_parse(name, &devid), 0);
			assert_int_equal(devid, first[i] + n);
		}
	}
}

static void test_matching(void **state)
{
	const struct disk_name vbd = {"vbd", 5, 51712}, vbd3 = {"vbd3", 5, 51712},
			       any = {"", 5, 51712}, other = {"", 6, 51712};

	(void)state;
	assert_true(disk_name_matches(&any, &vbd));
	assert_true(disk_name_matches(&any, &vbd3));
	assert_true(disk_name_matches(&vbd, &vbd));
	assert_false(disk_name_matches(&vbd, &vbd3));
	assert_false(disk_name_matches(&other, &vbd));
	assert_true(disk_name_compare(&vbd, &vbd3) < 0);
	assert_true(disk_name_compare(&other, &vbd3) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_no_disk),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_no_device),
		cmocka_unit_test(test_every_name_means_its_number),
		cmocka_unit_test(test_matching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
