/* The removal of a device, in the order of libxl_device.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

int device_init(struct device *d, uint32_t domid, uint32_t devid, const char *kind)
{
	if (!*kind || strlen(kind) >= sizeof(d->kind) || strchr(kind, '/'))
		return -EINVAL;
	*d = (struct device){.domid = domid, .devid = devid};
	(void)snprintf(d->kind, sizeof(d->kind), "%s", kind);
	(void)snprintf(d->backend, sizeof(d->backend), "/local/domain/0/backend/%s/%u/%u", kind,
		domid, devid);
	(void)snprintf(
		d->frontend, sizeof(d->frontend), "/local/domain/%u/device/vbd/%u", domid, devid);
	(void)snprintf(d->shadow, sizeof(d->shadow), "/libxl/%u/device/vbd/%u", domid, devid);
	return 0;
}

int device_find(struct device *d, struct xs_handle *xs, uint32_t domid, uint32_t devid)
{
	static const char prefix[] = "/local/domain/0/backend/";
	char *backend = tree_read(xs, "/libxl/%u/device/vbd/%u/backend", domid, devid);
	char *kind, *slash;
	int r = -ENOENT;

	if (backend && !strncmp(backend, prefix, sizeof(prefix) - 1)) {
		kind = backend + sizeof(prefix) - 1;
		slash = strchr(kind, '/');
		if (slash)
			*slash = '\0';
		r = device_init(d, domid, devid, kind);
	}
	free(backend);
	return r;
}

struct removal {
	const struct device *d;
	bool force, closed, gone;
};

static void removal_begin(struct tree_tx *tx, void *arg)
{
	struct removal *rm = arg;
	char path[160], *state;

	(void)snprintf(path, sizeof(path), "%s/state", rm->d->backend);
	if (rm->force)
		tree_remove_upwards(tx, rm->d->frontend);
	if (tx->error)
		return;
	state = xs_read(tx->xs, tx->t, path, NULL);
	rm->gone = !state;
	rm->closed = state && !strcmp(state, "6");
	free(state);
	if (rm->gone)
		return; /* the backend went by itself: only what is ours is cleaned up */
	tree_put(tx, (struct tree_acl){0}, "0", "%s/online", rm->d->backend);
	if (!rm->closed)
		tree_put(tx, (struct tree_acl){0}, "5", "%s/state", rm->d->backend);
}

static void removal_finish(struct tree_tx *tx, void *arg)
{
	const struct removal *rm = arg;

	tree_remove_upwards(tx, rm->d->frontend);
	tree_remove_upwards(tx, rm->d->shadow);
	tree_remove_upwards(tx, rm->d->backend);
}

/* A failed script does not stop a removal, it is only told. */
static void removal_script(const struct device *d, struct xs_handle *xs)
{
	char *script = tree_read(xs, "%s/script", d->backend);
	int r = script ? script_run(d, script, "remove") : 0;

	if (r < 0)
		tool_error("hotplug script '%s remove' for '%s' %s", script, d->backend,
			r == -ETIMEDOUT ? "did not end in time" : "failed");
	free(script);
}

int device_remove(struct device *d, struct xs_handle *xs, bool force, bool run_script)
{
	struct removal rm = {.d = d, .force = force};
	char path[160];
	int r;

	r = tree_transact(xs, removal_begin, &rm);
	if (r < 0)
		return r;
	if (!rm.gone) {
		(void)snprintf(path, sizeof(path), "%s/state", d->backend);
		r = tree_wait_state(xs, path, 1u << STATE_CLOSED, true, tool_state_ms());
		if (r < 0 && !force)
			return r;
		if (r == 0 && run_script)
			removal_script(d, xs);
	}
	if (r < 0)
		tool_error("the backend of '%s' did not close: %s; removed by force", d->backend,
			strerror(-r));
	return tree_transact(xs, removal_finish, &rm);
}
