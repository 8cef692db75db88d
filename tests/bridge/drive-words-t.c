/*
 * How the arguments are written: names of all kinds, what else may be asked for, and -drive values of other
 * people rewritten (B33).
 */
#include <errno.h>
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
#include "qemu-dm-bridge/dialect/optstr.h"
#include "tests/bridge/texts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct dialect modern, ancient;

static int load(void **state)
{
	(void)state;
	texts_read("qemu-7.2", "qemu-7.2.devices", "qemu-7.2.qmp", &modern);
	texts_read("qemu-2007-hda", NULL, NULL, &ancient);
	return 0;
}

/* What is the name again for QEMU, read back from what was written. */
static void test_names(void **state)
{
	static const struct {
		const char *path, *in_drive;
	} names[] = {
		{"/a.img", "/a.img"},
		{"a.img", "a.img"},
		{"/with, comma,,twice", "/with,, comma,,,,twice"},
		{",", ",,"},
		{"/x,cache=unsafe", "/x,,cache=unsafe"},
		{"/a=b,c=d", "/a=b,,c=d"},
		{"/with blank and 'quotes'", "/with blank and 'quotes'"},
		{"nbd:localhost", "./nbd:localhost"},
		{"json:{}", "./json:{}"},
		{"dir/a:b", "dir/a:b"},
		{"/dev/disk/by-path/pci-0000:00:1f.2", "/dev/disk/by-path/pci-0000:00:1f.2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct drive_request request = {
			.path = names[i].path, .id = "d0", .style = DRIVE_STYLE_DRIVE};
		struct drive_args args;
		struct problem problem;
		char start[128], *back;

		assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
		(void)snprintf(start, sizeof(start), "file=%s,if=ide,", names[i].in_drive);
		assert_memory_equal(args.words[1], start, strlen(start));
		assert_int_equal(optstr_get(args.words[1], "cache", &back), 0);
		assert_string_equal(back, "none");
		free(back);
		drive_args_fini(&args);

		request.style = DRIVE_STYLE_BLOCKDEV;
		assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
		assert_int_equal(optstr_get(args.words[1], "file.filename", &back), 0);
		assert_string_equal(back, names[i].path);
		free(back);
		drive_args_fini(&args);

		request.style = DRIVE_STYLE_HDA;
		request.mode = CACHE_WRITEBACK;
		assert_int_equal(drive_args_make(&ancient, &request, &args, &problem), 0);
		assert_int_equal(args.nr, 2);
		assert_string_equal(args.words[1], names[i].path);
		assert_true(args.guesses_format);
		drive_args_fini(&args);
	}
}

/* Everything that may be asked for, where it is written. */
static void test_extras(void **state)
{
	struct drive_request request = {.path = "/dev/vg/a",
		.id = "d0",
		.mode = CACHE_WRITETHROUGH,
		.style = DRIVE_STYLE_BLOCKDEV,
		.interface = DRIVE_IF_SCSI,
		.is_block = true,
		.read_only = true,
		.lock = true,
		.discard = true};
	struct drive_args args;
	struct problem problem;

	(void)state;
	assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
	assert_int_equal(args.nr, 4);
	assert_string_equal(args.words[1],
		"driver=raw,node-name=d0,read-only=on,cache.direct=off,cache.no-flush=off,discard=unmap,"
		"file.driver=host_device,file.filename=/dev/vg/a,file.locking=on");
	assert_string_equal(args.words[3], "scsi-hd,drive=d0,write-cache=off");
	drive_args_fini(&args);

	request.style = DRIVE_STYLE_DRIVE;
	request.interface = DRIVE_IF_NONE;
	assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
	assert_int_equal(args.nr, 2);
	assert_string_equal(args.words[1],
		"file=/dev/vg/a,if=none,id=d0,format=raw,readonly=on,cache=writethrough,discard=unmap,"
		"file.locking=on");
	drive_args_fini(&args);
	/* Twice is no harm. */
	drive_args_fini(&args);

	/* Without a device of ours nobody turns its write cache off, and -blockdev alone cannot. */
	request.style = DRIVE_STYLE_BLOCKDEV;
	request.interface = DRIVE_IF_NONE;
	request.mode = CACHE_WRITETHROUGH;
	assert_int_equal(drive_args_make(&modern, &request, &args, &problem), -ENOTSUP);
	request.mode = CACHE_UNSAFE;
	assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
	assert_int_equal(args.nr, 2);
	drive_args_fini(&args);
}

