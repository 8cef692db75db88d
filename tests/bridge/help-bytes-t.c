/*
 * A text of a QEMU may be anything: cut anywhere, with bytes changed, or made up. Reading it ends, and what is
 * found is never more than the text has (B30).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/dialect.h"
#include "tests/bridge/texts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What it has, as a number, or an error. */
static int nr_found(const char *help, const char *devices, const char *qmp)
{
	struct dialect_texts texts = {help, devices, qmp};
	struct dialect dialect;
	struct problem problem;
	int n = 0, r = dialect_read(&texts, &dialect, &problem);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < DIALECT_COUNT; i++)
		n += dialect.has[i];
	return n;
}

static void test_made_up(void **state)
{
	static const struct {
		const char *help;
		int found; /* or an error */
	} rows[] = {
		{"", -EPROTO},
		{"\n\n\n", -EPROTO},
		{"Usage: true [ignored arguments]\n", -EPROTO},
		{"  -drive [file=file]\n", -EPROTO},
		{"-drivel [file=file][,cache=none]\n", -EPROTO},
		{"--drive [file=file][,cache=none]\n", -EPROTO},
		{"-drive", 1},
		{"-drive\n", 1},
		{"-drive cache=", 1},
		{"-drive [,cache=none]", 2},
		{"-drive [,cache=none]\r\n", 2},
		{"-drive [,cache=|none||]", 2},
		{"-drive [,cache=nonesuch|xnone]", 1},
		{"-drive [,cache=none", 2},
		{"-drive [,xcache=none][,cache.x=none][,l2-cache=none]", 1},
		{"-drive [,cache=volatile]", 2},
		/* What another option has is not -drive's. */
		{"-drive [,format=f]\n-virtfs [,cache=none][,readonly=on]\n", 2},
		{"-drive [,format=f]\n\n[,cache=none]\n", 2},
		{"-fda/-fdb file\n-blockdev [,cache=none]\n", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("# %zu\n", i);
		assert_int_equal(nr_found(rows[i].help, NULL, NULL), rows[i].found);
	}
}

static void test_devices(void **state)
{
	static const struct {
		const char *devices;
		int found;
	} rows[] = {
		{"", 0},
		{"ide-hd options:\n  write-cache=<OnOffAuto> - on/off/auto\n", 2},
		/* Before QEMU 4.0, each line had the device. */
		{"ide-hd.drive=str\nide-hd.write-cache=OnOffAuto\n", 3},
		{"ide-hd options:\n  xwrite-cache=<OnOffAuto>\n  write-cache-x=<OnOffAuto>\n", 0},
		{"ide-hd-x options:\n  write-cache=<OnOffAuto>\n", 0},
		{"scsi-hd options:\n  drive=<str>\nqemu: what?\n  write-cache=<OnOffAuto>\n", 1},
		{"qemu: -device ide-hd,help: 'ide-hd' is not a valid device model name\n", 0},
		{"  write-cache=<OnOffAuto>\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("# %zu\n", i);
		assert_int_equal(nr_found(NULL, rows[i].devices, NULL), rows[i].found);
	}
}

static void test_schema(void **state)
{
	static const char *const nonsense[] = {"", "\n", "{", "[]", "null", "{\"return\": 1}",
		"{\"return\": [1, null, {}, [], \"blockdev-add\"]}",
		"{\"return\": [{\"name\": \"blockdev-add\"}]}",
		"{\"return\": [{\"name\": \"blockdev-add\", \"arg-type\": \"blockdev-add\"}]}",
		"{\"return\": [{\"name\": \"blockdev-add\", \"arg-type\": {}}]}",
		"{\"return\": [{\"name\": \"blockdev-add\", \"arg-type\": \"1\"}, {\"name\": \"1\", \"variants\": {\"case\": \"file\"}}]}",
		"{\"return\": [{\"name\": \"blockdev-add\", \"arg-type\": \"1\"}, {\"name\": \"1\", \"members\": [[], {\"name\": 7}]}]}"};
	char deep[4096];

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++)
		assert_int_equal(nr_found(NULL, NULL, nonsense[i]), 0);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(nr_found(NULL, NULL, deep), 0);
	memset(deep, '{', 9);
	assert_int_equal(nr_found(NULL, NULL, deep), 0);
}

/* Cut at every byte: less and less is there. */
static void test_cut(void **state)
{
	char *help = texts_load("qemu-7.2"), *devices = texts_load("qemu-7.2.devices"),
	     *qmp = texts_load("qemu-7.2.qmp");
	int all = nr_found(help, devices, qmp);

	(void)state;
	assert_true(all > 30);
	for (size_t len = strlen(help); len-- > 0; help[len] = '\0')
		assert_true(nr_found(help, NULL, NULL) <= all);
	for (size_t len = strlen(devices); len-- > 0; devices[len] = '\0')
		assert_true(nr_found(NULL, devices, NULL) <= 9);
	for (size_t len = strlen(qmp); len-- > 0; qmp[len] = '\0')
		assert_true(nr_found(NULL, NULL, qmp) <= 11);
	free(help);
	free(devices);
	free(qmp);
}

/* Bytes changed: it ends, whatever it finds. */
static void test_changed(void **state)
{
	char *texts[] = {
		texts_load("qemu-7.2"), texts_load("qemu-7.2.devices"), texts_load("qemu-7.2.qmp")};
	static const char bytes[] = "\n-/=[]|, {}\"\x80x";
	uint32_t dice = 1;

	(void)state;
	for (unsigned n = 0; n < 3000; n++) {
		char *text = texts[n % 3];
		size_t at[4];
		char was[4];

		for (unsigned i = 0; i < 4; i++) {
			dice = dice * 1103515245 + 12345;
			at[i] = (dice >> 8) % strlen(text);
			was[i] = text[at[i]];
			text[at[i]] = bytes[(dice >> 16) % (sizeof(bytes) - 1)];
		}
		(void)nr_found(texts[0], texts[1], texts[2]);
		for (unsigned i = 4; i-- > 0;)
			text[at[i]] = was[i];
	}
	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_up),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
