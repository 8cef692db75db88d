/*
 * blkback-qemu-dm: stands in for the device model, gets what blkback serves, too, ready for it, and becomes the device model.
 *
 * All words on the command line are the device model's: there is no option of our own. What we have to say goes to
 * standard error, which libxl keeps in /var/log/xen/qemu-dm-NAME.log.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/supervisor/config.h"
#include "backend/util/log.h"
#include "qemu-dm-bridge/device-model/command_line.h"
#include "qemu-dm-bridge/device-model/served.h"
#include "qemu-dm-bridge/device-model/wrap.h"
#include "qemu-dm-bridge/dialect/usual.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

#define PROGRAM     "blkback-qemu-dm"
#define CONFIG_FILE "/etc/blkback/blkbackd.conf"
#define CONFIG_ENV  "BLKBACK_CONFIG"
#define RUN_DIR     "/run/blkback"
#define RUN_DIR_ENV "BLKBACK_RUNDIR"

/* libxl waits 60 s for a device model. */
#define PROBE_MS 20000
#define WAIT_MS  30000

static const char *or_else(const char *env, const char *fallback)
{
	const char *value = getenv(env);

	return value && *value ? value : fallback;
}

/* One that cannot be read does not keep a guest from starting: the defaults are what most have. */
static void load_config(struct config *config)
{
	struct problem problem;

	if (config_load(or_else(CONFIG_ENV, CONFIG_FILE), true, config, &problem) == 0)
		return;
	log_warn("%s: the defaults hold instead", problem.text);
	config_default(config);
}

/* The first one that can be run. */
static const char *find_qemu(const struct config *config)
{
	const char *qemu;

	if (strcmp(config->device_model, "auto") != 0)
		return config->device_model;
	for (unsigned i = 0; (qemu = usual_qemu(i)); i++)
		if (*qemu != '/' || access(qemu, X_OK) == 0)
			return qemu;
	return NULL;
}

static int coordinate(struct command_line *line, const struct config *config, uint32_t domid,
	const char *qemu, struct problem *problem)
{
	const struct wrap_terms terms = {.qemu = qemu,
		.rundir = or_else(RUN_DIR_ENV, RUN_DIR),
		.domid = domid,
		.probe_ms = PROBE_MS,
		.wait_ms = WAIT_MS};
	struct served_list served;
	struct store *store;
	int r = store_open(&store);

	if (r)
		return problem_set(problem, r,
			"xenstore cannot be reached: %s: which disks blkback serves cannot be seen",
			strerror(-r));
	r = served_find(store, config, domid, &served, problem);
	store_close(store);
	if (r == 0)
		r = wrap(line, &served, &terms, problem);
	served_free(&served);
	return r;
}

/* It would start itself for ever. */
static bool is_ourselves(const char *qemu)
{
	struct stat theirs, ours;

	return stat(qemu, &theirs) == 0 && stat("/proc/self/exe", &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* Returns only if that fails, which it says. */
static void become(const char *qemu, struct command_line *line)
{
	(void)execvp(qemu, line->words);
	log_err("the device model '%s' cannot be run: %s: name it in " CONFIG_FILE
		" (device-model = PATH)",
		qemu, strerror(errno));
}

/* The device model is told its own name. */
static int prepare(struct command_line *line, const char *qemu, int argc, char **argv)
{
	const char **words = (const char **)argv;

	words[0] = qemu;
	return command_line_init(line, (unsigned)argc, words);
}

int main(int argc, char **argv)
{
	struct command_line line;
	struct config config;
	struct problem problem;
	const char *qemu, *domain;
	uint32_t domid;
	int r;

	log_init(PROGRAM, "");
	load_config(&config);
	qemu = find_qemu(&config);
	if (!qemu || is_ourselves(qemu)) {
		log_err("there is no device model %s: name it in " CONFIG_FILE
			" (device-model = PATH)",
			qemu ? "but this program" : "where it usually is");
		return EXIT_FAILURE;
	}
	if (argc < 1 || prepare(&line, qemu, argc, argv)) {
		log_err("no memory");
		return EXIT_FAILURE;
	}
	domain = command_line_find(&line, "xen-domid");
	r = domain && node_parse_domid(domain, &domid)
		    ? coordinate(&line, &config, domid, qemu, &problem)
		    : 0;
	if (r)
		log_err("%s: the device model is not started", problem.text);
	else
		become(qemu, &line);
	command_line_fini(&line);
	return EXIT_FAILURE;
}
