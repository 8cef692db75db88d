#include "xenstore/state.h"

#include <errno.h>
#include <stdlib.h>
#include <xen/io/xs_wire.h>

#include "xenstore/node.h"
#include "xenstore/path.h"
#include "xenstore/store.h"

int state_read(const struct node_dir *dir, enum xenbus_state *ret_state)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	char *text = NULL;
	int r;

	r = path_join(path, sizeof(path), dir->path, "state");
	if (r < 0)
		return r;
	r = store_read(dir->store, dir->txn, path, &text, NULL);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	*ret_state = r == -EBADMSG ? XENBUS_UNKNOWN : xenbus_parse(text);
	free(text);
	return 0;
}

int state_switch(const struct node_dir *dir, enum xenbus_state seen, enum xenbus_state next)
{
	enum xenbus_state now;
	int r;

	r = state_read(dir, &now);
	if (r < 0)
		return r;
	if (now == XENBUS_ABSENT)
		return -ENOENT;
	if (now != seen)
		return -ESTALE;
	return node_printf(dir, "state", "%d", (int)next);
}
