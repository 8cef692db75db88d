#include "backend/control/backing_nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore/node.h"
#include "xenstore/path.h"
#include "xenstore/store.h"

/* The longest name of a node in a backend directory. */
#define BACKEND_NODE_MAX 128

int backing_mode(struct store *store, const char *backend, bool *ret_read_only, bool *ret_shared,
	struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	char *mode;
	enum node_result result = node_string(&dir, "mode", 4, "rw!", &mode);

	if (result == NODE_ERROR)
		return problem_set(ret_problem, dir.error, "node '%s/mode' cannot be read: %s",
			backend, strerror(-dir.error));
	if (result != NODE_VALUE)
		return problem_set(ret_problem, -EINVAL,
			"node '%s/mode' is %s: the toolstack writes r or w there", backend,
			result == NODE_ABSENT ? "missing" : "malformed");
	*ret_read_only = strchr(mode, 'w') == NULL;
	*ret_shared = !*ret_read_only && strchr(mode, '!') != NULL;
	free(mode);
	return 0;
}

/* The toolstack's, not a guest's: it may be in any language. */
static bool has_control(const char *path)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return true;
	return false;
}

int backing_path(
	struct store *store, const char *backend, char **ret_path, struct problem *ret_problem)
{
	char name[BACKEND_NODE_MAX];
	char *path = NULL;
	int r = path_join(name, sizeof(name), backend, "physical-device-path");

	if (r == 0)
		r = store_read(store, STORE_NO_TXN, name, &path, NULL);
	if (r)
		return problem_set(ret_problem, r,
			"node '%s/physical-device-path' cannot be read: %s: the hotplug script writes the image's path there",
			backend, strerror(-r));
	if (!has_control(path)) {
		*ret_path = path;
		return 0;
	}
	free(path);
	return problem_set(
		ret_problem, -EINVAL, "node '%s/physical-device-path' is not a path", backend);
}