static void test_scsi(void **state)
{
	struct drive_request request = {.path = "/dev/vg/a",
		.id = "d0",
		.mode = CACHE_WRITETHROUGH,
		.style = DRIVE_STYLE_DRIVE,
		.interface = DRIVE_IF_SCSI};
	struct drive_args args;
	struct problem problem;
	struct dialect some;

	(void)state;
	/* The modern way to a SCSI disk, and the old one. */
	assert_int_equal(drive_args_make(&modern, &request, &args, &problem), 0);
	assert_int_equal(args.nr, 4);
	assert_string_equal(
		args.words[1], "file=/dev/vg/a,if=none,id=d0,format=raw,cache=writethrough");
	assert_string_equal(args.words[3], "scsi-hd,drive=d0");
	drive_args_fini(&args);
	some = modern;
	some.has[DIALECT_SCSI_DRIVE] = false;
	assert_int_equal(drive_args_make(&some, &request, &args, &problem), 0);
	assert_int_equal(args.nr, 2);
	assert_string_equal(args.words[1], "file=/dev/vg/a,if=scsi,format=raw,cache=writethrough");
	drive_args_fini(&args);
	/* An old name. */
	some.has[DIALECT_DRIVE_CACHE_UNSAFE] = false;
	some.has[DIALECT_DRIVE_CACHE_VOLATILE] = true;
	request.mode = CACHE_UNSAFE;
	assert_int_equal(drive_args_make(&some, &request, &args, &problem), 0);
	assert_string_equal(args.words[1], "file=/dev/vg/a,if=scsi,format=raw,cache=volatile");
	drive_args_fini(&args);
}

/* What is left is not what was asked for: it is refused, and says what is lacking. */
static void test_refusals(void **state)
{
	static const struct {
		struct drive_request request;
		bool ancient;
		int error;
		const char *text;
	} bad[] = {
		{{.path = "", .id = "d0"}, false, -EINVAL, "no name"},
		{{.path = "a", .id = ""}, false, -EINVAL, "no id"},
		{{.path = "a", .id = "0"}, false, -EINVAL, "no id"},
		{{.path = "a", .id = "a,b"}, false, -EINVAL, "no id"},
		{{.path = "a", .id = "abcdefghijabcdefghijabcdefghijab"}, false, -EINVAL, "31"},
		{{.path = "a", .id = "d0", .read_only = true}, false, -EINVAL, "IDE"},
		{{.path = "a", .id = "d0", .mode = CACHE_WRITEBACK, .lock = true}, true, -ENOTSUP,
			"lock"},
		{{.path = "a", .id = "d0", .mode = CACHE_WRITEBACK, .discard = true}, true,
			-ENOTSUP, "discards"},
		{{.path = "a", .id = "d0", .mode = CACHE_WRITEBACK, .interface = DRIVE_IF_VIRTIO},
			true, -ENOTSUP, "writeback"},
		{{.path = "a", .id = "d0", .mode = CACHE_NONE}, true, -ENOTSUP, "none"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct drive_args args = {0};
		struct problem problem = {""};

		assert_int_equal(drive_args_make(bad[i].ancient ? &ancient : &modern,
					 &bad[i].request, &args, &problem),
			bad[i].error);
		assert_non_null(strstr(problem.text, bad[i].text));
		assert_int_equal(args.nr, 0);
	}
}

static const struct {
	const char *from;
	enum cache_mode mode;
	const char *to;
} rewritings[] = {
	/* As libxl writes it. */
	{"file=/a.img,if=ide,index=0,media=disk,format=raw,cache=writeback", CACHE_NONE,
		"file=/a.img,if=ide,index=0,media=disk,format=raw,cache=none"},
	{"file=/a.img,if=none,id=ahcidisk-0,format=raw,cache=writeback", CACHE_DIRECTSYNC,
		"file=/a.img,if=none,id=ahcidisk-0,format=raw,cache=directsync"},
	/* Without a CD, QEMU does not start when there are cache options. */
	{"if=ide,index=1,readonly=on,media=cdrom,id=ide-832", CACHE_NONE,
		"if=ide,index=1,readonly=on,media=cdrom,id=ide-832"},
	{"if=ide,media=cdrom,file=", CACHE_NONE, "if=ide,media=cdrom,file="},
	{"", CACHE_NONE, ""},
	/* Where it stands, whatever is around it. */
	{"cache=writeback,file=/a", CACHE_UNSAFE, "cache=unsafe,file=/a"},
	{"file=/a", CACHE_NONE, "file=/a,cache=none"},
	{"driver=raw,file.driver=file,file.filename=/a", CACHE_NONE,
		"driver=raw,file.driver=file,file.filename=/a,cache=none"},
	{"file.filename=/a", CACHE_NONE, "file.filename=/a,cache=none"},
	{"if=none,id=x,file=/a,snapshot", CACHE_NONE, "if=none,id=x,file=/a,snapshot,cache=none"},
	{"snapshot,nocache,file=/a", CACHE_NONE, "snapshot,cache=none,file=/a"},
	{"cache,file=/a", CACHE_WRITEBACK, "cache=writeback,file=/a"},
	/* A file's name is a file's name. */
	{"file=/x,,cache=unsafe,if=ide", CACHE_NONE, "file=/x,,cache=unsafe,if=ide,cache=none"},
	{"file=/x,,,cache=unsafe", CACHE_NONE, "file=/x,,,cache=none"},
	{"file=cache=unsafe", CACHE_NONE, "file=cache=unsafe,cache=none"},
	/* The last one counts for QEMU, so none of ours may come before another's. */
	{"cache=none,file=/a,cache=unsafe", CACHE_DIRECTSYNC, "cache=directsync,file=/a"},
	{"file=/a,cache.direct=off,cache.writeback=on,cache.no-flush=on", CACHE_NONE,
		"file=/a,cache=none"},
	{"file=/a,cache=none,file.cache.direct=off", CACHE_NONE, "file=/a,cache=none"},
	{"file=/a,file.file.cache.no-flush", CACHE_NONE, "file=/a,cache=none"},
	/* Caches that are not the host's. */
	{"file=/a,l2-cache-size=1M,cachex=1", CACHE_NONE,
		"file=/a,l2-cache-size=1M,cachex=1,cache=none"},
	{"file=/a,serial=cache", CACHE_NONE, "file=/a,serial=cache,cache=none"},
	/* QEMU does not start with native AIO through the page cache. */
	{"file=/a,aio=native,cache=none", CACHE_WRITEBACK, "file=/a,cache=writeback"},
	{"file=/a,file.aio=native", CACHE_UNSAFE, "file=/a,cache=unsafe"},
	{"file=/a,aio=native,cache=writeback", CACHE_DIRECTSYNC,
		"file=/a,aio=native,cache=directsync"},
	{"file=/a,aio=threads", CACHE_WRITEBACK, "file=/a,aio=threads,cache=writeback"},
	/* What QEMU will complain about stays for it to complain about. */
	{"file=/a,,", CACHE_NONE, "file=/a,,,cache=none"},
	{"snapshot,=,x=1,file=a", CACHE_NONE, "snapshot,=,x=1,file=a,cache=none"},
	{"file=\xff\xfe,,,y", CACHE_NONE, "file=\xff\xfe,,,y,cache=none"},
};

static void test_rewriting(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rewritings); i++) {
		struct problem problem;
		enum cache_mode mode;
		char *value;

		assert_int_equal(drive_args_rewrite(&modern, rewritings[i].mode, rewritings[i].from,
					 &value, &mode, &problem),
			0);
		assert_string_equal(value, rewritings[i].to);
		assert_int_equal(mode, rewritings[i].mode);
		free(value);
	}
}

