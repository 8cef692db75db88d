/*
 * Every recorded generation of QEMU in every cache mode: the arguments, or a refusal (B30, B31, B32).
 * Nothing is written that the texts do not have, and what stands for a mode is safer than it.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/drive_args.h"
#include "tests/bridge/texts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The arguments with a blank between them; NULL: refused. Modes in the order of enum cache_mode. */
struct row {
	const char *help, *devices, *qmp;
	enum drive_style style;
	struct {
		const char *words;
		enum cache_mode mode;
	} want[CACHE_MODE_COUNT];
};

#define DRIVE(cache) "-drive file=/a.img,if=ide,format=raw,cache=" cache
#define DRIVE_BY_DEVICE(cache)                                                                     \
	"-drive file=/a.img,if=none,id=d0,format=raw,cache=" cache                                 \
	" -device ide-hd,drive=d0,write-cache=off"
#define NODE(direct, no_flush)                                                                     \
	"-blockdev driver=raw,node-name=d0,cache.direct=" direct ",cache.no-flush=" no_flush       \
	",file.driver=file,file.filename=/a.img"
#define BLOCKDEV(direct, no_flush, write_cache)                                                    \
	NODE(direct, no_flush) " -device ide-hd,drive=d0,write-cache=" write_cache

#define REFUSED                                                                                    \
	{                                                                                          \
		NULL, CACHE_MODE_COUNT                                                             \
	}

#define ALL_DRIVE                                                                                  \
	{                                                                                          \
		{DRIVE("none"), CACHE_NONE}, {DRIVE("directsync"), CACHE_DIRECTSYNC},              \
			{DRIVE("writethrough"), CACHE_WRITETHROUGH},                               \
			{DRIVE("writeback"), CACHE_WRITEBACK}, {DRIVE("unsafe"), CACHE_UNSAFE},    \
	}
#define ALL_BLOCKDEV                                                                               \
	{                                                                                          \
		{BLOCKDEV("on", "off", "on"), CACHE_NONE},                                         \
			{BLOCKDEV("on", "off", "off"), CACHE_DIRECTSYNC},                          \
			{BLOCKDEV("off", "off", "off"), CACHE_WRITETHROUGH},                       \
			{BLOCKDEV("off", "off", "on"), CACHE_WRITEBACK},                           \
			{BLOCKDEV("off", "on", "on"), CACHE_UNSAFE},                               \
	}
#define NOTHING                                                                                    \
	{                                                                                          \
		REFUSED, REFUSED, REFUSED, REFUSED, REFUSED                                        \
	}

static const struct row rows[] = {
	/* Xen's own, whose disks come from xenstore: nothing can be said of them here. */
	{"xen-3.3-ioemu", NULL, NULL, DRIVE_STYLE_ANY, NOTHING},
	/* The page cache, and no word about it. */
	{"qemu-2007-hda", NULL, NULL, DRIVE_STYLE_ANY,
		{REFUSED, REFUSED, REFUSED, {"-hda /a.img", CACHE_WRITEBACK},
			{"-hda /a.img", CACHE_WRITEBACK}}},
	{"qemu-2007-hda", NULL, NULL, DRIVE_STYLE_DRIVE, NOTHING},
	/* Nothing writes through. */
	{"qemu-2008-on-off", NULL, NULL, DRIVE_STYLE_ANY,
		{{DRIVE("off"), CACHE_NONE}, REFUSED, REFUSED, {DRIVE("on"), CACHE_WRITEBACK},
			{DRIVE("on"), CACHE_WRITEBACK}}},
	{"qemu-0.11", NULL, NULL, DRIVE_STYLE_ANY,
		{{DRIVE("none"), CACHE_NONE}, REFUSED, {DRIVE("writethrough"), CACHE_WRITETHROUGH},
			{DRIVE("writeback"), CACHE_WRITEBACK},
			{DRIVE("writeback"), CACHE_WRITEBACK}}},
	/* unsafe, but no directsync: that none is there does not make it durable. */
	{"qemu-kvm-0.14", NULL, NULL, DRIVE_STYLE_ANY,
		{{DRIVE("none"), CACHE_NONE}, REFUSED, {DRIVE("writethrough"), CACHE_WRITETHROUGH},
			{DRIVE("writeback"), CACHE_WRITEBACK}, {DRIVE("unsafe"), CACHE_UNSAFE}}},
	{"qemu-kvm-0.14", NULL, NULL, DRIVE_STYLE_BLOCKDEV, NOTHING},
	{"qemu-2.3", NULL, NULL, DRIVE_STYLE_ANY, ALL_DRIVE},
	{"qemu-2.3", NULL, NULL, DRIVE_STYLE_BLOCKDEV, NOTHING},
	{"qemu-2.9", NULL, NULL, DRIVE_STYLE_ANY, ALL_DRIVE},
	/* -blockdev is there, but of its devices we know nothing. */
	{"qemu-2.9", NULL, NULL, DRIVE_STYLE_BLOCKDEV, NOTHING},
	{"qemu-7.2", "qemu-7.2.devices", "qemu-7.2.qmp", DRIVE_STYLE_ANY, ALL_DRIVE},
	{"qemu-7.2", "qemu-7.2.devices", "qemu-7.2.qmp", DRIVE_STYLE_BLOCKDEV, ALL_BLOCKDEV},
	{"qemu-7.2", "qemu-7.2.devices", NULL, DRIVE_STYLE_BLOCKDEV, ALL_BLOCKDEV},
	{"qemu-7.2", "qemu-7.2.devices", "qemu-7.2-xen.qmp", DRIVE_STYLE_BLOCKDEV, ALL_BLOCKDEV},
	{"qemu-8.1", NULL, NULL, DRIVE_STYLE_ANY, ALL_DRIVE},
};

