/*
 * Which disks are ours, and what their backend directories look like.
 *
 * Reads only what the toolstack writes, below backend/<kind>/<domid>/<devid>: nothing there is a
 * guest's. scan_judge() is pure; the others are round trips to xenstored, main thread only. Never
 * logs.
 */
#ifndef BACKEND_SUPERVISOR_SCAN_H
#define BACKEND_SUPERVISOR_SCAN_H

#include <stdbool.h>

#include "backend/supervisor/disk.h"
#include "xenstore/path.h"
#include "xenstore/xenbus.h"

struct config;
struct store;

/* The kind that the kernel's backend serves too: only a disk whose script is one of ours is ours. */
#define SCAN_SHARED_KIND "vbd"

/* What scan_look() reads of a directory. */
struct scan_nodes {
	enum xenbus_state state; /* XENBUS_ABSENT: there is no such directory */
	bool online;
	bool given_up;      /* worker-status says so: it is not a new one */
	const char *script; /* NULL: none */
};

/* DISK_EV_FRESH, _OPEN, _CLOSING, _OVER or _GONE. */
enum disk_event scan_judge(const struct config *config, const char *kind,
	const struct scan_nodes *nodes) __attribute__((nonnull, warn_unused_result));

/* The same for what the store has now: 0 or -errno. */
int scan_look(struct store *store, const struct config *config, const struct vbd_path *disk,
	enum disk_event *ret_event) __attribute__((nonnull, warn_unused_result));

/* Watch, or no longer, the directory of each kind, and deaths of domains: 0 or -errno. */
int scan_watch(struct store *store, const struct config *config)
	__attribute__((nonnull, warn_unused_result));
int scan_unwatch(struct store *store, const struct config *config)
	__attribute__((nonnull, warn_unused_result));

/* What a watch event is about. */
enum scan_scope {
	SCAN_NOTHING, /* nodes that others need, or that we wrote */
	SCAN_DISK,    /* one disk: the path has all */
	SCAN_DOMAIN,  /* disks of one domain: the path has kind and domid */
	SCAN_KIND,    /* disks of a kind: the path has the kind */
	SCAN_DEATHS,  /* domains may have died */
};
enum scan_scope scan_scope(const char *event_path, struct vbd_path *ret_path)
	__attribute__((nonnull, warn_unused_result));

/* Calls @found for each disk there is of @kind, or -errno. What is no disk's name is passed over. */
typedef void (*scan_found)(void *ctx, const struct vbd_path *disk);
int scan_list(struct store *store, const char *kind, scan_found found, void *ctx)
	__attribute__((nonnull(1, 2, 3), warn_unused_result));

/* The same for one domain's. */
int scan_list_domain(struct store *store, const char *kind, const char *domid, scan_found found,
	void *ctx) __attribute__((nonnull(1, 2, 3, 4), warn_unused_result));

#endif
