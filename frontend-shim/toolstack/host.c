/* host-start and host-stop: a whole simulated host in one directory. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend-shim/toolstack/toolstack.h"

#define HOST_DIR_MAX 70u /* "<dir>/dom65535/xenstored" must fit a socket's address */

struct host {
	char dir[PATH_MAX];
	char xenstored[PATH_MAX], preload[PATH_MAX];
};

/* ---- finding things ---------------------------------------------------------------------------- */

static int glob_one(const char *pattern, char *ret_path, size_t room)
{
	glob_t g = {0};
	int r = -ENOENT;

	if (glob(pattern, 0, NULL, &g) == 0 && access(g.gl_pathv[g.gl_pathc - 1], X_OK) == 0 &&
		strlen(g.gl_pathv[g.gl_pathc - 1]) < room) {
		(void)snprintf(ret_path, room, "%s", g.gl_pathv[g.gl_pathc - 1]);
		r = 0;
	}
	globfree(&g);
	return r;
}

/* Named by the environment, unpacked beside the build, or installed. */
static int host_find_xenstored(struct host *h)
{
	static const char *const names[] = {"XENSIM_XENSTORED", "XENSTORED"};
	char pattern[PATH_MAX];

	for (size_t i = 0; i < 2; i++) {
		const char *s = getenv(names[i]);

		if (!s || !*s)
			continue;
		if (access(s, X_OK) < 0 || strlen(s) >= sizeof(h->xenstored)) {
			tool_error("%s names '%s', which cannot be run", names[i], s);
			return -ENOENT;
		}
		(void)snprintf(h->xenstored, sizeof(h->xenstored), "%s", s);
		return 0;
	}
	if (tool_path(pattern, sizeof(pattern), "../../xen-tools/usr/lib/xen-*/bin/xenstored") ==
			0 &&
		glob_one(pattern, h->xenstored, sizeof(h->xenstored)) == 0)
		return 0;
	if (glob_one("/usr/lib/xen-*/bin/xenstored", h->xenstored, sizeof(h->xenstored)) == 0)
		return 0;
	tool_error(
		"no xenstored found: set XENSIM_XENSTORED, or install or unpack package xen-utils");
	return -ENOENT;
}

static int host_find_preload(struct host *h)
{
	const char *s = getenv("XENSIM_PRELOAD");
	char path[PATH_MAX];

	if (s && *s)
		(void)snprintf(path, sizeof(path), "%s", s);
	else if (tool_path(path, sizeof(path), "../lib/libxenshim.so") < 0)
		return -ENOENT;
	if (!realpath(path, h->preload)) {
		tool_error("no libxenshim.so at '%s'", path);
		return -ENOENT;
	}
	return 0;
}

static int host_make_dir(struct host *h, const char *dir)
{
	static const char *const parts[] = {"", "/xenstored", "/log"};
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX + 16];

	if (dir) {
		if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
			tool_error("cannot make the directory '%s': %s", dir, strerror(errno));
			return -errno;
		}
	} else {
		(void)snprintf(path, sizeof(path), "%s/xensim.XXXXXX", tmp && *tmp ? tmp : "/tmp");
		dir = mkdtemp(path);
	}
	if (!dir || !realpath(dir, h->dir)) {
		tool_error("cannot make a directory for the host: %s", strerror(errno));
		return -errno;
	}
	if (strlen(h->dir) > HOST_DIR_MAX) {
		tool_error("'%s' is too long a name for sockets to lie in it", h->dir);
		return -ENAMETOOLONG;
	}
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", h->dir, parts[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			tool_error("cannot make the directory '%s': %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

/* ---- starting ---------------------------------------------------------------------------------- */

static void __attribute__((noreturn)) hypervisor_exec(const struct host *h, int ready_fd)
{
	char exe[PATH_MAX], log[PATH_MAX + 32], fd[16];
	int in, out;

	(void)snprintf(log, sizeof(log), "%s/log/xensimd.log", h->dir);
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)setsid();
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	/* Nothing of the caller's stays open in a daemon, least of all a pipe it waits on. */
	if (dup2(ready_fd, 3) < 0 || close_range(4, ~0u, 0) < 0)
		_exit(126);
	(void)unsetenv("LD_PRELOAD");
	(void)snprintf(fd, sizeof(fd), "%d", 3);
	if (tool_path(exe, sizeof(exe), "xensimd") == 0)
		(void)execl(exe, exe, h->dir, fd, (char *)NULL);
	_exit(127);
}

