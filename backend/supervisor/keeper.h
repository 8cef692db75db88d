/*
 * Keeps one worker per disk: turns what happens into events of the table in disk.h, and performs
 * what the table says.
 *
 * Main thread only. Logs: each worker that starts or ends, and why; each disk that is given up,
 * once. Never waits for a worker. Errors of the store are not returned: a lost one sets @store_lost,
 * after which the owner gives us another store and asks for a scan.
 */
#ifndef BACKEND_SUPERVISOR_KEEPER_H
#define BACKEND_SUPERVISOR_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/supervisor/disks.h"

struct config;
struct domains;
struct store;

struct keeper {
	const struct config *config;
	const char *run_dir;
	bool debug;  /* start workers with --debug */
	bool syslog; /* start workers with --syslog */
	int epoll_fd;
	struct store *store; /* NULL while there is none: nothing is looked at, no worker started */
	bool store_lost;
	struct domains *domains;
	uint64_t now_ms; /* kept up to date by the owner */
	struct disks disks;
};

/* Something happened at @path, as a watch event names it. Noted only: see keeper_look(). */
void keeper_heed(struct keeper *keeper, const char *path) __attribute__((nonnull));

/* Look at all disks that something happened to. */
void keeper_look(struct keeper *keeper) __attribute__((nonnull));

/*
 * Look at everything: workers that run, from their pid files, and disks, from the store. Starts a
 * worker for each disk that is to have one; those given up or stopped only if @retry.
 */
void keeper_scan(struct keeper *keeper, bool retry) __attribute__((nonnull));

/* Domains may have died. */
void keeper_check_domains(struct keeper *keeper) __attribute__((nonnull));

/* A pidfd is readable. */
void keeper_heed_pidfd(struct keeper *keeper, int pidfd) __attribute__((nonnull));

/* Time has passed. */
void keeper_heed_time(struct keeper *keeper) __attribute__((nonnull));

/* When to call that next, or 0. */
uint64_t keeper_deadline(const struct keeper *keeper) __attribute__((nonnull));

/* Forget all disks. Their workers go on. */
void keeper_fini(struct keeper *keeper) __attribute__((nonnull));

#endif
