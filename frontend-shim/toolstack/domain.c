/* domain-create, domain-destroy, domain-kill: what libxl writes for a domain, and takes away. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/sched.h>

#include "frontend-shim/toolstack/toolstack.h"

struct domain {
	uint32_t domid, port, frame;
	const char *name;
	bool hvm;
	char uuid[40];
	char dir[PATH_MAX];
};

static int domain_uuid(char *ret_uuid, size_t room)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -errno;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	(void)snprintf(ret_uuid, room,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return 0;
}

struct domain_node {
	const char *path, *value;
	char acl; /* 'r': dom0's, the guest reads; 'w': the guest's own */
};

/* libxl__domain_make(), below /local/domain/<domid>. */
static const struct domain_node domain_nodes[] = {
	{"cpu/0/availability", "online", 'r'},
	{"memory/static-max", "1048576", 'r'},
	{"memory/target", "1048576", 'r'},
	{"memory/videoram", "0", 'r'},
	{"device", "", 'r'},
	{"device/suspend", "", 'r'},
	{"device/suspend/event-channel", "", 'w'},
	{"control", "", 'r'},
	{"control/shutdown", "", 'w'},
	{"control/feature-poweroff", "1", 'w'},
	{"control/feature-reboot", "1", 'w'},
	{"control/feature-suspend", "1", 'w'},
	{"control/sysrq", "", 'w'},
	{"control/platform-feature-multiprocessor-suspend", "1", 'r'},
	{"control/platform-feature-xs_reset_watches", "1", 'r'},
	{"data", "", 'w'},
	{"drivers", "", 'w'},
	{"feature", "", 'w'},
	{"attr", "", 'w'},
	{"error", "", 'w'},
};

static void domain_put(struct tree_tx *tx, void *arg)
{
	const struct domain *d = arg;
	struct tree_acl read = tree_acl_reader(0, d->domid), same = {0};
	char base[64], vm[64], text[16];

	(void)snprintf(base, sizeof(base), "/local/domain/%u", d->domid);
	(void)snprintf(vm, sizeof(vm), "/vm/%s", d->uuid);
	tree_remove(tx, base);
	tree_mkdir(tx, read, base);
	tree_mkdir(tx, read, vm);
	tree_put(tx, same, d->name, "%s/name", vm);
	tree_put(tx, same, d->uuid, "%s/uuid", vm);
	tree_put(tx, tree_acl_owner(0), "", "/libxl/%u", d->domid);
	tree_put(tx, same, d->hvm ? "hvm" : "pv", "/libxl/%u/type", d->domid);
	tree_put(tx, same, "qemu_xen", "/libxl/%u/dm-version", d->domid);
	tree_put(tx, same, vm, "%s/vm", base);
	tree_put(tx, same, d->name, "%s/name", base);
	for (size_t i = 0; i < sizeof(domain_nodes) / sizeof(domain_nodes[0]); i++) {
		const struct domain_node *n = &domain_nodes[i];

		tree_put(tx, n->acl == 'w' ? tree_acl_owner(d->domid) : read, n->value, "%s/%s",
			base, n->path);
	}
	(void)snprintf(text, sizeof(text), "%u", d->domid);
	tree_put(tx, same, text, "%s/domid", base);
	(void)snprintf(text, sizeof(text), "%u", d->port);
	tree_put(tx, same, text, "%s/store/port", base);
	(void)snprintf(text, sizeof(text), "%u", d->frame);
	tree_put(tx, same, text, "%s/store/ring-ref", base);
}

/* The guest boots: the only part of it the simulator brings is its xenbus. */
static int domain_start(struct domain *d, struct hv_client *c, const char *host)
{
	char exe[PATH_MAX], domid[16], port[16], frame[16], log[PATH_MAX + 32],
		preload[] = "LD_PRELOAD=";
	int pipe_fds[2], r;

	r = tool_path(exe, sizeof(exe), "xensim-xenbus");
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	(void)snprintf(domid, sizeof(domid), "%u", d->domid);
	(void)snprintf(port, sizeof(port), "%u", d->port);
	(void)snprintf(frame, sizeof(frame), "%u", d->frame);
	(void)snprintf(log, sizeof(log), "%s/log/xenbus-%u.log", host, d->domid);
	r = spawn_child(c,
		&(struct spawn){.log = log,
			.domid = d->domid,
			.env = {preload},
			.argv = {exe, (char *)(uintptr_t)host, domid, port, frame}},
		pipe_fds[1]);
	if (!r)
		r = spawn_wait_ready(pipe_fds[0], TOOL_START_MS);
	(void)close(pipe_fds[0]);
	return r;
}

