/*
 * A frontend's view of the store: its own directory, its backend's, and the backend's state.
 *
 * One thread at a time. Uses libxenstore directly, as the guest it plays would; with a relative path,
 * so it works in whatever domain the process is. Never logs. Blocks in blkfront_xenbus_wait() only,
 * apart from the store's own round trips. Watches are level triggers: an event makes us read the
 * state again and says nothing by itself.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_XENBUS_H
#define FRONTEND_SHIM_BLKFRONT_XENBUS_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
/* xenbus.h names the states. */
#include <xen/io/xenbus.h>

struct xs_handle;

struct blkfront_xenbus {
	struct xs_handle *xs;
	char *frontend; /* "device/vbd/51712" */
	char *backend;  /* "/local/domain/0/backend/vbd/5/51712" */
	unsigned backend_id;
	unsigned backend_state; /* as last read; XenbusStateUnknown when it is not there */
	bool lost;              /* the connection to the store broke */
};

/* One node of the frontend's directory: a value to write, or NULL to remove it. */
struct blkfront_node {
	const char *key;
	const char *value;
};

/*
 * Connect to the store, look up the backend of @frontend and watch its state. -ENOENT: there is no
 * such frontend or it has no backend; -EINVAL: backend-id is not a domain.
 */
int blkfront_xenbus_init(struct blkfront_xenbus *xenbus, const char *frontend)
	__attribute__((nonnull, warn_unused_result));
void blkfront_xenbus_fini(struct blkfront_xenbus *xenbus) __attribute__((nonnull));

/* Readable when a watch fired; -1 when the connection is lost. */
int blkfront_xenbus_fd(const struct blkfront_xenbus *xenbus) __attribute__((nonnull));

/* Take all watch events and read the backend's state again. */
void blkfront_xenbus_refresh(struct blkfront_xenbus *xenbus) __attribute__((nonnull));

/* Wait until 1 << backend_state is in @mask. -ETIMEDOUT after @timeout_ms, -EIO. */
int blkfront_xenbus_wait(struct blkfront_xenbus *xenbus, unsigned mask, unsigned timeout_ms)
	__attribute__((nonnull, warn_unused_result));

/* A whole decimal number of the backend's directory. -ENOENT when absent, -EINVAL when malformed. */
int blkfront_xenbus_read(struct blkfront_xenbus *xenbus, const char *key, uint64_t *ret_value)
	__attribute__((nonnull, warn_unused_result));

/* Our own state; XenbusStateUnknown when it is absent or malformed. */
unsigned blkfront_xenbus_own_state(struct blkfront_xenbus *xenbus) __attribute__((nonnull));

/* Write or remove @n nodes of our directory in one transaction. */
int blkfront_xenbus_publish(struct blkfront_xenbus *xenbus, const struct blkfront_node *nodes,
	unsigned n) __attribute__((nonnull, warn_unused_result));

/* Write our state, unless the node is gone: then the toolstack has removed the device. */
int blkfront_xenbus_switch(struct blkfront_xenbus *xenbus, enum xenbus_state state)
	__attribute__((nonnull));

/* "InitWait" for XenbusStateInitWait. Never NULL. */
const char *blkfront_xenbus_state_name(unsigned state);

#endif
