#include "qemu-dm-bridge/device-model/served.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/control/backing_nodes.h"
#include "backend/control/options.h"
#include "backend/supervisor/config.h"
#include "backend/supervisor/scan.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

struct looking {
	struct store *store;
	const struct config *config;
	struct served_list *list;
	struct problem *problem;
	int error;
};

static int bad_node(const struct node_dir *dir, const char *name, enum node_result result,
	struct problem *problem)
{
	int error = result == NODE_ERROR ? dir->error : -EINVAL;

	return problem_set(problem, error, "node '%s/%s' %s", dir->path, name,
		result == NODE_ERROR ? strerror(-error) : "is missing or malformed");
}

/* The options' default is the worker's, which has written it down. */
static int read_cache(struct looking *looking, struct node_dir *dir, struct served *disk)
{
	enum cache_mode fallback = looking->config->cache;
	struct disk_options options;
	char *text = NULL;
	enum node_result result = node_string(dir, "cache-mode-default", 32, NULL, &text);
	int r;

	if (result == NODE_ERROR || (result == NODE_VALUE && !cache_mode_parse(text, &fallback))) {
		free(text);
		return bad_node(dir, "cache-mode-default", result, looking->problem);
	}
	free(text);
	r = options_read(looking->store, dir->path, fallback, &options, looking->problem);
	if (r == 0)
		disk->cache = options.cache;
	return r;
}

static int read_access(struct looking *looking, struct served *disk)
{
	bool read_only, shared;
	int r = backing_mode(looking->store, disk->backend, &read_only, &shared, looking->problem);

	if (r == 0)
		disk->access = read_only ? OWNERSHIP_READ
			       : shared  ? OWNERSHIP_SHARED_WRITE
					 : OWNERSHIP_WRITE;
	return r;
}

static int add(struct served_list *list, const struct served *disk)
{
	if (list->nr == list->room) {
		unsigned room = list->room ? list->room * 2 : 8;
		struct served *disks = reallocarray(list->disks, room, sizeof(*disks));

		if (!disks)
			return -ENOMEM;
		list->disks = disks;
		list->room = room;
	}
	list->disks[list->nr++] = *disk;
	return 0;
}

/* One that the hotplug script has not found an image for, or has failed to, is not served. */
static int read_disk(struct looking *looking, const struct vbd_path *path)
{
	struct served disk = {.image = NULL};
	struct node_dir dir = {.store = looking->store, .txn = STORE_NO_TXN, .path = disk.backend};
	int r;

	vbd_path_relative(path, disk.backend);
	r = backing_path(looking->store, disk.backend, &disk.image, looking->problem);
	if (r)
		return r == -ENOENT ? 0 : r;
	r = read_access(looking, &disk);
	if (r == 0)
		r = read_cache(looking, &dir, &disk);
	if (r == 0 && (r = add(looking->list, &disk)))
		r = problem_set(looking->problem, r, "no memory");
	if (r)
		free(disk.image);
	return r;
}

static void look(void *ctx, const struct vbd_path *path)
{
	struct looking *looking = ctx;
	enum disk_event seen;

	if (looking->error)
		return;
	looking->error = scan_look(looking->store, looking->config, path, &seen);
	if (looking->error)
		(void)problem_set(looking->problem, looking->error,
			"the disks of domain %" PRIu32 ": %s", path->domid,
			strerror(-looking->error));
	else if (seen != DISK_EV_GONE && seen != DISK_EV_OVER)
		looking->error = read_disk(looking, path);
}

int served_find(struct store *store, const struct config *config, uint32_t domid,
	struct served_list *ret_list, struct problem *problem)
{
	struct looking looking = {
		.store = store, .config = config, .list = ret_list, .problem = problem};
	char id[16];
	int r;

	*ret_list = (struct served_list){0};
	(void)snprintf(id, sizeof(id), "%" PRIu32, domid);
	for (unsigned i = 0; i < config->kinds.n; i++) {
		r = scan_list_domain(store, config->kinds.word[i], id, look, &looking);
		if (r)
			return problem_set(
				problem, r, "the disks of domain %s: %s", id, strerror(-r));
		if (looking.error)
			return looking.error;
	}
	return 0;
}

void served_free(struct served_list *list)
{
	for (unsigned i = 0; i < list->nr; i++)
		free(list->disks[i].image);
	free(list->disks);
	*list = (struct served_list){0};
}