static void domain_forget(struct tree_tx *tx, void *arg)
{
	const struct domain *d = arg;
	char path[64], *vm;

	(void)snprintf(path, sizeof(path), "/local/domain/%u/vm", d->domid);
	vm = xs_read(tx->xs, tx->t, path, NULL);
	if (vm && !strncmp(vm, "/vm/", 4))
		tree_remove(tx, vm);
	free(vm);
	(void)snprintf(path, sizeof(path), "/local/domain/%u", d->domid);
	tree_remove(tx, path);
	(void)snprintf(path, sizeof(path), "/libxl/%u", d->domid);
	tree_remove(tx, path);
}

/* Only ours lie there: the socket of the guest's xenbus. */
static void domain_rmdir(const struct domain *d)
{
	char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/xenstored", d->dir);
	(void)unlink(path);
	(void)rmdir(d->dir);
}

static int domain_create(
	struct domain *d, struct hv_client *c, struct xs_handle *xs, const char *host)
{
	struct hv_reply reply;
	int r;

	r = hv_client_simple(c,
		&(struct hv_request){.op = HV_DOMAIN_CREATE,
			.domid = d->domid,
			.flags = d->hvm ? HV_DOMAIN_HVM : 0},
		&reply);
	if (r < 0)
		return r;
	d->port = (uint32_t)reply.value;
	d->frame = (uint32_t)reply.extra;
	(void)snprintf(d->dir, sizeof(d->dir), "%s/dom%u", host, d->domid);
	domain_rmdir(d); /* of a domain whose xenbus was killed */
	r = mkdir(d->dir, 0700) < 0 ? -errno : 0;
	if (!r)
		r = domain_uuid(d->uuid, sizeof(d->uuid));
	if (!r)
		r = tree_transact(xs, domain_put, d);
	if (!r && !xs_introduce_domain(xs, d->domid, d->frame, d->port))
		r = -errno;
	if (!r)
		r = domain_start(d, c, host);
	if (r < 0) {
		(void)hv_client_simple(
			c, &(struct hv_request){.op = HV_DOMAIN_DESTROY, .domid = d->domid}, NULL);
		(void)tree_transact(xs, domain_forget, d);
		domain_rmdir(d);
	}
	return r;
}

/* libxl__devices_destroy(): every device libxl has noted, by force. */
static int domain_remove_devices(const struct domain *d, struct xs_handle *xs, bool run_script)
{
	char path[64], **devids;
	unsigned nr = 0;
	int worst = 0;

	(void)snprintf(path, sizeof(path), "/libxl/%u/device/vbd", d->domid);
	devids = xs_directory(xs, XBT_NULL, path, &nr);
	for (unsigned i = 0; i < nr; i++) {
		struct device dev;
		uint32_t devid;
		int r;

		if (vdev_parse(devids[i], &devid) < 0)
			continue;
		r = device_find(&dev, xs, d->domid, devid);
		if (!r)
			r = device_remove(&dev, xs, true, run_script);
		if (r < 0)
			worst = r;
	}
	free(devids);
	return worst;
}

static int domain_destroy(struct domain *d, struct hv_client *c, struct xs_handle *xs,
	const char *host, bool run_script)
{
	struct hv_request req = {
		.op = HV_DOMAIN_SHUTDOWN, .domid = d->domid, .flags = SHUTDOWN_poweroff};
	int r, devices;

	/* One that crashed before is shut down already. */
	r = hv_client_simple(c, &req, NULL);
	if (r < 0 && r != -EALREADY)
		return r;
	devices = domain_remove_devices(d, xs, run_script);
	r = tree_transact(xs, domain_forget, d);
	if (r < 0)
		return r;
	req = (struct hv_request){.op = HV_DOMAIN_DESTROY, .domid = d->domid};
	r = hv_client_simple(c, &req, NULL);
	/* Who looks at the counters next must not find the ring still mapped. */
	if (r == 0)
		r = tree_wait_release(xs, d->domid, tool_state_ms());
	(void)snprintf(d->dir, sizeof(d->dir), "%s/dom%u", host, d->domid);
	domain_rmdir(d);
	return r < 0 ? r : devices;
}

/* ---- verbs ------------------------------------------------------------------------------------- */

