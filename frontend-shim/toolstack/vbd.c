/* vbd-attach and vbd-detach: what `xl block-attach` and `xl block-detach` do in xenstore. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

#define VBD_MAX_SETTINGS 32u

struct vbd {
	struct device device;
	const char *vdev, *target, *script, *kind;
	char mode;
	bool run_script, wait_init;
	char *settings[VBD_MAX_SETTINGS]; /* "key=value", beyond what libxl writes */
	unsigned nr_settings;
};

static bool vbd_is_qdisk(const struct vbd *v)
{
	return !strcmp(v->kind, "qdisk");
}

/* The backend's keys, in libxl's order; written to the backend directory and to libxl's copy. */
static void vbd_put_backend(struct tree_tx *tx, const struct vbd *v, const char *dir)
{
	const char *type = vbd_is_qdisk(v) ? "qdisk" : strcmp(v->kind, "vbd3") ? "phy" : "tap";
	struct tree_acl same = {0};
	char domid[16];

	(void)snprintf(domid, sizeof(domid), "%u", v->device.domid);
	if (vbd_is_qdisk(v)) {
		char params[PATH_MAX + 8];

		(void)snprintf(params, sizeof(params), "aio:%s", v->target);
		tree_put(tx, same, params, "%s/params", dir);
	} else {
		tree_put(tx, same, v->target, "%s/params", dir);
		tree_put(tx, same, v->script, "%s/script", dir);
	}
	tree_put(tx, same, domid, "%s/frontend-id", dir);
	tree_put(tx, same, "1", "%s/online", dir);
	tree_put(tx, same, "0", "%s/removable", dir);
	tree_put(tx, same, "1", "%s/bootable", dir);
	tree_put(tx, same, "1", "%s/state", dir);
	tree_put(tx, same, v->vdev, "%s/dev", dir);
	tree_put(tx, same, type, "%s/type", dir);
	tree_put(tx, same, v->mode == 'w' ? "w" : "r", "%s/mode", dir);
	tree_put(tx, same, "disk", "%s/device-type", dir);
	tree_put(tx, same, v->mode == 'w' ? "1" : "0", "%s/discard-enable", dir);
	tree_put(tx, same, "xen", "%s/specification", dir);
	for (unsigned i = 0; i < v->nr_settings; i++) {
		const char *value = strchr(v->settings[i], '=') + 1;

		tree_put(tx, same, value, "%s/%.*s", dir, (int)(value - 1 - v->settings[i]),
			v->settings[i]);
	}
}

static void vbd_put_frontend(struct tree_tx *tx, const struct vbd *v)
{
	const struct device *d = &v->device;
	struct tree_acl acl = tree_acl_reader(d->domid, 0);
	char devid[16];

	(void)snprintf(devid, sizeof(devid), "%u", d->devid);
	tree_remove(tx, d->frontend);
	tree_mkdir(tx, acl, d->frontend);
	tree_put(tx, (struct tree_acl){0}, d->backend, "%s/backend", d->frontend);
	tree_put(tx, acl, "0", "%s/backend-id", d->frontend);
	tree_put(tx, acl, "1", "%s/state", d->frontend);
	tree_put(tx, acl, devid, "%s/virtual-device", d->frontend);
	tree_put(tx, acl, "disk", "%s/device-type", d->frontend);
	tree_put(tx, acl, "1", "%s/trusted", d->frontend);
}

static void vbd_put(struct tree_tx *tx, void *arg)
{
	const struct vbd *v = arg;
	const struct device *d = &v->device;
	struct tree_acl same = {0};

	tree_remove(tx, d->shadow);
	tree_put(tx, same, d->frontend, "%s/frontend", d->shadow);
	tree_put(tx, same, d->backend, "%s/backend", d->shadow);
	vbd_put_frontend(tx, v);
	tree_remove(tx, d->backend);
	tree_mkdir(tx, tree_acl_reader(0, d->domid), d->backend);
	tree_put(tx, same, d->frontend, "%s/frontend", d->backend);
	vbd_put_backend(tx, v, d->backend);
	vbd_put_backend(tx, v, d->shadow);
}

