/*
 * The client of QEMU's monitor against monitors that behave, that are slow, talk nonsense, or end in the middle; and what it reads
 * from the answers of a QEMU about an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "qemu-dm-bridge/qmp/client.h"
#include "qemu-dm-bridge/qmp/medium.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define OK       "{\"return\": {}}\r\n"
/* Long enough for any machine; those that have to end by it get a short one. */
#define PATIENCE_MS 60000
#define SHORT_MS    50

static char dir[] = "/tmp/qmp-t.XXXXXX";
static char path[64], image[64];

/* What is said when somebody has come, and after each line of his; NULL at the end. Then, if there is one, @flood again and again. */
static pid_t serve_and_flood(const char *const *says, const char *flood)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	char c;
	pid_t pid;

	(void)unlink(path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		(void)close(fd);
		return pid;
	}
	client = accept(fd, NULL, NULL);
	for (; *says; says++) {
		if (send(client, *says, strlen(*says), MSG_NOSIGNAL) < 0)
			_exit(1);
		do {
			if (read(client, &c, 1) != 1)
				_exit(0);
		} while (c != '\n');
	}
	while (flood && send(client, flood, strlen(flood), MSG_NOSIGNAL) > 0)
		;
	if (flood)
		for (;;)
			(void)pause();
	_exit(0);
}

static pid_t serve(const char *const *says, bool hangs)
{
	return serve_and_flood(says, hangs ? "" : NULL);
}

static void ended(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void expect_open(const char *const *says, bool hangs, int expected)
{
	struct problem problem = {.text = ""};
	struct qmp *qmp = NULL;
	pid_t pid = serve(says, hangs);

	assert_int_equal(
		qmp_open(path, expected == -ETIMEDOUT ? SHORT_MS : PATIENCE_MS, &qmp, &problem),
		expected);
	assert_true(expected == 0 || *problem.text);
	if (expected == 0)
		qmp_close(qmp);
	ended(pid);
}

static void monitors_that_are_none(void **state)
{
	struct problem problem;
	struct qmp *qmp;
	char longer[200];

	(void)state;
	(void)unlink(path);
	assert_int_equal(qmp_open(path, PATIENCE_MS, &qmp, &problem), -ENOENT);
	/* One whose QEMU was killed */
	ended(serve((const char *const[]){NULL}, true));
	assert_int_equal(qmp_open(path, PATIENCE_MS, &qmp, &problem), -ECONNREFUSED);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(qmp_open(longer, PATIENCE_MS, &qmp, &problem), -ENAMETOOLONG);
}

static void monitors_that_misbehave(void **state)
{
	static char endless[5 << 20];
	static const char event[] = "{\"event\": \"STOP\"}\n";
	static char events[1100 * sizeof(event)];

	(void)state;
	expect_open((const char *const[]){GREETING, OK, NULL}, true, 0);
	expect_open((const char *const[]){GREETING,
			    "{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n" OK, NULL},
		true, 0);
	expect_open((const char *const[]){NULL}, true, -ETIMEDOUT);
	expect_open((const char *const[]){NULL}, false, -ECONNRESET);
	expect_open((const char *const[]){GREETING, NULL}, true, -ETIMEDOUT);
	expect_open((const char *const[]){GREETING, NULL}, false, -ECONNRESET);
	expect_open((const char *const[]){"{\"QMP\": {", NULL}, true, -ETIMEDOUT);
	expect_open((const char *const[]){"SSH-2.0-OpenSSH\r\n", NULL}, true, -EPROTO);
	expect_open((const char *const[]){"[]\n", NULL}, true, -EPROTO);
	expect_open((const char *const[]){"{}\n", NULL}, true, -EPROTO);
	expect_open((const char *const[]){GREETING, "{}\n", NULL}, true, -EPROTO);
	expect_open((const char *const[]){GREETING, "{\"error\": 7}\n", NULL}, true, -EPROTO);
	expect_open((const char *const[]){GREETING, "{\"error\": {\"desc\": \"no\"}}\n", NULL},
		true, -EREMOTEIO);
	memset(endless, ' ', sizeof(endless) - 1);
	expect_open((const char *const[]){endless, NULL}, true, -EMSGSIZE);
	for (size_t i = 0; i + sizeof(event) < sizeof(events); i += sizeof(event) - 1)
		memcpy(events + i, event, sizeof(event) - 1);
	expect_open((const char *const[]){GREETING, events, NULL}, true, -EMSGSIZE);
}

/* Events without a pause, which would take far longer than the time there is: it is up all the same. */
static void a_flood(void **state)
{
	static char line[200000];
	static const char event[] = "{\"event\": \"STOP\"}\n";
	const char *says[] = {GREETING, NULL};
	struct problem problem;
	struct qmp *qmp;
	pid_t pid;

	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line + sizeof(line) - sizeof(event), event, sizeof(event));
	pid = serve_and_flood(says, line);
	assert_int_equal(qmp_open(path, SHORT_MS, &qmp, &problem), -ETIMEDOUT);
	ended(pid);
}

