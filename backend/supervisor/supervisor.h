/*
 * The resident supervisor: waits for xenstore, signals, workers and time, and lets the keeper act.
 *
 * Main thread only, and there is no other. The caller has blocked supervisor_signals() and ignored
 * SIGPIPE. Logs.
 */
#ifndef BACKEND_SUPERVISOR_SUPERVISOR_H
#define BACKEND_SUPERVISOR_SUPERVISOR_H

#include <signal.h>
#include <stdbool.h>

struct config;

/* Exit codes of blkbackd; see its manual. */
enum supervisor_exit {
	SUPERVISOR_OK = 0,
	SUPERVISOR_FAILED = 1,
	SUPERVISOR_USAGE = 2,
	SUPERVISOR_CONFIG = 3,   /* the configuration is wrong */
	SUPERVISOR_NO_STORE = 4, /* at start: xenstored cannot be reached */
	SUPERVISOR_BUSY = 6,     /* another one runs */
};

struct supervisor_options {
	const char *config_path; /* read again on SIGHUP */
	bool may_be_missing;     /* the file, which then means the defaults */
	bool debug;              /* whatever the configuration says */
	const char *run_dir;
	/* Called once, before the first worker is started. True when the log goes to syslog now. */
	bool (*detach)(void *ctx);
	/* Called once, after the first scan. */
	void (*ready)(void *ctx);
	void *ctx;
};

/* Fills @ret_signals with what the supervisor waits for. */
void supervisor_signals(sigset_t *ret_signals) __attribute__((nonnull));

/* Run with @config, which has been read already, until a signal ends it. The workers go on. */
enum supervisor_exit supervisor_run(const struct supervisor_options *options,
	const struct config *config) __attribute__((nonnull));

#endif