static int vbd_plug(const struct vbd *v, struct xs_handle *xs)
{
	char path[160], *why;
	int r;

	if (v->wait_init && !vbd_is_qdisk(v)) {
		(void)snprintf(path, sizeof(path), "%s/state", v->device.backend);
		/* Exactly 2, as libxl: a backend that runs on to 4 at once is missed. */
		r = tree_wait_state(xs, path, 1u << STATE_INIT_WAIT, false, tool_state_ms());
		if (r < 0) {
			tool_error("the backend of '%s' did not reach InitWait: %s",
				v->device.backend, strerror(-r));
			return r == -ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
		}
	}
	if (!v->run_script || vbd_is_qdisk(v))
		return EXIT_DONE;
	r = script_run(&v->device, v->script, "add");
	if (!r)
		return EXIT_DONE;
	why = tree_read(xs, "%s/hotplug-error", v->device.backend);
	tool_error("hotplug script '%s add' for '%s' %s%s%s", v->script, v->device.backend,
		r == -ETIMEDOUT ? "did not end in time" : "failed", why ? ": " : "",
		why ? why : "");
	free(why);
	return r == -ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
}

static int vbd_attach(struct vbd *v)
{
	struct xs_handle *xs = tool_store();
	int r, code = EXIT_FAILED;
	char *id;

	if (!xs)
		return EXIT_FAILED;
	id = tree_read(xs, "/local/domain/%u/domid", v->device.domid);
	free(id);
	if (!id) {
		tool_error("there is no domain %u", v->device.domid);
		goto out;
	}
	id = tree_read(xs, "%s", v->device.shadow);
	free(id);
	if (id) {
		tool_error("domain %u has a device %u already", v->device.domid, v->device.devid);
		goto out;
	}
	r = tree_transact(xs, vbd_put, v);
	if (r < 0)
		tool_error("cannot write '%s': %s", v->device.backend, strerror(-r));
	else
		code = vbd_plug(v, xs);
out:
	xs_close(xs);
	return code;
}

static int vbd_usage(FILE *to, int code)
{
	fprintf(to, "usage: xensim vbd-attach [OPTION]... DOMID VDEV TARGET\n"
		    "Attaches a virtual disk as libxl does. VDEV is a number (51712) or a name "
		    "(xvda).\n"
		    "  --mode=r|w          read-only or writable (default w)\n"
		    "  --script=PATH       hotplug script (default $XENSIM_SCRIPT or "
		    "/etc/xen/scripts/block)\n"
		    "  --no-script         write its name, but do not run it\n"
		    "  --kind=KIND         backend kind: vbd, vbd3, qdisk ... (default vbd)\n"
		    "  --wait-initwait     first wait for backend state 2, as libxl\n"
		    "  --set=KEY=VALUE     one more key in the backend directory\n"
		    "Exit: 0 done, 1 failed, 2 usage, 3 no answer in time.\n");
	return code;
}

static int vbd_option(struct vbd *v, int opt, char *arg)
{
	switch (opt) {
	case 'm':
		if ((arg[0] != 'r' && arg[0] != 'w') || arg[1])
			return -EINVAL;
		v->mode = arg[0];
		return 0;
	case 's':
		v->script = arg;
		return 0;
	case 'n':
		v->run_script = false;
		return 0;
	case 'k':
		v->kind = arg;
		return 0;
	case 'w':
		v->wait_init = true;
		return 0;
	case 'S':
		if (!strchr(arg, '=') || arg[0] == '=' || v->nr_settings == VBD_MAX_SETTINGS)
			return -EINVAL;
		v->settings[v->nr_settings++] = arg;
		return 0;
	default:
		return -EINVAL;
	}
}

/* @nodes: "key=value", blank-separated; the settings keep pointing into it. */
static int vbd_nodes(struct vbd *v, char *nodes)
{
	char *node;
	int r = 0;

	while (r == 0 && (node = strsep(&nodes, " ")))
		if (*node)
			r = vbd_option(v, 'S', node);
	return r;
}