/* What QEMU says goes into a log: one line, and no more of it than there is room for. */
static void words_of_qemu(void **state)
{
	struct qmp_text text;
	char longer[400];

	(void)state;
	qmp_text("Device 'd0' not found\r\nerror: forged", &text);
	assert_string_equal(text.text, "Device 'd0' not found");
	qmp_text("a\033[2J", &text);
	assert_string_equal(text.text, "a");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	qmp_text(longer, &text);
	assert_int_equal(strlen(text.text), sizeof(text.text) - 1);
}

/* Depth that would break a stack */
static void nested_nonsense(void **state)
{
	static char deep[200000];

	(void)state;
	memset(deep, '[', sizeof(deep) - 2);
	deep[sizeof(deep) - 2] = '\n';
	expect_open((const char *const[]){deep, NULL}, true, -EPROTO);
}

static void values_and_refusals(void **state)
{
	const char *const says[] = {GREETING, OK, "{\"return\": [1]}\n",
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Node n is in use\"}}\n",
		NULL};
	struct json_object *value;
	struct problem problem;
	struct qmp *qmp;
	pid_t pid = serve(says, true);

	(void)state;
	assert_int_equal(qmp_open(path, PATIENCE_MS, &qmp, &problem), 0);
	assert_int_equal(qmp_run(qmp, "a", NULL, &value, &problem), 0);
	assert_true(json_object_is_type(value, json_type_array));
	json_object_put(value);
	assert_int_equal(qmp_run(qmp, "b", json_object_new_object(), &value, &problem), -EREMOTEIO);
	assert_non_null(strstr(problem.text, "Node n is in use"));
	qmp_close(qmp);
	ended(pid);
}

/* ---- what a QEMU has of an image ------------------------------------------------------------- */

#define SCHEMA                                                                                     \
	"{\"return\": [{\"members\": [{\"name\": \"inserted\"}, {\"name\": \"qdev\"}, {\"name\": \"io-status\"}]}]}\n"
#define OLD_SCHEMA                                                                                 \
	"{\"return\": [{\"members\": [{\"name\": \"inserted\"}, {\"name\": \"io-status\"}]}, {\"members\": [{\"name\": \"qdev\"}]}]}\n"
#define NO_SUCH "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not found\"}}\n"

/* @drives and @nodes have %s where the image's name stands. */
static void expect_use(const char *drives, const char *nodes, const char *schema,
	enum medium_use expected, struct medium *ret_medium)
{
	char first[1024], second[1024];
	const char *says[8] = {GREETING, OK, first};
	unsigned n = 3;
	struct problem problem;
	struct qmp *qmp;
	pid_t pid;
	const struct medium_names names = {.given = "/other/name", .resolved = image};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(first, sizeof(first), drives, image);
	(void)snprintf(second, sizeof(second), nodes ? nodes : "", image);
#pragma GCC diagnostic pop
	if (nodes)
		says[n++] = second;
	if (schema)
		says[n++] = schema;
	pid = serve(says, true);
	assert_int_equal(qmp_open(path, PATIENCE_MS, &qmp, &problem), 0);
	assert_int_equal(medium_look(qmp, &names, ret_medium, &problem), 0);
	assert_int_equal(ret_medium->use, expected);
	qmp_close(qmp);
	ended(pid);
}

