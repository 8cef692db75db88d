/*
 * The processes that belong to the simulated host: xenstored, and each guest's xenbus. They are
 * xensimd's children and die with it, so that stopping a host, or killing xensimd, leaves none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend-shim/hypervisor/hv.h"

#define CHILD_MAX_STRINGS 256u

bool hv_child_is(const struct hv *hv, pid_t pid)
{
	for (const struct hv_child *c = hv->children; c; c = c->next)
		if (c->pid == pid)
			return true;
	return false;
}

void hv_children_kill(struct hv *hv, uint32_t domid, bool all)
{
	for (const struct hv_child *c = hv->children; c; c = c->next)
		if (all || c->domid == domid)
			(void)kill(c->pid, SIGKILL);
}

static void children_reap(struct hv *hv)
{
	struct hv_child **pos = &hv->children, *c;

	while ((c = *pos)) {
		if (waitpid(c->pid, NULL, WNOHANG) == 0) {
			pos = &c->next;
			continue;
		}
		*pos = c->next;
		free(c);
	}
	if (hv->stopping && !hv->children && !hv->finished) {
		hv->finished = true;
		hv_answer_waiters(hv, false, true);
	}
}

static void signals_ready(struct hv *hv, struct hv_source *s, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	if (read(s->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo != SIGCHLD) {
		hv->stopping = true;
		hv_children_kill(hv, 0, true);
	}
	children_reap(hv);
}

int hv_children_watch(struct hv *hv)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return hv_source_add(hv, &hv->signals, fd, signals_ready);
}

/* Splits `n` NUL terminated strings off the payload. */
static int strings_split(char **pos, char *end, uint32_t n, char **strings)
{
	for (uint32_t i = 0; i < n; i++) {
		char *stop = memchr(*pos, '\0', (size_t)(end - *pos));

		if (!stop)
			return -EINVAL;
		strings[i] = *pos;
		*pos = stop + 1;
	}
	strings[n] = NULL;
	return 0;
}

/* In the child, with the signals it inherited blocked. Reports nothing: the caller sees it end. */
static void __attribute__((noreturn))
child_exec(int log_fd, int ready_fd, pid_t parent, char **argv, char **env)
{
	sigset_t none;
	int null;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || log_fd < 0 || dup2(null, 0) < 0 || dup2(log_fd, 1) < 0 ||
		dup2(log_fd, 2) < 0)
		_exit(126);
	if (ready_fd == 3)
		(void)fcntl(3, F_SETFD, 0);
	else if (ready_fd >= 0 && dup2(ready_fd, 3) < 0)
		_exit(126);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	for (; *env; env++)
		if (putenv(*env))
			_exit(126);
	(void)execv(argv[0], argv);
	_exit(127);
}

int hv_op_spawn(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	char *argv[CHILD_MAX_STRINGS + 1], *env[CHILD_MAX_STRINGS + 1], *log[2];
	char *pos = (char *)hv->in, *end = pos + p->data_size;
	struct hv_child *c;
	pid_t self = getpid();
	int log_fd;

	(void)h;
	if (!p->req.count || p->req.count > CHILD_MAX_STRINGS || p->req.flags > CHILD_MAX_STRINGS)
		return -EINVAL;
	if (hv->stopping)
		return -ESHUTDOWN;
	if (strings_split(&pos, end, 1, log) < 0 ||
		strings_split(&pos, end, p->req.count, argv) < 0 ||
		strings_split(&pos, end, p->req.flags, env) < 0)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	log_fd = open(log[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	c->pid = log_fd < 0 ? -1 : fork();
	if (c->pid == 0)
		child_exec(log_fd, p->received_fd, self, argv, env);
	if (c->pid < 0) {
		int r = -errno;

		if (log_fd >= 0)
			(void)close(log_fd);
		free(c);
		return r;
	}
	(void)close(log_fd);
	c->domid = p->req.domid;
	c->next = hv->children;
	hv->children = c;
	p->reply.value = (uint64_t)c->pid;
	return 0;
}

int hv_op_wait_xenstore(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_guest *dom0 = hv_guest_find(hv, 0);

	if (dom0->channels[hv->xsd_port].state == CHANNEL_INTERDOMAIN)
		return 0;
	h->waits_for_xenstore = true;
	p->deferred = true;
	return 0;
}

int hv_op_stop(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	h->waits_for_stop = true;
	p->deferred = true;
	hv->stopping = true;
	hv_children_kill(hv, 0, true);
	children_reap(hv);
	return 0;
}
