/*
 * blkback-vbd: one process that serves one virtual disk. Arguments, the background, the pid file;
 * the rest is control/worker.c.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/control/check.h"
#include "backend/control/worker.h"
#include "backend/util/background.h"
#include "backend/util/log.h"
#include "backend/util/pidfile.h"
#include "backend/util/usage.h"

#define PROGRAM       "blkback-vbd"
#define RUN_DIR       "/run/blkback"
#define RUN_DIR_ENV   "BLKBACK_RUNDIR"
#define STATS_DIR     "/dev/shm"
#define STATS_DIR_ENV "BLKBACK_STATSDIR"
#define LOG_ENV       "BLKBACK_LOG"

static const char usage[] =
	"Usage: " PROGRAM " [-f] [-d] [-s] [--max-queues=N] [--max-grants=N]\n"
	"                   [--cache=MODE] BACKEND_PATH\n"
	"       " PROGRAM " --check PATH [--read-only] [--cache=MODE] [--exclusive]\n"
	"                   [--hand-over]\n"
	"Serve one virtual disk of a Xen guest. BACKEND_PATH is its directory in xenstore, for\n"
	"example backend/vbd/5/51712. Goes into the background when the disk is in InitWait.\n"
	"\n"
	"  -f, --foreground   stay in the foreground and log to standard error\n"
	"  -d, --debug        log more\n"
	"  -s, --syslog       in the foreground, too, log to syslog\n"
	"      --max-queues=N up to so many rings, 1 to 8 (default: one per online CPU)\n"
	"      --max-grants=N pages of guests that all workers of this host may have mapped\n"
	"                     together (default: 131072); more is copied\n"
	"      --cache=MODE   none (default), directsync, writethrough, writeback or unsafe, of a\n"
	"                     disk that does not say\n"
	"      --check PATH   only say whether the file or block device can be served\n"
	"      --read-only    with --check: without write access\n"
	"      --exclusive    with --check: nor if it is mounted, or a device lies on it\n"
	"      --hand-over    with --check: write and drop what the page cache has of it, too\n"
	"  -h, --help         show this text\n"
	"  -V, --version      show the version\n"
	"\n" RUN_DIR_ENV " names the directory of the pid file and the control socket (" RUN_DIR
	").\n" STATS_DIR_ENV " names the directory of the figures for xentop (" STATS_DIR
	").\n" LOG_ENV " names a file that the background logs to, instead of syslog.\n"
	"Exit codes: 0 the disk was taken away or stopped, 1 failure, 2 usage, 3 no such disk,\n"
	"4 no xenstored, 5 storage cannot be served, 6 the disk is served already,\n"
	"7 data the guest wrote may be lost, 8 the kernel's xen-blkback has the disk.\n";

struct options {
	bool foreground;
	bool debug;
	bool syslog;
	bool read_only;
	bool exclusive;
	bool hand_over;
	unsigned max_queues;
	unsigned max_grants;
	enum cache_mode cache;
	const char *check;
	const char *backend;
};

static enum worker_exit misuse(const char *complaint, const char *object)
{
	usage_complain(PROGRAM, complaint, object);
	return WORKER_USAGE;
}

/* Returns -1 to go on, or the exit code. */
/* long: one case per option */
static int parse(int argc, char **argv, struct options *ret_options)
{
	enum {
		OPT_CHECK = 256,
		OPT_READ_ONLY,
		OPT_EXCLUSIVE,
		OPT_HAND_OVER,
		OPT_MAX_QUEUES,
		OPT_MAX_GRANTS,
		OPT_CACHE
	};
	static const struct option longs[] = {
		{"foreground", no_argument, NULL, 'f'},
		{"debug", no_argument, NULL, 'd'},
		{"syslog", no_argument, NULL, 's'},
		{"max-queues", required_argument, NULL, OPT_MAX_QUEUES},
		{"max-grants", required_argument, NULL, OPT_MAX_GRANTS},
		{"cache", required_argument, NULL, OPT_CACHE},
		{"check", required_argument, NULL, OPT_CHECK},
		{"read-only", no_argument, NULL, OPT_READ_ONLY},
		{"exclusive", no_argument, NULL, OPT_EXCLUSIVE},
		{"hand-over", no_argument, NULL, OPT_HAND_OVER},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.max_queues = worker_default_queues(), .max_grants = worker_default_grants()};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":fdshV", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o.foreground = true;
			break;
		case 'd':
			o.debug = true;
			break;
		case 's':
			o.syslog = true;
			break;
		case OPT_CHECK:
			o.check = optarg;
			break;
		case OPT_MAX_QUEUES:
			if (!worker_parse_queues(optarg, &o.max_queues))
				return misuse("--max-queues is 1 to 8, not ", optarg);
			break;
		case OPT_MAX_GRANTS:
			if (!worker_parse_grants(optarg, &o.max_grants))
				return misuse("--max-grants is 0 to 16777216, not ", optarg);
			break;
		case OPT_CACHE:
			if (!cache_mode_parse(optarg, &o.cache))
				return misuse(
					"--cache is none, directsync, writethrough, writeback or unsafe, not ",
					optarg);
			break;
		case OPT_READ_ONLY:
			o.read_only = true;
			break;
		case OPT_EXCLUSIVE:
			o.exclusive = true;
			break;
		case OPT_HAND_OVER:
			o.hand_over = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return WORKER_OK;
		case 'V':
			(void)puts(PROGRAM " " BLKBACK_VERSION);
			return WORKER_OK;
		default:
			usage_refuse(PROGRAM, c, argv);
			return WORKER_USAGE;
		}
	}
	if (argc - optind != (o.check ? 0 : 1))
		return misuse(
			o.check ? "--check takes no backend path" : "one backend path is needed",
			"");
	if (o.hand_over && !o.check)
		return misuse("--hand-over goes with --check; a worker does it by itself", "");
	if (o.exclusive && !o.check)
		return misuse("--exclusive goes with --check; a worker sees to it by itself", "");
	if (o.read_only && !o.check)
		return misuse(
			"--read-only goes with --check; a disk's node 'mode' decides otherwise",
			"");
	o.backend = argv[optind];
	*ret_options = o;
	return -1;
}