static void uses_of_an_image(void **state)
{
	struct medium medium;

	(void)state;
	/* The device is plugged in; and another image is no matter of ours. */
	expect_use(
		"{\"return\": [{\"device\": \"ide0-hd1\", \"qdev\": \"/a\", \"inserted\": {\"file\": \"/none\"}},"
		" {\"device\": \"ide0-hd0\", \"qdev\": \"/machine/unattached/device[23]\","
		" \"inserted\": {\"node-name\": \"#block184\", \"file\": \"%s\"}}]}\n",
		NULL, NULL, MEDIUM_PLUGGED, &medium);
	assert_string_equal(medium.drive, "ide0-hd0");
	assert_string_equal(medium.node, "");
	/* A drive that is left, and beside it one that is plugged in: that counts. */
	expect_use(
		"{\"return\": [{\"device\": \"d0\", \"inserted\": {\"file\": \"%1$s\"}},"
		" {\"device\": \"\", \"qdev\": \"x\", \"inserted\": {\"node-name\": \"n\", \"file\": \"%1$s\"}}]}\n",
		NULL, NULL, MEDIUM_PLUGGED, &medium);
	/* Left, where that can be told, and where it cannot. */
	expect_use("{\"return\": [{\"device\": \"d0\", \"inserted\": {\"file\": \"%s\"}}]}\n", NULL,
		SCHEMA, MEDIUM_LEFT, &medium);
	assert_string_equal(medium.drive, "d0");
	expect_use("{\"return\": [{\"device\": \"d0\", \"inserted\": {\"file\": \"%s\"}}]}\n", NULL,
		OLD_SCHEMA, MEDIUM_UNKNOWN, &medium);
	expect_use("{\"return\": [{\"device\": \"d0\", \"inserted\": {\"file\": \"%s\"}}]}\n", NULL,
		NO_SUCH, MEDIUM_UNKNOWN, &medium);
	/* A node of -blockdev without a device: the one with a name of its own */
	expect_use("{\"return\": [{\"device\": \"d0\"}]}\n",
		"{\"return\": [{\"node-name\": \"#block1\", \"file\": \"%1$s\"}, {\"node-name\": \"n\", \"file\": \"%1$s\"}]}\n",
		SCHEMA, MEDIUM_LEFT, &medium);
	assert_string_equal(medium.drive, "");
	assert_string_equal(medium.node, "n");
	/* Nothing; no such question; no list at all */
	expect_use("{\"return\": []}\n%.0s", "{\"return\": []}\n%.0s", NULL, MEDIUM_NONE, &medium);
	expect_use("{\"return\": []}\n%.0s", NO_SUCH "%.0s", NULL, MEDIUM_NONE, &medium);
	expect_use("{\"return\": {\"inserted\": \"%s\"}}\n", "{\"return\": [7, [], \"%s\"]}\n",
		NULL, MEDIUM_NONE, &medium);
}

static void expect_close(
	const struct medium *medium, const char *answer, int expected, const char *sentence)
{
	const char *const says[] = {GREETING, OK, answer, NULL};
	struct problem problem = {.text = ""};
	struct qmp *qmp;
	pid_t pid = serve(says, true);

	assert_int_equal(qmp_open(path, PATIENCE_MS, &qmp, &problem), 0);
	assert_int_equal(medium_close(qmp, medium, &problem), expected);
	assert_non_null(strstr(problem.text, sentence));
	qmp_close(qmp);
	ended(pid);
}

static void closing(void **state)
{
	(void)state;
	expect_close(&(struct medium){.drive = "d0"}, "{\"return\": \"\"}\n", 0, "");
	expect_close(&(struct medium){.drive = "d0"},
		"{\"return\": \"Error: Device 'd0' not found\\r\\n\"}\n", -EREMOTEIO,
		"says: Error: Device 'd0' not found");
	expect_close(&(struct medium){.node = "n"}, OK, 0, "");
	expect_close(&(struct medium){.node = "n"},
		"{\"error\": {\"desc\": \"Node n is in use\"}}\n", -EREMOTEIO, "Node n is in use");
	/* Not one word for the monitor for people, and no node: nothing is sent. */
	expect_close(&(struct medium){.drive = "d0; quit"}, "", -ENOENT, "no name");
}

static int setup(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	(void)snprintf(image, sizeof(image), "%s/image", dir);
	fd = open(image, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(image);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monitors_that_are_none),
		cmocka_unit_test(monitors_that_misbehave),
		cmocka_unit_test(a_flood),
		cmocka_unit_test(words_of_qemu),
		cmocka_unit_test(nested_nonsense),
		cmocka_unit_test(values_and_refusals),
		cmocka_unit_test(uses_of_an_image),
		cmocka_unit_test(closing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
