/*
 * What we write into the backend directory, always together with our state, in one transaction.
 *
 * Control thread only. Never logs. Every function writes all or nothing and returns what
 * state_switch() does: 0, -ESTALE when our state node is no longer @seen (look again), -ENOENT when
 * the directory is gone, or another -errno of the store.
 */
#ifndef BACKEND_CONTROL_PUBLISH_H
#define BACKEND_CONTROL_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/storage.h"
#include "xenstore/xenbus.h"

struct store;

/* What the disk offers once it is Connected. */
struct disk_features {
	uint64_t nr_sectors; /* 512-byte units */
	unsigned physical_sector_size;
	unsigned info; /* VDISK_* */
	bool persistent;
	bool flush;
	bool barrier;
	bool indirect;
	enum cache_mode cache;  /* what the disk is opened in */
	struct discard discard; /* what of it is offered */
};

/* Where we write, and what a frontend may choose its rings by, as it stands there. */
struct publisher {
	struct store *store;
	const char *backend;
	unsigned max_queues;           /* 1: no word of it */
	enum cache_mode default_cache; /* of a disk that does not say: for the hotplug script */
};

/*
 * Our next state. With InitWait comes what a frontend must know to choose a ring: which storage it will be, and
 * what is not to be offered (D4), the hotplug script has yet to say. @error, if
 * not NULL, is why, in a sentence for hotplug-error, where libxl and people look.
 */
int publish_state(const struct publisher *pub, enum xenbus_state seen, enum xenbus_state next,
	const char *error) __attribute__((nonnull(1), warn_unused_result));

/*
 * Closing, because of what the frontend says: only while it is there (3 or 4). -ESTALE also when it is not: one that has started
 * over meanwhile would take that for itself.
 */
int publish_refusal(const struct publisher *pub, const char *frontend, enum xenbus_state seen,
	const char *error) __attribute__((nonnull(1, 2), warn_unused_result));

/* In InitWait: pub.max_queues is another than what was published with it. */
int publish_queues(const struct publisher *pub) __attribute__((nonnull, warn_unused_result));

/* Connected, with the disk's features; an earlier hotplug-error goes unless it still holds. */
int publish_connected(const struct publisher *pub, enum xenbus_state seen,
	const struct disk_features *features, bool keep_error)
	__attribute__((nonnull, warn_unused_result));

/*
 * A new size: `sectors`, and Connected over Connected, upon which frontends read it. Only while the frontend is
 * there (3 or 4): one that has left, and sees 4 again, would connect. -ESTALE when it is not, or our state is
 * another.
 */
int publish_sectors(const struct publisher *pub, const char *frontend, uint64_t nr_sectors)
	__attribute__((nonnull, warn_unused_result));

/* What a disk's cache mode is, and what came of asking for another. */
struct publish_mode {
	enum cache_mode active;
	bool is_offline;   /* nobody is connected: there is no active one */
	bool by_guest;     /* the error, or that there is none, is about the guest's wish */
	const char *error; /* NULL: none any more */
	const char *
		configured; /* for the node cache-mode, by which the disk is opened next; or NULL */
};

/* Our state stays @seen. */
int publish_mode(const struct publisher *pub, enum xenbus_state seen,
	const struct publish_mode *mode) __attribute__((nonnull, warn_unused_result));

/* D9: why the disk is stopped, for people; NULL when it is not any more. Our state stays @seen. */
int publish_stopped(const struct publisher *pub, enum xenbus_state seen, const char *why)
	__attribute__((nonnull(1), warn_unused_result));

/* The loss of data that publish_error() told of is accepted. Our state stays @seen. */
int publish_no_fault(const struct publisher *pub, enum xenbus_state seen)
	__attribute__((nonnull, warn_unused_result));

/*
 * An fdatasync failed, and @error says what follows: hotplug-error, and data-lost, by which
 * hotplug scripts know. Our state stays @seen.
 */
int publish_error(const struct publisher *pub, enum xenbus_state seen, const char *error)
	__attribute__((nonnull, warn_unused_result));

#endif
