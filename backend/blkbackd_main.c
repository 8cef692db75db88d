/*
 * blkbackd: the resident supervisor. Arguments, the background, the pid file; the rest is
 * supervisor/supervisor.c.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/supervisor/config.h"
#include "backend/supervisor/notify.h"
#include "backend/supervisor/supervisor.h"
#include "backend/util/background.h"
#include "backend/util/log.h"
#include "backend/util/pidfile.h"
#include "backend/util/usage.h"

#define PROGRAM     "blkbackd"
#define CONFIG_FILE "/etc/blkback/blkbackd.conf"
#define RUN_DIR     "/run/blkback"
#define RUN_DIR_ENV "BLKBACK_RUNDIR"
#define LOG_ENV     "BLKBACK_LOG"

static const char usage[] =
	"Usage: " PROGRAM " [-f] [-d] [-c FILE]\n"
	"       " PROGRAM " --check-config [-c FILE]\n"
	"Start one blkback-vbd for each virtual disk that the toolstack attaches, and another when\n"
	"one dies. Goes into the background after the first look at all disks.\n"
	"\n"
	"  -f, --foreground    stay in the foreground and log to standard error\n"
	"  -d, --debug         log more, the workers too\n"
	"  -c, --config FILE   the configuration (" CONFIG_FILE ")\n"
	"      --check-config  only say whether the configuration is right\n"
	"  -h, --help          show this text\n"
	"  -V, --version       show the version\n"
	"\n"
	"SIGHUP reads the configuration again, SIGTERM ends " PROGRAM
	" but no worker.\n" RUN_DIR_ENV " names the directory of the pid files (" RUN_DIR
	").\n" LOG_ENV " names a file that the background logs to, instead of syslog.\n"
	"Exit codes: 0 ended by a signal, 1 failure, 2 usage, 3 wrong configuration,\n"
	"4 no xenstored, 6 one runs already.\n";

struct options {
	bool foreground;
	bool debug;
	bool check;
	const char *config; /* NULL: the default, which may be missing */
};

static enum supervisor_exit misuse(const char *complaint, const char *object)
{
	usage_complain(PROGRAM, complaint, object);
	return SUPERVISOR_USAGE;
}

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *ret_options)
{
	enum {
		OPT_CHECK = 256
	};
	static const struct option longs[] = {
		{"foreground", no_argument, NULL, 'f'},
		{"debug", no_argument, NULL, 'd'},
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {0};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":fdc:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o.foreground = true;
			break;
		case 'd':
			o.debug = true;
			break;
		case 'c':
			o.config = optarg;
			break;
		case OPT_CHECK:
			o.check = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return SUPERVISOR_OK;
		case 'V':
			(void)puts(PROGRAM " " BLKBACK_VERSION);
			return SUPERVISOR_OK;
		default:
			usage_refuse(PROGRAM, c, argv);
			return SUPERVISOR_USAGE;
		}
	}
	if (optind != argc)
		return misuse("no argument is taken: ", argv[optind]);
	*ret_options = o;
	return -1;
}

/*
 * The background changes its directory, and reads the file again; links are followed each time. To
 * be freed; NULL with errno.
 */
static char *make_absolute(const char *path)
{
	char *absolute = NULL, *here;

	if (path[0] == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (here && asprintf(&absolute, "%s/%s", here, path) < 0)
		absolute = NULL;
	free(here);
	return absolute;
}

/* ---- running ---- */

/* Errors have been shown to whoever started us, from now on they go to the log. */
static bool detach(void *ctx)
{
	const int *ready_fd = ctx;
	bool has_file;

	if (*ready_fd < 0)
		return false;
	has_file = log_to_file(getenv(LOG_ENV));
	if (!has_file)
		log_to_syslog();
	background_detach(has_file);
	return !has_file;
}

static void tell_parent(void *ctx)
{
	background_ready(ctx);
}

static enum supervisor_exit run(
	const struct supervisor_options *options, const struct config *config)
{
	struct problem problem;
	struct pidfile pidfile;
	enum supervisor_exit result;
	int r = pidfile_take(options->run_dir, PROGRAM, &pidfile, &problem);

	if (r) {
		log_err("%s%s", r == -EBUSY ? PROGRAM " runs already: " : "", problem.text);
		return r == -EBUSY ? SUPERVISOR_BUSY : SUPERVISOR_FAILED;
	}
	result = supervisor_run(options, config);
	pidfile_release(&pidfile);
	return result;
}

static enum supervisor_exit go(const struct options *o, const char *config_path,
	const char *run_dir, const struct config *config)
{
	int ready_fd = -1;
	const struct supervisor_options options = {
		.config_path = config_path,
		.may_be_missing = !o->config,
		.debug = o->debug,
		.run_dir = run_dir,
		.detach = detach,
		.ready = tell_parent,
		.ctx = &ready_fd,
	};
	sigset_t signals;

	(void)signal(SIGPIPE, SIG_IGN);
	notify_init();
	if (!o->foreground) {
		ready_fd = background_enter(PROGRAM);
		if (ready_fd < 0) {
			log_err("cannot go into the background: %s", strerror(-ready_fd));
			return SUPERVISOR_FAILED;
		}
	}
	supervisor_signals(&signals);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	return run(&options, config);
}

/* The configuration is read, and then it is only checked or used. */
static enum supervisor_exit load_and_go(const struct options *o, const char *config_path)
{
	const char *run_dir = getenv(RUN_DIR_ENV);
	struct problem problem;
	struct config config;

	if (!run_dir || !run_dir[0])
		run_dir = RUN_DIR;
	if (run_dir[0] != '/')
		return misuse(RUN_DIR_ENV " is not an absolute path: ", run_dir);
	if (config_load(config_path, !o->config, &config, &problem)) {
		log_err("%s", problem.text);
		return SUPERVISOR_CONFIG;
	}
	return o->check ? SUPERVISOR_OK : go(o, config_path, run_dir, &config);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	char *path;
	int result = parse(argc, argv, &options);

	if (result >= 0)
		return result;
	log_init(PROGRAM, "");
	path = make_absolute(options.config ? options.config : CONFIG_FILE);
	if (!path) {
		log_err("the path of the configuration cannot be made absolute: %s",
			strerror(errno));
		return SUPERVISOR_FAILED;
	}
	result = (int)load_and_go(&options, path);
	free(path);
	return result;
}