static int vbd_run(int argc, char **argv, char *nodes)
{
	static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
		{"script", required_argument, NULL, 's'}, {"no-script", no_argument, NULL, 'n'},
		{"kind", required_argument, NULL, 'k'}, {"wait-initwait", no_argument, NULL, 'w'},
		{"set", required_argument, NULL, 'S'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct vbd v = {
		.kind = "vbd", .mode = 'w', .run_script = true, .script = getenv("XENSIM_SCRIPT")};
	uint32_t domid, devid;
	int opt;

	if (!v.script)
		v.script = "/etc/xen/scripts/block";
	/* Before those that are given, which so win. */
	if (vbd_nodes(&v, nodes) < 0)
		return vbd_usage(stderr, EXIT_USAGE);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h')
			return vbd_usage(stdout, EXIT_DONE);
		if (vbd_option(&v, opt, optarg) < 0)
			return vbd_usage(stderr, EXIT_USAGE);
	}
	if (argc - optind != 3)
		return vbd_usage(stderr, EXIT_USAGE);
	if (tool_parse_domid(argv[optind], &domid) < 0)
		return EXIT_USAGE;
	v.vdev = argv[optind + 1];
	v.target = argv[optind + 2];
	if (vdev_parse(v.vdev, &devid) < 0 || device_init(&v.device, domid, devid, v.kind) < 0) {
		tool_error(
			"'%s' is not a virtual device, or '%s' not a backend kind", v.vdev, v.kind);
		return EXIT_USAGE;
	}
	if (!tool_host_dir())
		return EXIT_FAILED;
	return vbd_attach(&v);
}

int verb_vbd_attach(int argc, char **argv)
{
	const char *given = getenv("XENSIM_NODES");
	char *nodes = strdup(given ? given : "");
	int code = EXIT_FAILED;

	if (nodes)
		code = vbd_run(argc, argv, nodes);
	else
		tool_error("no memory for XENSIM_NODES");
	free(nodes);
	return code;
}

static int detach_usage(FILE *to, int code)
{
	fprintf(to, "usage: xensim vbd-detach [--force] [--no-script] DOMID VDEV\n"
		    "Detaches a virtual disk as libxl does: online=0 and state=5, waits 10 s for "
		    "state 6, runs\n"
		    "the hotplug script with 'remove', deletes both directories.\n"
		    "  --force      remove the frontend first, and all even if the backend does "
		    "not answer\n"
		    "  --no-script  do not run the script\n"
		    "Exit: 0 done, 1 failed, 2 usage, 3 no answer in time (nothing is deleted "
		    "then).\n");
	return code;
}

int verb_vbd_detach(int argc, char **argv)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'},
		{"no-script", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool force = false, run_script = true;
	uint32_t domid, devid;
	struct xs_handle *xs;
	struct device d;
	int opt, r;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h')
			return detach_usage(stdout, EXIT_DONE);
		if (opt == '?')
			return detach_usage(stderr, EXIT_USAGE);
		force |= opt == 'f';
		run_script &= opt != 'n';
	}
	if (argc - optind != 2)
		return detach_usage(stderr, EXIT_USAGE);
	if (tool_parse_domid(argv[optind], &domid) < 0)
		return EXIT_USAGE;
	if (vdev_parse(argv[optind + 1], &devid) < 0) {
		tool_error("'%s' is not a virtual device", argv[optind + 1]);
		return EXIT_USAGE;
	}
	if (!tool_host_dir() || !(xs = tool_store()))
		return EXIT_FAILED;
	r = device_find(&d, xs, domid, devid);
	if (!r)
		r = device_remove(&d, xs, force, run_script);
	xs_close(xs);
	if (r < 0)
		tool_error("cannot detach device %u of domain %u: %s", devid, domid, strerror(-r));
	return r == -ETIMEDOUT ? EXIT_TIMEOUT : r < 0 ? EXIT_FAILED : EXIT_DONE;
}
