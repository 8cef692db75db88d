/* blkbackd.conf: good and bad lines, and that a problem names file, line and key and what is allowed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/supervisor/config.h"

#define S   "[blkbackd]\n"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static int read_bytes(
	const char *bytes, size_t size, struct config *ret_config, struct problem *ret_problem)
{
	FILE *file = fmemopen((void *)(uintptr_t)bytes, size ? size : 1, "r");
	int r;

	assert_non_null(file);
	if (size == 0)
		(void)fgetc(file);
	r = config_read(file, "x.conf", ret_config, ret_problem);
	(void)fclose(file);
	return r;
}

static void good(const char *text, struct config *ret_config)
{
	struct problem problem = {.text = ""};

	if (read_bytes(text, strlen(text), ret_config, &problem))
		fail_msg("'%s': %s", text, problem.text);
}

static void test_defaults(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# a comment\n; another\n", S,
		"[blkbackd]\n# kinds = nonsense!\n", "  [blkbackd]  "};
	struct config defaults;

	(void)state;
	config_default(&defaults);
	assert_true(config_has(&defaults.kinds, "vbd3") && config_has(&defaults.kinds, "vbd"));
	assert_true(config_has(&defaults.scripts, "block-blkback"));
	assert_int_equal(defaults.restarts.limit, 5);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct config config;

		memset(&config, 0x5a, sizeof(config));
		good(texts[i], &config);
		assert_memory_equal(&config.restarts, &defaults.restarts, sizeof(config.restarts));
		assert_string_equal(config.worker, "blkback-vbd");
		assert_int_equal(config.kinds.n, 2);
		assert_false(config.debug);
		assert_int_equal(config.max_queues, 0);
	}
}

static void test_every_key(void **state)
{
	struct config config;

	(void)state;
	good(S "kinds = vbd \t vbd3 a-b_9\nscripts=block-x y.sh\n  worker = /opt/x y/blkback-vbd\n"
	       "log-level = debug ; why\nrestart-delay-min: 10ms\nrestart-delay-max = 600s\r\n"
	       "restart-limit=0\nrestart-window = 86400s\nmax-queues = 8",
		&config);
	assert_int_equal(config.kinds.n, 3);
	assert_string_equal(config.kinds.word[2], "a-b_9");
	assert_int_equal(config.scripts.n, 2);
	assert_true(config_has(&config.scripts, "y.sh"));
	assert_false(config_has(&config.scripts, "block-blkback"));
	assert_string_equal(config.worker, "/opt/x y/blkback-vbd");
	assert_true(config.debug);
	assert_int_equal(config.restarts.delay_min_ms, 10);
	assert_int_equal(config.restarts.delay_max_ms, 600000);
	assert_int_equal(config.restarts.limit, 0);
	assert_int_equal(config.restarts.window_ms, 86400000);
	assert_int_equal(config.max_queues, 8);
}

/* What is wrong, and how the message starts. */
static const struct {
	const char *text, *says;
} bad[] = {
	{"kinds = vbd\n", "x.conf:1: key 'kinds' is in section ''"},
	{"[other]\nkinds = vbd\n", "x.conf:2: key 'kinds' is in section 'other'"},
	{S "\n# one\nkind = vbd\n",
		"x.conf:4: there is no key 'kind': the keys are kinds, scripts, "},
	{S "Kinds = vbd\n", "x.conf:2: there is no key 'Kinds'"},
	{S "kinds\n", "x.conf:2: neither a section"},
	{"[blkbackd\nkinds = vbd\n", "x.conf:1: neither a section"},
	{S "kinds =\n", "x.conf:2: kinds = '' is not allowed: up to 8 different backend kinds"},
	{S "kinds = vbd vbd\n", "x.conf:2: kinds = 'vbd vbd' is not allowed"},
	{S "kinds = VBD\n", "x.conf:2: kinds"},
	{S "kinds = vbd, vbd3\n", "x.conf:2: kinds"},
	{S "kinds = ../vbd\n", "x.conf:2: kinds"},
	{S "kinds = abcdefghijklmnop\n", "x.conf:2: kinds"},
	{S "kinds = 1 2 3 4 5 6 7 8 9\n", "x.conf:2: kinds"},
	{S "scripts = /etc/xen/scripts/block-blkback\n", "x.conf:2: scripts"},
	{S "scripts = " X50 X50 "\n", "x.conf:2: scripts"},
	{S "worker =\n", "x.conf:2: worker = '' is not allowed: a program's name"},
	{S "worker = bin/blkback-vbd\n", "x.conf:2: worker"},
	{S "log-level = verbose\n",
		"x.conf:2: log-level = 'verbose' is not allowed: info or debug is"},
	{S "log-level = DEBUG\n", "x.conf:2: log-level"},
	{S "max-queues = 9\n",
		"x.conf:2: max-queues = '9' is not allowed: auto or a number from 1"},
	{S "max-queues = 0\n", "x.conf:2: max-queues"},
	{S "max-queues = all\n", "x.conf:2: max-queues"},
	{S "restart-limit = 101\n",
		"x.conf:2: restart-limit = '101' is not allowed: a number from 0"},
	{S "restart-limit = -1\n", "x.conf:2: restart-limit"},
	{S "restart-limit = 5x\n", "x.conf:2: restart-limit"},
	{S "restart-delay-min = 100\n",
		"x.conf:2: restart-delay-min = '100' is not allowed: a time"},
	{S "restart-delay-min = 9ms\n", "x.conf:2: restart-delay-min"},
	{S "restart-delay-min = ms\n", "x.conf:2: restart-delay-min"},
	{S "restart-delay-min = 1 s\n", "x.conf:2: restart-delay-min"},
	{S "restart-delay-min = 0.5s\n", "x.conf:2: restart-delay-min"},
	{S "restart-delay-max = 601s\n", "x.conf:2: restart-delay-max"},
	{S "restart-delay-max = 99999999999999999999s\n", "x.conf:2: restart-delay-max"},
	{S "restart-delay-max = 4294968s\n", "x.conf:2: restart-delay-max"},
	{S "restart-window = 999ms\n", "x.conf:2: restart-window"},
	{S "restart-limit = 1\nrestart-window = 5s\nrestart-limit = 2\n",
		"x.conf:4: key 'restart-limit' is there twice: the first is in line 2"},
	{S "restart-delay-min = 2s\n\nrestart-delay-max = 1s\n",
		"x.conf:4: restart-delay-min, 2000ms, is longer than restart-delay-max, 1000ms"},
	{S "restart-delay-max = 50ms\n", "x.conf:2: restart-delay-min, 100ms, is longer"},
	{S "worker = a\n   more\n", "x.conf:3: neither a section"}, /* no continuation lines */
	{S "worker = a\n restart-limit = x\n", "x.conf:3: restart-limit"},
	{S "worker = " X50 X50 X50 X50 "\n", "x.conf:2: the line is longer than 196 bytes"},
	{S "# " X50 X50 X50 X50 "\nrestart-limit = x\n", "x.conf:2: the line is longer"},
	{S "restart-limit = x\nnonsense\n", "x.conf:2: restart-limit"}, /* the first of two */
	{S "nonsense\nrestart-limit = x\n", "x.conf:2: neither a section"},
};

