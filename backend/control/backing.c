#include "backend/control/backing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore/node.h"
#include "xenstore/path.h"
#include "xenstore/store.h"

/* The longest name of a node in a backend directory. */
#define BACKEND_NODE_MAX 128

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
static int read_mode(
	struct node_dir *dir, bool *ret_read_only, bool *ret_shared, struct problem *problem)
{
	char *mode;
	enum node_result result = node_string(dir, "mode", 4, "rw!", &mode);

	if (result != NODE_VALUE)
		return bad_node(dir, "mode", result, "the toolstack writes r or w there", problem);
	*ret_read_only = strchr(mode, 'w') == NULL;
	*ret_shared = !*ret_read_only && strchr(mode, '!') != NULL;
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

/* Any bytes a file name can have, but control characters: the toolstack's, not a guest's. */
static bool is_file_name(const char *path)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return false;
	return path[0] == '/';
}

/* To be freed by the caller; NULL with the reason in @ret_error. */
static char *read_path(struct node_dir *dir, int *ret_error, struct problem *problem)
{
	char name[BACKEND_NODE_MAX];
	char *path = NULL;
	int r = path_join(name, sizeof(name), dir->path, "physical-device-path");

	if (r == 0)
		r = store_read(dir->store, dir->txn, name, &path, NULL);
	if (r) {
		*ret_error = problem_set(problem, r,
			"node '%s/physical-device-path' cannot be read: %s: the hotplug script writes the image's path there",
			dir->path, strerror(-r));
		return NULL;
	}
	if (is_file_name(path) || storage_is_null(path))
		return path;
	free(path);
	*ret_error = problem_set(
		problem, -EINVAL, "node '%s/physical-device-path' is not a path", dir->path);
	return NULL;
}

char *backing_path(struct store *store, const char *backend)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	struct problem ignored;
	int error;

	return read_path(&dir, &error, &ignored);
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
	int r = read_mode(&dir, &read_only, &ret_facts->shared, ret_problem);

	if (r == 0)
		r = read_info(&dir, &ret_facts->info, ret_problem);
	if (r)
		return r;
	read_only = read_only || terms->only_read;
	path = read_path(&dir, &r, ret_problem);
	if (path == NULL)
		return r;
	r = open_path(path, read_only, terms, ret_storage, ret_problem);
	free(path);
	if (r == 0 && read_only)
		ret_facts->info |= INFO_READ_ONLY;
	return r;
}