static int hypervisor_start(const struct host *h)
{
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		hypervisor_exec(h, fds[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(fds[1]);
	if (!r)
		r = spawn_wait_ready(fds[0], TOOL_START_MS);
	(void)close(fds[0]);
	if (r < 0)
		tool_error("xensimd did not start (%s); see '%s/log/xensimd.log'", strerror(-r),
			h->dir);
	return r;
}

/* Started, it binds dom0's event channel after its socket listens: that is the event to wait for. */
static int xenstored_start(struct host *h, struct hv_client *c)
{
	char log[PATH_MAX + 32], pid[PATH_MAX + 32];
	char env[5][PATH_MAX + 32], no_fork[] = "-N", pid_option[] = "-F";
	struct pollfd pfd = {.events = POLLIN};
	int fds[2], r;

	(void)snprintf(log, sizeof(log), "%s/log/xenstored.log", h->dir);
	(void)snprintf(pid, sizeof(pid), "%s/xenstored/pid", h->dir);
	(void)snprintf(env[0], sizeof(env[0]), "LD_PRELOAD=%s", h->preload);
	(void)snprintf(env[1], sizeof(env[1]), "XENSIM_DIR=%s", h->dir);
	(void)snprintf(env[2], sizeof(env[2]), "XENSTORED_RUNDIR=%s/xenstored", h->dir);
	/* The caller may live in another host: nothing of that one may shine through. */
	(void)snprintf(env[3], sizeof(env[3]), "XENSTORED_PATH=%s/xenstored/socket", h->dir);
	(void)snprintf(env[4], sizeof(env[4]), "XENSIM_DOMID=0");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = spawn_child(c,
		&(struct spawn){.log = log,
			.env = {env[0], env[1], env[2], env[3], env[4]},
			.argv = {h->xenstored, no_fork, pid_option, pid}},
		fds[1]);
	if (!r) {
		struct hv_request req = {.op = HV_WAIT_XENSTORE};

		/* Sent by hand: either the answer comes or the child's end of the pipe closes. */
		r = send(c->fd, &req, sizeof(req), MSG_NOSIGNAL) < 0 ? -errno : 0;
	}
	if (!r) {
		struct pollfd both[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = fds[0]}};

		pfd = both[0];
		r = poll(both, 2, TOOL_START_MS) <= 0 ? -ETIMEDOUT : both[0].revents ? 0 : -EPIPE;
	}
	if (!r) {
		struct hv_reply reply;

		r = recv(pfd.fd, &reply, sizeof(reply), 0) == sizeof(reply) ? reply.result : -EIO;
	}
	(void)close(fds[0]);
	if (r < 0)
		tool_error("'%s' did not start (%s); see '%s'", h->xenstored, strerror(-r), log);
	return r;
}

/* What xen-init-dom0 and the dom0 kernel write. */
static void dom0_put(struct tree_tx *tx, void *arg)
{
	struct tree_acl same = {0};

	(void)arg;
	tree_put(tx, same, "0", "/local/domain/0/domid");
	tree_put(tx, same, "Domain-0", "/local/domain/0/name");
	tree_put(tx, same, "1", "/local/domain/0/control/feature-poweroff");
	tree_put(tx, same, "1", "/local/domain/0/control/feature-reboot");
	tree_put(tx, same, "1", "/local/domain/0/control/feature-suspend");
	tree_put(tx, same, "Pool-0", "/local/pool/0/name");
}

static int host_populate(void)
{
	struct xs_handle *xs = tool_store();
	int r;

	if (!xs)
		return -EIO;
	r = tree_transact(xs, dom0_put, NULL);
	xs_close(xs);
	if (r < 0)
		tool_error("cannot write dom0's nodes: %s", strerror(-r));
	return r;
}

static int host_stop(const char *dir);

static int host_start(struct host *h)
{
	char path[PATH_MAX + 32];
	struct hv_client c;
	int r;

	if (hv_client_open(&c, h->dir, 0, HV_KIND_CTRL, false) == 0) {
		hv_client_close(&c);
		tool_error("a host runs in '%s' already", h->dir);
		return -EEXIST;
	}
	(void)snprintf(path, sizeof(path), "%s/hypervisor", h->dir);
	(void)unlink(path); /* of one that was killed */
	r = hypervisor_start(h);
	if (r < 0)
		return r;
	r = tool_connect(&c, h->dir);
	if (!r) {
		r = xenstored_start(h, &c);
		hv_client_close(&c);
	}
	(void)snprintf(path, sizeof(path), "%s/xenstored/socket", h->dir);
	(void)setenv("XENSTORED_PATH", path, 1);
	if (!r)
		r = host_populate();
	if (r < 0)
		(void)host_stop(h->dir);
	return r;
}

static int start_usage(FILE *to, int code)
{
	fprintf(to,
		"usage: xensim host-start [DIR]\n"
		"Starts a simulated Xen host (xensimd and the real xenstored) in DIR, or in a new "
		"temporary\n"
		"directory, and prints what a shell needs to use it: eval \"$(xensim "
		"host-start)\".\n"
		"Programs live in it with LD_PRELOAD=$XENSIM_PRELOAD; XENSIM_DOMID says as which "
		"domain.\n"
		"Exit: 0 started and answering, 1 failed (nothing is left running), 2 usage.\n");
	return code;
}

int verb_host_start(int argc, char **argv)
{
	struct host h = {0};

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return start_usage(stdout, EXIT_DONE);
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return start_usage(stderr, EXIT_USAGE);
	if (host_find_xenstored(&h) < 0 || host_find_preload(&h) < 0 ||
		host_make_dir(&h, argc == 2 ? argv[1] : NULL) < 0 || host_start(&h) < 0)
		return EXIT_FAILED;
	printf("export XENSIM_DIR='%s'\n", h.dir);
	printf("export XENSTORED_PATH='%s/xenstored/socket'\n", h.dir);
	printf("export XENSTORED_RUNDIR='%s/xenstored'\n", h.dir);
	printf("export XENSIM_PRELOAD='%s'\n", h.preload);
	return EXIT_DONE;
}

/* ---- stopping ---------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

/* -EIO from the call: it ended before it could answer, which is as good. */
static int host_stop(const char *dir)
{
	struct pollfd pfd = {.events = POLLIN};
	struct hv_client c;
	char path[PATH_MAX + 16];
	int r;

	r = hv_client_open(&c, dir, 0, HV_KIND_CTRL, false);
	if (r == 0) {
		r = hv_client_simple(&c, &(struct hv_request){.op = HV_STOP}, NULL);
		pfd.fd = c.fd;
		/* Its exit hangs up. */
		if (poll(&pfd, 1, TOOL_START_MS) <= 0)
			r = -ETIMEDOUT;
		(void)close(c.fd);
		c.fd = -1;
		hv_client_close(&c);
		if (r < 0 && r != -EIO)
			return r;
	}
	(void)snprintf(path, sizeof(path), "%s/xenstored", dir);
	if (access(path, F_OK) < 0)
		return access(dir, F_OK) < 0 ? 0 : -ENOTDIR;
	return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0 ? -errno : 0;
}

static int stop_usage(FILE *to, int code)
{
	fprintf(to,
		"usage: xensim host-stop [DIR]\n"
		"Ends the host in DIR (default $XENSIM_DIR) with all its daemons and removes DIR.\n"
		"Exit: 0 nothing is left (also if nothing was there), 1 failed, 2 usage.\n");
	return code;
}

int verb_host_stop(int argc, char **argv)
{
	const char *dir;
	int r;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return stop_usage(stdout, EXIT_DONE);
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return stop_usage(stderr, EXIT_USAGE);
	dir = argc == 2 ? argv[1] : tool_host_dir();
	if (!dir)
		return EXIT_FAILED;
	r = host_stop(dir);
	if (r == -ENOTDIR)
		tool_error("'%s' is not a simulated host's directory; left alone", dir);
	else if (r < 0)
		tool_error("cannot stop the host in '%s': %s", dir, strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
