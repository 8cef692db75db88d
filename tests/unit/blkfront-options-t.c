/*
 * The names and numbers of virtual disks by xen-vbd-interface(7), and the options of the programs that
 * play a guest.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "frontend-shim/blkfront/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void names_have_their_numbers(void **state)
{
	static const struct {
		const char *name;
		unsigned number;
	} table[] = {
		{"xvda", 51712},
		{"xvda1", 51713},
		{"xvdb", 51728},
		{"xvdp15", 202 << 8 | 255},
		{"xvda16", 1 << 28 | 16},
		{"xvdq", 1 << 28 | 16 << 8},
		{"xvdz", 1 << 28 | 25 << 8},
		{"xvdaa", 1 << 28 | 26 << 8},
		{"xvdba7", 1 << 28 | 52 << 8 | 7},
		{"hda", 768},
		{"hda1", 769},
		{"hdb", 832},
		{"hdc", 5632},
		{"hdd", 5696},
		{"sda", 2048},
		{"sdb3", 2067},
		{"51712", 51712},
		{"0xca00", 51712},
		{"0", 0},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(table); i++) {
		unsigned number = ~0u;

		assert_int_equal(blkfront_vdev_parse(table[i].name, &number), 0);
		assert_int_equal(number, table[i].number);
	}
}

static void other_names_are_refused(void **state)
{
	static const char *const names[] = {"", "x", "xvd", "xvd1", "xvda0", "xvda01", "xvda256",
		"xvda1x", "xvdA", "hde", "hda64", "sdq", "sda16", "-1", " 1", "1 ", "51712x",
		"2147483648", "99999999999999999999", "xvdaaaaaa", "vda"};

	(void)state;
	for (unsigned i = 0; i < COUNT(names); i++) {
		unsigned number = 42;

		assert_int_equal(blkfront_vdev_parse(names[i], &number), -EINVAL);
		assert_int_equal(number, 42);
	}
}

static void options_are_set(void **state)
{
	struct blkfront_options o;

	(void)state;
	blkfront_options_init(&o);
	assert_string_equal(o.frontend, "device/vbd/51712");
	assert_int_equal(o.protocol, BLKFRONT_PROTOCOL_64);
	assert_true(o.persistent);
	assert_int_equal(blkfront_options_set(&o, "vdev", "xvdb"), 0);
	assert_string_equal(o.frontend, "device/vbd/51728");
	assert_int_equal(blkfront_options_set(&o, "frontend", "device/vbd/768"), 0);
	assert_string_equal(o.frontend, "device/vbd/768");
	assert_int_equal(blkfront_options_set(&o, "protocol", "none"), 0);
	assert_int_equal(o.protocol, BLKFRONT_PROTOCOL_ABSENT);
	assert_int_equal(blkfront_options_set(&o, "protocol", "x86_32-abi"), 0);
	assert_int_equal(o.protocol, BLKFRONT_PROTOCOL_32);
	assert_int_equal(blkfront_options_set(&o, "persistent", "0"), 0);
	assert_false(o.persistent);
	assert_int_equal(blkfront_options_set(&o, "grant-per-request", "1"), 0);
	assert_true(o.grant_per_request);
	assert_int_equal(blkfront_options_set(&o, "pages", "64"), 0);
	assert_int_equal(o.nr_pages, 64);
	assert_int_equal(o.ring_order, 0);
	assert_int_equal(blkfront_options_set(&o, "ring-order", "4"), 0);
	assert_int_equal(o.ring_order, 4);
	assert_int_equal(o.nr_queues, 1);
	assert_int_equal(blkfront_options_set(&o, "queues", "8"), 0);
	assert_int_equal(o.nr_queues, 8);
	assert_int_equal(blkfront_options_set(&o, "first-sect", "7"), 0);
	assert_int_equal(o.first_sect, 7);
	assert_int_equal(blkfront_options_set(&o, "timeout", "5"), 0);
	assert_int_equal(o.timeout_ms, 5000);
}

static void bad_options_change_nothing(void **state)
{
	static const char *const table[][2] = {{"vdev", "vda"}, {"frontend", ""},
		{"protocol", "x86"}, {"persistent", "yes"}, {"persistent", "2"},
		{"grant-per-request", ""}, {"pages", "-1"}, {"first-sect", "8"},
		{"ring-order", "5"}, {"ring-order", "-1"}, {"ring-order", ""}, {"queues", "0"},
		{"queues", "9"}, {"queues", "-1"}, {"timeout", "0"}, {"timeout", "1s"},
		{"frontend",
			"0123456789012345678901234567890123456789012345678901234567890123456789"}};
	struct blkfront_options o, before;

	(void)state;
	blkfront_options_init(&o);
	before = o;
	for (unsigned i = 0; i < COUNT(table); i++)
		assert_int_equal(blkfront_options_set(&o, table[i][0], table[i][1]), -EINVAL);
	assert_int_equal(blkfront_options_set(&o, "color", "1"), -ENOENT);
	assert_memory_equal(&o, &before, sizeof(o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_their_numbers),
		cmocka_unit_test(other_names_are_refused),
		cmocka_unit_test(options_are_set),
		cmocka_unit_test(bad_options_change_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
