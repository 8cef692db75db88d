#include "backend/supervisor/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/supervisor/config.h"
#include "backend/supervisor/status.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

#define BASE   "backend/"
#define DEATHS "@releaseDomain"

/* The path of a script is the toolstack's; longer ones are nobody's of ours. */
#define SCRIPT_MAX 1024

/* Room for "backend/<kind>/<domid>". */
#define DIRECTORY_MAX (sizeof(BASE) + CONFIG_WORD_MAX + 1 + 16)

/* ---- one disk ---- */

static bool is_ours(const struct config *config, const char *kind, const char *script)
{
	const char *slash = script ? strrchr(script, '/') : NULL;

	if (!config_has(&config->kinds, kind))
		return false;
	if (strcmp(kind, SCAN_SHARED_KIND) != 0)
		return true;
	return script && config_has(&config->scripts, slash ? slash + 1 : script);
}

enum disk_event scan_judge(
	const struct config *config, const char *kind, const struct scan_nodes *nodes)
{
	if (nodes->state == XENBUS_ABSENT)
		return DISK_EV_GONE;
	if (!is_ours(config, kind, nodes->script))
		return DISK_EV_OVER;
	if (nodes->state == XENBUS_INITIALISING)
		return nodes->given_up ? DISK_EV_OPEN : DISK_EV_FRESH;
	if (nodes->online)
		return DISK_EV_OPEN;
	if (nodes->state == XENBUS_CLOSED)
		return DISK_EV_OVER;
	return nodes->state == XENBUS_CLOSING ? DISK_EV_CLOSING : DISK_EV_OPEN;
}

int scan_look(struct store *store, const struct config *config, const struct vbd_path *disk,
	enum disk_event *ret_event)
{
	char path[VBD_PATH_MAX];
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = path};
	struct scan_nodes nodes = {.online = false};
	static const char *const given_up[] = {STATUS_FAILED};
	char *script = NULL;
	unsigned ignored;
	enum node_result status;
	int r;

	vbd_path_relative(disk, path);
	r = state_read(&dir, &nodes.state);
	if (r)
		return r;
	if (node_bool(&dir, "online", &nodes.online) == NODE_ERROR)
		return dir.error;
	if (node_string(&dir, "script", SCRIPT_MAX, NULL, &script) == NODE_ERROR)
		return dir.error;
	status = node_enum(&dir, "worker-status", given_up, 1, &ignored);
	if (status == NODE_ERROR) {
		free(script);
		return dir.error;
	}
	nodes.given_up = status == NODE_VALUE;
	nodes.script = script;
	*ret_event = scan_judge(config, disk->kind, &nodes);
	free(script);
	return 0;
}

/* ---- watches ---- */

/* One for each kind, with the kind as token. */
int scan_watch(struct store *store, const struct config *config)
{
	int r = store_watch(store, DEATHS, DEATHS);

	for (unsigned i = 0; r == 0 && i < config->kinds.n; i++) {
		char path[DIRECTORY_MAX];

		(void)snprintf(path, sizeof(path), BASE "%s", config->kinds.word[i]);
		r = store_watch(store, path, config->kinds.word[i]);
	}
	return r;
}

int scan_unwatch(struct store *store, const struct config *config)
{
	int r = store_unwatch(store, DEATHS, DEATHS);

	for (unsigned i = 0; r == 0 && i < config->kinds.n; i++) {
		char path[DIRECTORY_MAX];

		(void)snprintf(path, sizeof(path), BASE "%s", config->kinds.word[i]);
		r = store_unwatch(store, path, config->kinds.word[i]);
	}
	return r;
}

/* Of a directory's nodes only these decide anything; a worker writes a dozen others. */
static bool decides(const char *node)
{
	return !*node || strcmp(node, "state") == 0 || strcmp(node, "online") == 0 ||
	       strcmp(node, "script") == 0;
}

/* "backend/<kind>/<domid>" or "backend/<kind>", by way of the strict parser. */
static enum scan_scope scope_above(const char *event_path, struct vbd_path *ret_path)
{
	char path[VBD_PATH_MAX + 16];
	int n = snprintf(path, sizeof(path), "%s/0", event_path);

	if (n < 0 || (size_t)n + 2 >= sizeof(path))
		return SCAN_NOTHING;
	if (vbd_path_parse(path, ret_path) == 0)
		return SCAN_DOMAIN;
	memcpy(path + n, "/0", 3);
	return vbd_path_parse(path, ret_path) == 0 ? SCAN_KIND : SCAN_NOTHING;
}

enum scan_scope scan_scope(const char *event_path, struct vbd_path *ret_path)
{
	const char *node;

	if (strcmp(event_path, DEATHS) == 0)
		return SCAN_DEATHS;
	if (vbd_path_parse_below(event_path, ret_path, &node) == 0)
		return decides(node) ? SCAN_DISK : SCAN_NOTHING;
	return scope_above(event_path, ret_path);
}

/* ---- lists ---- */

/* The names below @path; none if it is not there. */
static int list(struct store *store, const char *path, char ***ret_names, unsigned *ret_n)
{
	int r = store_list(store, STORE_NO_TXN, path, ret_names, ret_n);

	if (r == -ENOENT) {
		*ret_names = NULL;
		*ret_n = 0;
		return 0;
	}
	return r;
}

int scan_list_domain(
	struct store *store, const char *kind, const char *domid, scan_found found, void *ctx)
{
	char path[DIRECTORY_MAX], name[VBD_PATH_MAX + 16];
	char **devices;
	unsigned n;
	int r, length = snprintf(path, sizeof(path), BASE "%s/%s", kind, domid);

	/* Too long is no domain's number. */
	if (length < 0 || (size_t)length >= sizeof(path))
		return 0;
	r = list(store, path, &devices, &n);
	if (r)
		return r;
	for (unsigned i = 0; i < n; i++) {
		struct vbd_path disk;

		length = snprintf(name, sizeof(name), "%s/%s", path, devices[i]);
		if (length > 0 && (size_t)length < sizeof(name) && vbd_path_parse(name, &disk) == 0)
			found(ctx, &disk);
	}
	free(devices);
	return 0;
}

int scan_list(struct store *store, const char *kind, scan_found found, void *ctx)
{
	char path[DIRECTORY_MAX];
	char **domids;
	unsigned n;
	int r;

	(void)snprintf(path, sizeof(path), BASE "%s", kind);
	r = list(store, path, &domids, &n);
	if (r)
		return r;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = scan_list_domain(store, kind, domids[i], found, ctx);
	free(domids);
	return r;
}