static void test_rewriting_refused(void **state)
{
	struct problem problem = {""};
	enum cache_mode mode;
	char *value;

	(void)state;
	assert_int_equal(drive_args_rewrite(&modern, CACHE_NONE,
				 "file=json:{\"a\":1,,\"b\":2},if=ide", &value, &mode, &problem),
		-ENOTSUP);
	assert_non_null(strstr(problem.text, "json:"));
	assert_int_equal(
		drive_args_rewrite(&ancient, CACHE_WRITEBACK, "file=/a", &value, &mode, &problem),
		-ENOTSUP);
	assert_non_null(strstr(problem.text, "-drive"));
	/* Without the flag it would be a file "a,z". */
	assert_int_equal(drive_args_rewrite(&modern, CACHE_NONE, "cache=none,file=a,nocache,,z",
				 &value, &mode, &problem),
		-EINVAL);
	assert_int_equal(
		drive_args_rewrite(&modern, CACHE_NONE, ",file=a", &value, &mode, &problem),
		-EINVAL);
}

static void test_reading(void **state)
{
	static const struct {
		const char *text, *name, *value; /* NULL: not there */
	} rows[] = {
		{"file=/a", "file", "/a"},
		{"file=/a,,b,if=ide", "file", "/a,b"},
		{"file=/a,,,file=/b", "file", "/b"},
		{"if=ide,file=", "file", ""},
		{"if=ide,file", "file", NULL},
		{"xfile=/a", "file", NULL},
		{"", "file", NULL},
		{",,,", "file", NULL},
		{"file=a=b", "file", "a=b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *value = NULL;
		int r = optstr_get(rows[i].text, rows[i].name, &value);

		assert_int_equal(r, rows[i].value ? 0 : -ENOENT);
		if (rows[i].value)
			assert_string_equal(value, rows[i].value);
		free(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_extras),
		cmocka_unit_test(test_scsi),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_rewriting),
		cmocka_unit_test(test_rewriting_refused),
		cmocka_unit_test(test_reading),
	};

	return cmocka_run_group_tests(tests, load, NULL);
}
