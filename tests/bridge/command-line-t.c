/*
 * The device model's command line (W1): what a disk is recognized by, what is left alone, and a monitor of our own spelled as the
 * toolstack's. libxl-4.17.txt is what Xen 4.17's libxl passed for a guest with two disks and a CD, one word in each line.
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

#include "qemu-dm-bridge/device-model/command_line.h"
#include "qemu-dm-bridge/device-model/emulated.h"
#include "qemu-dm-bridge/device-model/monitor.h"
#include "qemu-dm-bridge/qmp/monitor_path.h"

#define WORDS_MAX 128

static void load(const char *name, struct command_line *line)
{
	char path[256], *words[WORDS_MAX];
	size_t size = 0;
	unsigned n = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "tests/bridge/command-lines/%s.txt", name);
	file = fopen(path, "re");
	assert_non_null(file);
	for (words[n] = NULL; getline(&words[n], &size, file) > 0; words[n] = NULL, size = 0) {
		words[n][strcspn(words[n], "\n")] = '\0';
		assert_true(++n < WORDS_MAX);
	}
	free(words[n]);
	(void)fclose(file);
	assert_int_equal(command_line_init(line, n, (const char *const *)words), 0);
	while (n > 0)
		free(words[--n]);
}

static void make(struct command_line *line, const char *const *words)
{
	unsigned n = 0;

	while (words[n])
		n++;
	assert_int_equal(command_line_init(line, n, words), 0);
}

/* Each disk as "FORM PATH", with a newline behind. */
static void expect_disks(const struct command_line *line, const char *expected)
{
	static const char *const forms[] = {"drive", "hd", "other"};
	struct emulated disk;
	char text[1024] = "";
	unsigned at = 0;
	int r;

	while ((r = emulated_next(line, &at, &disk)) > 0) {
		size_t used = strlen(text);

		(void)snprintf(
			text + used, sizeof(text) - used, "%s %s\n", forms[disk.form], disk.path);
		free(disk.path);
	}
	assert_int_equal(r, 0);
	assert_string_equal(text, expected);
}

static void a_line_of_libxl(void **state)
{
	struct command_line line;

	(void)state;
	load("libxl-4.17", &line);
	assert_string_equal(command_line_find(&line, "xen-domid"), "1");
	assert_null(command_line_find(&line, "incoming"));
	expect_disks(&line, "drive /srv/web.img\ndrive /srv/data,1.img\ndrive /srv/cd.iso\n");
	command_line_fini(&line);
}

/* A guest may be called like an option; an option without a value takes none. */
static void words_that_mislead(void **state)
{
	static const char *const words[] = {"-name", "-drive", "-append", "-hda x", "-S", "-hda",
		"a", "--drive", "file=b", "-nodefaults", "-snapshot", "-drive", "file=c,file=d",
		"-drive", NULL};
	struct command_line line;

	(void)state;
	make(&line, words);
	expect_disks(&line, "hd a\ndrive b\ndrive d\n");
	assert_string_equal(command_line_find(&line, "name"), "-drive");
	command_line_fini(&line);
}

static void ways_to_name_an_image(void **state)
{
	static const char *const words[] = {"-drive", "file=file:/a", "-drive",
		"file=host_device:/dev/b", "-drive", "driver=raw,file.driver=file,file.filename=/c",
		"-drive", "if=ide,media=cdrom", "-drive", "file=nbd:unix:/s", "-drive",
		"file=json:{\"driver\":\"raw\",,\"file\":{\"filename\":\"/d\"}}", "-drive",
		"file=json:{nonsense", "-blockdev",
		"driver=raw,node-name=n,file.driver=file,file.filename=/e", "-blockdev",
		"{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/f\"}}",
		"-blockdev", "{\"driver\":\"file\",\"filename\":\"/g\"}", "-blockdev",
		"{\"driver\":\"raw\",\"file.filename\":\"/h\"}", "-blockdev",
		"{\"driver\":\"raw\",\"file\":\"some-node\"}", "-blockdev", "[1", NULL};
	struct command_line line;

	(void)state;
	make(&line, words);
	expect_disks(&line, "drive /a\ndrive /dev/b\ndrive /c\ndrive nbd:unix:/s\nother /d\n"
			    "other /e\nother /f\nother /g\nother /h\nother some-node\n");
	command_line_fini(&line);
}

