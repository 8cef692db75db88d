/*
 * xensimd - the simulated hypervisor: `xensimd DIR [READY-FD]`. Normally started by
 * `xensim host-start`. Listens on DIR/hypervisor, writes one byte to READY-FD once it does, and ends
 * by HV_STOP, SIGTERM or SIGINT, taking its children along.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "frontend-shim/hypervisor/hv.h"
#include "frontend-shim/machine/eventfd.h"

static void hv_wake(struct port_waker *waker, uint64_t owner)
{
	struct hv *hv = (struct hv *)waker;
	struct hv_handle *h = hv->handles[handle_index(owner)];

	if (h && h->id == owner && h->event_fd >= 0)
		eventfd_add_one(h->event_fd);
}

/* Each handle costs a socket and an eventfd here. */
static void limits_raise(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl); /* then with fewer */
	}
}

static int machine_create(struct hv *hv)
{
	void *p;

	hv->machine_fd = memfd_create("xensim-machine", MFD_CLOEXEC);
	if (hv->machine_fd < 0 || ftruncate(hv->machine_fd, sizeof(struct machine)) < 0)
		return -errno;
	p = mmap(NULL, sizeof(struct machine), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		hv->machine_fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	hv->machine = p;
	hv->machine->magic = MACHINE_MAGIC;
	hv->self = &hv->machine->handles[0];
	hv->xsd_fd = memfd_create("xensim-xsd-kva", MFD_CLOEXEC);
	if (hv->xsd_fd < 0 || ftruncate(hv->xsd_fd, GUEST_PAGE) < 0)
		return -errno;
	return 0;
}

/* Domain 0, with the unbound port that xenstored finds in /proc/xen/xsd_port. */
static int dom0_create(struct hv *hv)
{
	struct hv_guest *dom0;
	int r;

	r = hv_guest_create(hv, 0, &dom0);
	if (r < 0)
		return r;
	return hv_channel_alloc(dom0, NULL, 0, hv, &hv->xsd_port);
}

static int hv_init(struct hv *hv, const char *dir)
{
	int r;

	hv->dir = dir;
	hv->waker.wake = hv_wake;
	hv->handle_top = 1;
	hv->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hv->epoll_fd < 0)
		return -errno;
	r = machine_create(hv);
	if (r < 0)
		return r;
	r = dom0_create(hv);
	if (r < 0)
		return r;
	r = hv_children_watch(hv);
	if (r < 0)
		return r;
	return hv_listen(hv);
}

static int hv_run(struct hv *hv)
{
	while (!hv->finished) {
		struct epoll_event ev;
		struct hv_source *s;
		int n = epoll_wait(hv->epoll_fd, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		s = ev.data.ptr;
		s->ready(hv, s, ev.events);
	}
	return 0;
}

/* Takes the socket away, so that nobody mistakes the directory for a running host. */
static void hv_unlisten(const struct hv *hv)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/hypervisor", hv->dir);
	(void)unlink(path);
}

static struct hv the_host; /* too large for the stack */

int main(int argc, char **argv)
{
	int r;

	if (argc < 2 || argc > 3 || argv[1][0] == '-') {
		fprintf(stderr, "usage: xensimd DIR [READY-FD]\nNormally started by 'xensim "
				"host-start'.\n");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	limits_raise();
	r = hv_init(&the_host, argv[1]);
	if (r < 0) {
		fprintf(stderr, "xensimd: cannot start in '%s': %s\n", argv[1], strerror(-r));
		return 1;
	}
	if (argc == 3) {
		int fd = (int)strtol(argv[2], NULL, 10);

		if (write(fd, "1", 1) != 1)
			return 1;
		(void)close(fd);
	}
	r = hv_run(&the_host);
	hv_unlisten(&the_host);
	if (r < 0)
		fprintf(stderr, "xensimd: the event loop failed: %s\n", strerror(-r));
	return r < 0;
}
