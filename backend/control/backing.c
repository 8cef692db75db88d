#include "backend/control/backing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/control/backing_nodes.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

/* blkif.h's VDISK_* values: control does not include the ring's headers. */
enum {
	INFO_CDROM = 1,
	INFO_REMOVABLE = 2,
	INFO_READ_ONLY = 4,
};

int backing_hotplug(struct store *store, const char *backend, enum hotplug_state *ret_state)
{
	static const char *const words[] = {"connected", "error", "busy"};
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	unsigned word;

	switch (node_enum(&dir, "hotplug-status", words, 3, &word)) {
	case NODE_VALUE:
		*ret_state = word == 0 ? HOTPLUG_CONNECTED : HOTPLUG_FAILED;
		return 0;
	case NODE_ERROR:
		return dir.error;
	case NODE_ABSENT:
	case NODE_MALFORMED:
		break;
	}
	*ret_state = HOTPLUG_WAITING;
	return 0;
}

static int bad_node(struct node_dir *dir, const char *name, enum node_result result,
	const char *rule, struct problem *problem)
{
	if (result == NODE_ERROR)
		return problem_set(problem, dir->error, "node '%s/%s' cannot be read: %s",
			dir->path, name, strerror(-dir->error));
	return problem_set(problem, -EINVAL, "node '%s/%s' is %s: %s", dir->path, name,
		result == NODE_ABSENT ? "missing" : "malformed", rule);
}

static int read_info(struct node_dir *dir, unsigned *ret_info, struct problem *problem)
{
	static const char *const types[] = {"disk", "cdrom"};
	unsigned type = 0;
	bool removable = false;
	enum node_result result = node_enum(dir, "device-type", types, 2, &type);

	if (result == NODE_ERROR)
		return bad_node(dir, "device-type", result, "", problem);
	result = node_bool(dir, "removable", &removable);
	if (result == NODE_ERROR)
		return bad_node(dir, "removable", result, "", problem);
	*ret_info = (type == 1 ? INFO_CDROM : 0u) | (removable ? INFO_REMOVABLE : 0u);
	return 0;
}

static int open_path(const char *path, bool read_only, const struct backing_terms *terms,
	struct storage *ret_storage, struct problem *problem)
{
	struct storage_terms how = {
		.read_only = read_only, .cache = terms->cache, .discard = terms->discard};
	int r = storage_open(path, &how, ret_storage, problem);

	if (r || terms->expected == NULL ||
		storage_identity_same(&ret_storage->identity, terms->expected))
		return r;
	storage_close(ret_storage);
	return problem_set(problem, -ENXIO,
		"'%s' is not the file or device this disk was on before: detach the disk and attach it again",
		path);
}

int backing_open(struct store *store, const char *backend, const struct backing_terms *terms,
	struct storage *ret_storage, struct backing_facts *ret_facts, struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	bool read_only = true;
	char *path;
	int r = backing_mode(store, backend, &read_only, &ret_facts->shared, ret_problem);

	if (r == 0)
		r = read_info(&dir, &ret_facts->info, ret_problem);
	if (r)
		return r;
	read_only = read_only || terms->only_read;
	r = backing_path(store, backend, &path, ret_problem);
	if (r)
		return r;
	if (path[0] == '/' || storage_is_null(path))
		r = open_path(path, read_only, terms, ret_storage, ret_problem);
	else
		r = problem_set(ret_problem, -EINVAL,
			"node '%s/physical-device-path' is not a path", backend);
	free(path);
	if (r == 0 && read_only)
		ret_facts->info |= INFO_READ_ONLY;
	return r;
}
