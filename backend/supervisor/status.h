/*
 * What the supervisor writes into a disk's backend directory.
 *
 * Main thread only; one transaction each; never logs. Nothing is written into a directory without
 * `state`: it would make one anew that the toolstack has removed.
 */
#ifndef BACKEND_SUPERVISOR_STATUS_H
#define BACKEND_SUPERVISOR_STATUS_H

struct store;

/* The node worker-status. */
#define STATUS_RUNNING    "running"
#define STATUS_RESTARTING "restarting"
#define STATUS_FAILED     "failed"

/*
 * Set worker-status to @status and, unless @error is NULL or the hotplug script has succeeded,
 * hotplug-error, which libxl shows. 0, also when the directory has gone, or -errno.
 */
int status_write(struct store *store, const char *backend, const char *status, const char *error)
	__attribute__((nonnull(1, 2, 3), warn_unused_result));

#endif