static struct drive_request request_for(enum cache_mode mode, enum drive_style style)
{
	return (struct drive_request){.path = "/a.img", .id = "d0", .mode = mode, .style = style};
}

static void expect(const struct dialect *dialect, const struct drive_request *request,
	const char *words, enum cache_mode mode)
{
	struct drive_args args = {0};
	struct problem problem = {""};
	char text[1024] = "";
	int r = drive_args_make(dialect, request, &args, &problem);

	if (words == NULL) {
		assert_int_equal(r, -ENOTSUP);
		assert_non_null(strstr(problem.text, "this QEMU cannot"));
		return;
	}
	if (r < 0)
		fail_msg("refused: %s", problem.text);
	for (unsigned i = 0; i < args.nr; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			i ? " " : "", args.words[i]);
	assert_string_equal(text, words);
	assert_int_equal(args.mode, mode);
	drive_args_fini(&args);
}

static void test_generations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dialect dialect;

		texts_read(rows[i].help, rows[i].devices, rows[i].qmp, &dialect);
		for (unsigned m = 0; m < CACHE_MODE_COUNT; m++) {
			struct drive_request request =
				request_for((enum cache_mode)m, rows[i].style);

			print_message("# %s, style %d, %s\n", rows[i].help, (int)rows[i].style,
				cache_mode_name((enum cache_mode)m));
			expect(&dialect, &request, rows[i].want[m].words, rows[i].want[m].mode);
		}
	}
}

/* Of all recorded texts of its generation at once: what is written is what was looked for, and that alone. */
static void test_only_what_is_there(void **state)
{
	struct dialect all, one;

	(void)state;
	texts_read("qemu-7.2", "qemu-7.2.devices", "qemu-7.2.qmp", &all);
	/* Take away one thing after the other, and see that it is not written any more. */
	for (unsigned gone = DIALECT_END + 1; gone < DIALECT_COUNT; gone++) {
		const char *name = dialect_name((enum dialect_option)gone);
		const char *value = dialect_value((enum dialect_option)gone);
		char option[64];

		one = all;
		one.has[gone] = false;
		(void)snprintf(option, sizeof(option), "%s%s%s", name, *value ? "=" : "", value);
		for (unsigned n = 0; n < CACHE_MODE_COUNT * 2 * 8; n++) {
			struct drive_request request =
				request_for((enum cache_mode)(n % CACHE_MODE_COUNT),
					n / CACHE_MODE_COUNT % 2 ? DRIVE_STYLE_DRIVE
								 : DRIVE_STYLE_BLOCKDEV);
			unsigned extras = n / (CACHE_MODE_COUNT * 2);
			struct drive_args args = {0};
			struct problem problem;

			request.discard = extras & 1;
			request.lock = extras & 2;
			request.is_block = extras & 4;
			if (drive_args_make(&one, &request, &args, &problem) < 0)
				continue;
			/* Each place has words of its own. */
			for (unsigned w = 0; w + 1 < args.nr; w += 2) {
				const char *place = dialect_place((enum dialect_option)gone);
				const char *driver = args.words[w + 1];
				bool here = strcmp(args.words[w], place) == 0 ||
					    (strcmp(args.words[w], "-device") == 0 &&
						    strncmp(driver, place, strlen(place)) == 0 &&
						    *place);

				if (*place == '\0')
					assert_string_not_equal(args.words[w], name);
				else if (here && strchr(option, '='))
					assert_null(strstr(driver, option));
			}
			drive_args_fini(&args);
		}
	}
}

