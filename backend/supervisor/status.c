#include "backend/supervisor/status.h"

#include <errno.h>

#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"
#include "xenstore/txn.h"

struct change {
	const char *backend;
	const char *status;
	const char *error;
};

static int write_change(struct store *store, uint32_t txn, void *ctx)
{
	static const char *const done[] = {"connected"};
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	enum xenbus_state state;
	unsigned ignored;
	int r = state_read(&dir, &state);

	if (r == 0 && state == XENBUS_ABSENT)
		r = -ENOENT;
	if (r == 0)
		r = node_printf(&dir, "worker-status", "%s", change->status);
	if (r == 0 && change->error &&
		node_enum(&dir, "hotplug-status", done, 1, &ignored) != NODE_VALUE)
		r = node_printf(&dir, "hotplug-error", "%s", change->error);
	return r;
}

int status_write(struct store *store, const char *backend, const char *status, const char *error)
{
	struct change change = {.backend = backend, .status = status, .error = error};
	int r = txn_run(store, write_change, &change, TXN_TRIES);

	return r == -ENOENT ? 0 : r;
}
