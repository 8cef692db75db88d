#include "backend/control/backing.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

/* 'r', 'w', or 'w!' and the like: what the block scripts know. Read-only unless it says w. */
static int read_mode(struct node_dir *dir, bool *ret_read_only, struct problem *problem)
{
	char *mode;
	enum node_result result = node_string(dir, "mode", 4, "rw!", &mode);

	if (result != NODE_VALUE)
		return bad_node(dir, "mode", result, "the toolstack writes r or w there", problem);
	*ret_read_only = strchr(mode, 'w') == NULL;
	free(mode);
	return 0;
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

int backing_open(struct store *store, const char *backend, struct storage *ret_storage,
	unsigned *ret_info, struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	bool read_only = true;
	char *path;
	enum node_result result;
	int r = read_mode(&dir, &read_only, ret_problem);

	if (r == 0)
		r = read_info(&dir, ret_info, ret_problem);
	if (r)
		return r;
	result = node_string(&dir, "physical-device-path", PATH_MAX, NULL, &path);
	if (result != NODE_VALUE)
		return bad_node(&dir, "physical-device-path", result,
			"the hotplug script writes the image's path there", ret_problem);
	r = storage_open(path, read_only, ret_storage, ret_problem);
	free(path);
	if (r == 0 && read_only)
		*ret_info |= INFO_READ_ONLY;
	return r;
}
