/*
 * A guest's driver of a certain kind, as true to it as its tables (kinds.c).
 *
 *   blkfront-persona grub --vdev=xvda start 'read 0 64 seed:1' stop
 *   blkfront-persona linux -                              commands from standard input
 *
 * Each command that ended well says so in one line. The first thing the driver could not stand ends the program: it says
 * what and where. Without `stop` the program ends as a killed guest does.
 * Exit status: 0 all went well; 1 the backend did what this driver cannot live with; 2 nobody understands the command.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/blkfront/options.h"
#include "frontend-shim/clients/words.h"
#include "frontend-shim/persona/driver.h"

#define GIBIBYTE_SECTORS (UINT64_C(1) << 21)

struct play {
	struct persona_driver driver;
	struct blkfront_words words;
	bool bad; /* a command nobody understands */
};

static struct play play;

static int bad_words(struct play *p)
{
	p->bad = true;
	return -EINVAL;
}

/* ---- life ------------------------------------------------------------------------------------- */

/* The number of steps, if it is given. */
static int parse_steps(struct play *p, unsigned *ret_max)
{
	uint64_t max = UINT32_MAX;

	if (p->words.nr > 0 && blkfront_words_number(&p->words, p->words.word[0], UINT32_MAX, &max))
		return bad_words(p);
	*ret_max = (unsigned)max;
	return 0;
}

static int command_start(struct play *p)
{
	unsigned max;
	int r = parse_steps(p, &max);

	return r ? r : persona_driver_start(&p->driver, max);
}

/* One of the tables that a driver may not have. */
static int perform(struct play *p, const struct persona_step *table)
{
	unsigned max;
	int r = parse_steps(p, &max);

	if (r)
		return r;
	if (!table) {
		(void)blkfront_words_bad(
			&p->words, "%s is not known to do that", p->driver.persona->name);
		return bad_words(p);
	}
	return persona_driver_perform(&p->driver, table, max);
}

static int command_stop(struct play *p)
{
	return perform(p, p->driver.persona->stop);
}

static int command_suspend(struct play *p)
{
	return perform(p, p->driver.persona->suspend);
}

static int command_resume(struct play *p)
{
	return perform(p, p->driver.persona->resume);
}

static int command_leave(struct play *p)
{
	return perform(p, p->driver.persona->leave);
}

static int command_vanish(struct play *p)
{
	return persona_driver_vanish(&p->driver);
}

static int command_die(struct play *p)
{
	(void)p;
	(void)fflush(stdout);
	return raise(SIGKILL);
}

/* ---- requests --------------------------------------------------------------------------------- */

/* SECTOR COUNT PATTERN */
static int make_requests(struct play *p, uint8_t op)
{
	struct blkfront_pattern pattern;
	uint64_t sector, nr_sectors;

	if (p->words.nr != 3 ||
		blkfront_words_number(&p->words, p->words.word[0], INT64_MAX, &sector) ||
		blkfront_words_number(&p->words, p->words.word[1], GIBIBYTE_SECTORS, &nr_sectors) ||
		blkfront_words_pattern(&p->words, p->words.word[2], &pattern))
		return bad_words(p);
	return persona_driver_io(&p->driver, op, sector, nr_sectors * WIRE_SECTOR_SIZE, &pattern);
}

static int command_read(struct play *p)
{
	int r = make_requests(p, BLKIF_OP_READ);

	return r ? r : persona_driver_drain(&p->driver);
}

static int command_write(struct play *p)
{
	int r = make_requests(p, BLKIF_OP_WRITE);

	return r ? r : persona_driver_drain(&p->driver);
}

static int command_queue(struct play *p)
{
	return make_requests(p, BLKIF_OP_WRITE);
}

static int command_wait(struct play *p)
{
	return persona_driver_drain(&p->driver);
}

static int command_sync(struct play *p)
{
	return persona_driver_sync(&p->driver);
}