static void test_bad_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct problem problem = {.text = ""};
		struct config config, before;

		memset(&config, 0x5a, sizeof(config));
		before = config;
		if (read_bytes(bad[i].text, strlen(bad[i].text), &config, &problem) != -EINVAL)
			fail_msg("'%s' is accepted", bad[i].text);
		if (strncmp(problem.text, bad[i].says, strlen(bad[i].says)) != 0)
			fail_msg("'%s': '%s', not '%s'", bad[i].text, problem.text, bad[i].says);
		assert_memory_equal(&config, &before, sizeof(config));
	}
}

static void test_nul_byte(void **state)
{
	static const char bytes[] = S "worker = a\0b\n";
	struct problem problem = {.text = ""};
	struct config config;

	(void)state;
	assert_int_equal(read_bytes(bytes, sizeof(bytes) - 1, &config, &problem), -EINVAL);
	assert_string_equal(problem.text, "x.conf:2: the line holds a NUL byte");
}

/* What is installed shows every key with its default, as a comment without a blank behind the #. */
static void test_example(void **state)
{
	FILE *file = fopen("tools/blkbackd.conf", "re");
	char text[8192] = "", line[256];
	struct config config, defaults;
	size_t n = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		const char *start =
			line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line + 1 : line;

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", start);
		assert_true(n < sizeof(text));
	}
	(void)fclose(file);
	assert_non_null(strstr(text, "\nrestart-limit = "));
	memset(&config, 0, sizeof(config));
	good(text, &config);
	config_default(&defaults);
	assert_memory_equal(&config.kinds, &defaults.kinds, sizeof(config.kinds));
	assert_memory_equal(&config.scripts, &defaults.scripts, sizeof(config.scripts));
	assert_memory_equal(&config.restarts, &defaults.restarts, sizeof(config.restarts));
	assert_string_equal(config.worker, defaults.worker);
	assert_int_equal(config.debug, defaults.debug);
}

static void test_files(void **state)
{
	struct problem problem = {.text = ""};
	struct config config;

	(void)state;
	assert_int_equal(config_load("/nonexistent/x", true, &config, &problem), 0);
	assert_int_equal(config.restarts.limit, 5);
	assert_int_equal(config_load("/nonexistent/x", false, &config, &problem), -ENOENT);
	assert_non_null(strstr(problem.text, "/nonexistent/x: cannot be opened: No such file"));
	assert_int_equal(config_load("/", true, &config, &problem), -EISDIR);
	assert_non_null(strstr(problem.text, "/: cannot be read: Is a directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