static void hda_as_a_drive(void **state)
{
	static const char *const words[] = {"-hdc", "/a,b", NULL};
	struct command_line line;
	struct emulated disk;
	unsigned at = 0;
	char *value;

	(void)state;
	make(&line, words);
	assert_int_equal(emulated_next(&line, &at, &disk), 1);
	assert_int_equal(emulated_as_drive(&line, &disk, &value), 0);
	assert_string_equal(value, "file=/a,,b,index=2,media=disk");
	assert_int_equal(command_line_replace(&line, disk.option, "-drive", value), 0);
	assert_int_equal(line.nr, 2);
	assert_string_equal(line.words[0], "-drive");
	assert_string_equal(line.words[1], value);
	assert_null(line.words[2]);
	free(value);
	free(disk.path);
	command_line_fini(&line);
}

static void expect_monitor(const char *const *words, const char *socket)
{
	struct command_line line;
	unsigned n;

	make(&line, words);
	n = line.nr;
	assert_int_equal(monitor_add(&line, "/run/a,b"), socket ? 0 : -ENOENT);
	assert_int_equal(line.nr, n + (socket ? 4 : 0));
	if (socket) {
		assert_string_equal(line.words[n], "-chardev");
		assert_string_equal(line.words[n + 1], socket);
		assert_string_equal(line.words[n + 2], "-mon");
		assert_string_equal(line.words[n + 3], "chardev=blkback-qmp,mode=control");
	}
	command_line_fini(&line);
}

static void a_monitor_like_the_toolstacks(void **state)
{
	static const char *const new[] = {"-chardev", "socket,id=libxl-cmd,fd=3,server=on,wait=off",
		"-mon", "chardev=libxl-cmd,mode=control", NULL};
	static const char *const old[] = {"-chardev", "socket,id=x,path=/p,server,nowait", "-mon",
		"chardev=x,mode=control", NULL};
	/* QEMU would wait for us; would call us; is not asked for a monitor; has no socket. */
	static const char *const waits[] = {
		"-chardev", "socket,id=x,path=/p,server=on", "-mon", "chardev=x", NULL};
	static const char *const client[] = {
		"-chardev", "socket,id=x,path=/p,server=off,wait=off", "-mon", "chardev=x", NULL};
	static const char *const serial[] = {
		"-chardev", "socket,id=x,path=/p,server=on,wait=off", "-serial", "chardev:x", NULL};
	static const char *const pty[] = {
		"-chardev", "pty,id=x,server=on,wait=off", "-mon", "chardev=x", NULL};

	(void)state;
	expect_monitor(new, "socket,id=blkback-qmp,path=/run/a,,b,server=on,wait=off");
	expect_monitor(old, "socket,id=blkback-qmp,path=/run/a,,b,server,nowait");
	expect_monitor(waits, NULL);
	expect_monitor(client, NULL);
	expect_monitor(serial, NULL);
	expect_monitor(pty, NULL);
}

static void a_path_for_the_monitor(void **state)
{
	char path[256], longer[200];

	(void)state;
	assert_true(monitor_path("/run/blkback", 17, path, sizeof(path)));
	assert_string_equal(path, "/run/blkback/qmp-17");
	/* Longer than a socket's name may be. */
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_false(monitor_path(longer, 17, path, sizeof(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_libxl),
		cmocka_unit_test(words_that_mislead),
		cmocka_unit_test(ways_to_name_an_image),
		cmocka_unit_test(hda_as_a_drive),
		cmocka_unit_test(a_monitor_like_the_toolstacks),
		cmocka_unit_test(a_path_for_the_monitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