static int command_info(struct play *p)
{
	const struct persona_driver *driver = &p->driver;

	printf("info: sectors=%" PRIu64
	       " sector-size=%u flush=%d barrier=%d unanswered=%u steps=%u,%u\n",
		driver->nr_sectors, driver->line.sector_size, driver->flush, driver->barrier,
		driver->line.nr_busy, persona_nr_steps(driver->persona->start),
		persona_nr_steps(driver->persona->stop));
	return 0;
}

/* ---- commands --------------------------------------------------------------------------------- */

static const struct {
	const char *verb;
	int (*run)(struct play *p);
	const char *help;
} commands[] = {
	{"start", command_start, "[STEPS]: from a device to a disk; or the first steps of that"},
	{"stop", command_stop, "[STEPS]: hand the device to the next driver"},
	{"suspend", command_suspend, ": the domain is suspended"},
	{"resume", command_resume, ": ... and goes on; what was not answered is asked again"},
	{"leave", command_leave, ": wait until the toolstack wants the disk, and give it"},
	{"vanish", command_vanish, ": wait until the toolstack has removed the disk by force"},
	{"die", command_die, ": as the guest does that is killed"},
	{"read", command_read, "SECTOR COUNT BYTE|seed:N: and compare"},
	{"write", command_write, "SECTOR COUNT BYTE|seed:N"},
	{"queue", command_queue, "SECTOR COUNT BYTE|seed:N: write, and do not wait for it"},
	{"wait", command_wait, ": until all is answered"},
	{"sync", command_sync, ": make it durable, as this driver does"},
	{"info", command_info, ": what the driver knows of its disk"},
};

static void usage(FILE *out)
{
	fputs("usage: blkfront-persona KIND [--vdev=NAME] [--timeout=SECONDS] COMMAND... | -\nKinds:",
		out);
	for (unsigned i = 0; persona_name(i); i++)
		fprintf(out, " %s", persona_name(i));
	fputs("\nCommands:\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].verb, commands[i].help);
}

static int run_command(struct play *p, char *text)
{
	char said[80];
	bool async;
	int r;

	snprintf(said, sizeof(said), "%s", text);
	said[strcspn(said, "\n")] = '\0';
	if (blkfront_words_split(&p->words, text, &async))
		return bad_words(p);
	if (!p->words.verb)
		return 0;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].verb, p->words.verb) != 0)
			continue;
		r = commands[i].run(p);
		if (r == 0)
			printf("%s: done\n", said);
		else if (!p->bad)
			fprintf(stderr, "blkfront-persona: %s: %s: %s\n", p->driver.persona->name,
				said, p->driver.error.text);
		(void)fflush(stdout);
		return r;
	}
	(void)blkfront_words_bad(&p->words, "no such command");
	return bad_words(p);
}

static int run_all(struct play *p, char **argument)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	for (; r == 0 && *argument; argument++) {
		if (strcmp(*argument, "-") != 0)
			r = run_command(p, *argument);
		else
			while (r == 0 && getline(&line, &size, stdin) >= 0)
				r = run_command(p, line);
	}
	free(line);
	return r;
}

/* The first command, or NULL. */
static char **parse_options(struct blkfront_options *options, char **argument)
{
	for (; *argument && strncmp(*argument, "--", 2) == 0; argument++) {
		char *key = *argument + 2, *value = strchr(key, '=');

		if (!value)
			return NULL;
		*value = '\0';
		if (strcmp(key, "vdev") != 0 && strcmp(key, "timeout") != 0)
			return NULL;
		if (blkfront_options_set(options, key, value + 1))
			return NULL;
	}
	return argument;
}

int main(int argc, char **argv)
{
	const struct persona *persona = argc > 1 ? persona_find(argv[1]) : NULL;
	struct blkfront_options options;
	char **first;
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	blkfront_options_init(&options);
	first = persona ? parse_options(&options, argv + 2) : NULL;
	if (!first) {
		usage(stderr);
		return 2;
	}
	r = persona_driver_init(&play.driver, persona, options.frontend, options.timeout_ms);
	if (r)
		fprintf(stderr, "blkfront-persona: %s\n", play.driver.error.text);
	else
		r = run_all(&play, first);
	persona_driver_fini(&play.driver);
	return play.bad ? 2 : r != 0;
}