/* Ready: errors have been shown to whoever started us, from now on they go to the log. */
static void tell_parent(void *ctx)
{
	int *ready_fd = ctx;
	bool has_file;

	if (*ready_fd < 0)
		return;
	has_file = log_to_file(getenv(LOG_ENV));
	if (!has_file)
		log_to_syslog();
	background_detach(has_file);
	background_ready(ready_fd);
}

/* ---- serving ---- */

static enum worker_exit serve(const struct options *o, int *ready_fd)
{
	const char *run_dir = getenv(RUN_DIR_ENV);
	const char *stats_dir = getenv(STATS_DIR_ENV);
	struct worker_config cfg = {.backend = o->backend,
		.stats_dir = STATS_DIR,
		.max_queues = o->max_queues,
		.max_grants = o->max_grants,
		.cache = o->cache,
		.ready = tell_parent,
		.ctx = ready_fd};
	char name[WORKER_NAME_MAX];
	struct pidfile pidfile;
	struct problem problem;
	enum worker_exit result;
	int r;

	if (!worker_name(o->backend, name))
		return misuse("not a backend path such as backend/vbd/5/51712: ", o->backend);
	log_init(PROGRAM, name);
	log_set_debug(o->debug);
	if (o->syslog && o->foreground)
		log_to_syslog();
	if (!run_dir || !run_dir[0])
		run_dir = RUN_DIR;
	if (run_dir[0] != '/')
		return misuse(RUN_DIR_ENV " is not an absolute path: ", run_dir);
	if (stats_dir && stats_dir[0])
		cfg.stats_dir = stats_dir;
	if (cfg.stats_dir[0] != '/')
		return misuse(STATS_DIR_ENV " is not an absolute path: ", stats_dir);
	r = pidfile_take(run_dir, name, &pidfile, &problem);
	if (r) {
		log_err("%s", problem.text);
		return r == -EBUSY ? WORKER_BUSY : WORKER_FAILED;
	}
	cfg.run_dir = run_dir;
	result = worker_run(&cfg);
	pidfile_release(&pidfile);
	return result;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	sigset_t signals;
	int ready_fd = -1;
	int result = parse(argc, argv, &options);

	if (result >= 0)
		return result;
	if (options.check)
		return check_image(
			options.check, &(struct check_terms){options.read_only, options.cache,
					       options.exclusive, options.hand_over});
	(void)signal(SIGPIPE, SIG_IGN);
	/* An image as large as this process may make one is a full disk, and no reason to die. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (!options.foreground) {
		ready_fd = background_enter(PROGRAM);
		if (ready_fd < 0) {
			(void)fprintf(stderr, "%s: cannot go into the background: %s\n", PROGRAM,
				strerror(-ready_fd));
			return WORKER_FAILED;
		}
	}
	/* Only now: until here ^C ends us like any command. */
	worker_signals(&signals);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	return (int)serve(&options, &ready_fd);
}