/*
 * directsync as cache=none with a device that has no write cache: both are looked for. A QEMU that has the
 * one and not the other, as those between 0.12 and 2.6, gets neither.
 */
static void test_capability_of_its_own(void **state)
{
	struct drive_request request = request_for(CACHE_DIRECTSYNC, DRIVE_STYLE_DRIVE);
	struct dialect dialect;

	(void)state;
	texts_read("qemu-kvm-0.14", NULL, NULL, &dialect);
	assert_true(dialect.has[DIALECT_DRIVE_CACHE_NONE] && dialect.has[DIALECT_DRIVE_ID] &&
		    dialect.has[DIALECT_DEVICE]);
	expect(&dialect, &request, NULL, CACHE_MODE_COUNT);
	/* Another device that has the property says nothing of ours. */
	dialect.has[DIALECT_SCSI_DRIVE] = dialect.has[DIALECT_SCSI_WRITE_CACHE_OFF] = true;
	dialect.has[DIALECT_IDE_DRIVE] = dialect.has[DIALECT_IDE_WRITE_CACHE_ON] = true;
	expect(&dialect, &request, NULL, CACHE_MODE_COUNT);
	dialect.has[DIALECT_IDE_WRITE_CACHE_OFF] = true;
	expect(&dialect, &request, DRIVE_BY_DEVICE("none"), CACHE_DIRECTSYNC);
}

/* Whatever stands for a mode is as durable, and as direct, as the mode. */
static void test_safer(void **state)
{
	(void)state;
	for (unsigned w = 0; w < CACHE_MODE_COUNT; w++) {
		for (unsigned m = 0; m < CACHE_MODE_COUNT; m++) {
			enum cache_mode wanted = (enum cache_mode)w, mode = (enum cache_mode)m;
			bool safe = (cache_is_direct(mode) || !cache_is_direct(wanted)) &&
				    (cache_writes_through(mode) || !cache_writes_through(wanted)) &&
				    (cache_flushes(mode) || !cache_flushes(wanted));

			if (recipe_distance(wanted, mode) != UINT_MAX)
				assert_true(safe);
			assert_int_equal(recipe_distance(wanted, mode) == 0, wanted == mode);
		}
	}
}

/* Whatever subset of options a QEMU has: what is written for a mode is that mode or a safer one. */
static void test_any_subset(void **state)
{
	struct dialect all;

	(void)state;
	texts_read("qemu-7.2", "qemu-7.2.devices", "qemu-7.2.qmp", &all);
	for (unsigned n = 0, dice = 1; n < 20000; n++) {
		struct drive_request request =
			request_for((enum cache_mode)(n % CACHE_MODE_COUNT), DRIVE_STYLE_ANY);
		struct dialect some = all;
		struct drive_args args = {0};
		struct problem problem;

		for (unsigned i = 0; i < DIALECT_COUNT; i++) {
			dice = dice * 1103515245 + 12345;
			some.has[i] = all.has[i] && (dice >> 16) % 3;
		}
		if (drive_args_make(&some, &request, &args, &problem) < 0)
			continue;
		assert_true(recipe_distance(request.mode, args.mode) != UINT_MAX);
		drive_args_fini(&args);
	}
}

/* The schema knows what a build lacks, though its help has it: io_uring in Debian's QEMU for Xen. */
static void test_schema_decides(void **state)
{
	struct dialect dialect;

	(void)state;
	texts_read("qemu-7.2", NULL, NULL, &dialect);
	assert_true(dialect.has[DIALECT_AIO_IO_URING]);
	assert_false(dialect.has[DIALECT_FILE_LOCKING]);
	texts_read("qemu-7.2", NULL, "qemu-7.2.qmp", &dialect);
	assert_true(dialect.has[DIALECT_AIO_IO_URING] && dialect.has[DIALECT_AIO_NATIVE]);
	assert_true(dialect.has[DIALECT_FILE_LOCKING] && dialect.has[DIALECT_BLOCKDEV_HOST_DEVICE]);
	texts_read("qemu-7.2", NULL, "qemu-7.2-xen.qmp", &dialect);
	assert_false(dialect.has[DIALECT_AIO_IO_URING]);
	assert_true(dialect.has[DIALECT_AIO_NATIVE]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_only_what_is_there),
		cmocka_unit_test(test_capability_of_its_own),
		cmocka_unit_test(test_safer),
		cmocka_unit_test(test_any_subset),
		cmocka_unit_test(test_schema_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