static const struct {
	const char *verb, *text;
} domain_help[] = {
	{"domain-create", "usage: xensim domain-create [--hvm] DOMID [NAME]\n"
			  "Creates a domain as libxl does and starts its xenbus; its programs use\n"
			  "XENSIM_DOMID=DOMID XENSTORED_PATH=$XENSIM_DIR/domDOMID/xenstored.\n"
			  "  --hvm        it is an HVM guest for those who ask libxenctrl\n"},
	{"domain-destroy",
		"usage: xensim domain-destroy [--no-script] DOMID\n"
		"Shuts the guest down and removes it with all its devices, as libxl does.\n"
		"  --no-script  do not run hotplug scripts\n"},
	{"domain-kill",
		"usage: xensim domain-kill DOMID\n"
		"Crashes the guest: it stops, dom0 is told, the toolstack cleans up nothing.\n"},
};

static int domain_usage(FILE *to, const char *verb, int code)
{
	for (size_t i = 0; i < sizeof(domain_help) / sizeof(domain_help[0]); i++)
		if (!strcmp(verb, domain_help[i].verb))
			fputs(domain_help[i].text, to);
	fputs("Exit: 0 done, 1 failed, 2 usage.\n", to);
	return code;
}

/* Takes the option `name` out of the arguments; whether it was there. */
static bool option_take(int *argc, char **argv, const char *name)
{
	if (*argc < 2 || strcmp(argv[1], name) != 0)
		return false;
	(*argc)--;
	for (int i = 1; i < *argc; i++)
		argv[i] = argv[i + 1];
	return true;
}

/* What all three verbs need; prints what is missing. */
struct domain_session {
	const char *host;
	struct hv_client client;
	struct xs_handle *xs;
};

static int session_open(struct domain_session *s)
{
	s->host = tool_host_dir();
	if (!s->host || tool_connect(&s->client, s->host) < 0)
		return EXIT_FAILED;
	s->xs = tool_store();
	if (s->xs)
		return EXIT_DONE;
	hv_client_close(&s->client);
	return EXIT_FAILED;
}

static int session_close(struct domain_session *s, const char *what, uint32_t domid, int r)
{
	xs_close(s->xs);
	hv_client_close(&s->client);
	if (r < 0)
		tool_error("cannot %s domain %u: %s", what, domid,
			r == -ESRCH ? "there is none" : strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_domain_create(int argc, char **argv)
{
	struct domain_session s;
	struct domain d = {0};
	char name[32];

	if (option_take(&argc, argv, "--help"))
		return domain_usage(stdout, argv[0], EXIT_DONE);
	d.hvm = option_take(&argc, argv, "--hvm");
	if (argc < 2 || argc > 3)
		return domain_usage(stderr, argv[0], EXIT_USAGE);
	if (tool_parse_domid(argv[1], &d.domid) < 0)
		return EXIT_USAGE;
	(void)snprintf(name, sizeof(name), "guest%u", d.domid);
	d.name = argc == 3 ? argv[2] : name;
	if (session_open(&s) != EXIT_DONE)
		return EXIT_FAILED;
	return session_close(&s, "create", d.domid, domain_create(&d, &s.client, s.xs, s.host));
}

int verb_domain_destroy(int argc, char **argv)
{
	struct domain_session s;
	struct domain d = {0};
	bool run_script;

	if (option_take(&argc, argv, "--help"))
		return domain_usage(stdout, argv[0], EXIT_DONE);
	run_script = !option_take(&argc, argv, "--no-script");
	if (argc != 2)
		return domain_usage(stderr, argv[0], EXIT_USAGE);
	if (tool_parse_domid(argv[1], &d.domid) < 0)
		return EXIT_USAGE;
	if (session_open(&s) != EXIT_DONE)
		return EXIT_FAILED;
	return session_close(
		&s, "destroy", d.domid, domain_destroy(&d, &s.client, s.xs, s.host, run_script));
}

int verb_domain_kill(int argc, char **argv)
{
	struct hv_request req = {.op = HV_DOMAIN_SHUTDOWN, .flags = SHUTDOWN_crash};
	struct domain_session s;

	if (option_take(&argc, argv, "--help"))
		return domain_usage(stdout, argv[0], EXIT_DONE);
	if (argc != 2)
		return domain_usage(stderr, argv[0], EXIT_USAGE);
	if (tool_parse_domid(argv[1], &req.domid) < 0)
		return EXIT_USAGE;
	if (session_open(&s) != EXIT_DONE)
		return EXIT_FAILED;
	return session_close(&s, "kill", req.domid, hv_client_simple(&s.client, &req, NULL));
}
