/*
 * xensim-xenbus DIR DOMID PORT FRAME - started by `xensim domain-create` as a child of xensimd.
 * Serves DIR/dom<DOMID>/xenstored; writes one byte to descriptor 3 once it listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend-shim/xenbus/xenbus.h"

static int number_parse(const char *s, uint32_t *ret_value)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || v > UINT32_MAX)
		return -EINVAL;
	*ret_value = (uint32_t)v;
	return 0;
}

static int bus_map_ring(struct bus *bus, uint32_t domid, uint32_t frame)
{
	struct hv_call call = {.req = {.op = HV_MEMORY, .domid = domid}, .send_fd = -1};
	void *p;
	int r;

	r = hv_client_call(&bus->events.client, &call);
	if (r < 0)
		return r;
	p = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, call.fds[0],
		(off_t)frame * GUEST_PAGE);
	r = p == MAP_FAILED ? -errno : 0;
	(void)close(call.fds[0]);
	bus->ring = p;
	return r;
}

static int bus_attach(
	struct bus *bus, const char *dir, uint32_t domid, uint32_t port, uint32_t frame)
{
	int r;

	r = events_open(&bus->events, dir, domid, false);
	if (r < 0)
		return r;
	r = bus_map_ring(bus, domid, frame);
	if (r < 0)
		return r;
	if (fcntl(bus->events.client.event_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	bus->port = port;
	r = events_bind(&bus->events, &(struct hv_request){.op = HV_CLAIM_PORT, .port = port});
	return r < 0 ? r : 0;
}

static int bus_listen(struct bus *bus, const char *dir, uint32_t domid)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n;

	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/dom%u/xenstored", dir, domid);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	bus->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bus->listen_fd < 0 || bind(bus->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		listen(bus->listen_fd, 128) < 0)
		return -errno;
	return 0;
}

static int bus_watch_fds(struct bus *bus)
{
	struct epoll_event ev = {.events = EPOLLIN};

	bus->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bus->epoll_fd < 0)
		return -errno;
	ev.data.ptr = &bus->listen_fd;
	if (epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, bus->listen_fd, &ev) < 0)
		return -errno;
	ev.data.ptr = &bus->events;
	if (epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, bus->events.client.event_fd, &ev) < 0)
		return -errno;
	return 0;
}

static int bus_handle(struct bus *bus, const struct epoll_event *ev)
{
	struct bus_client *c = ev->data.ptr;

	if (ev->data.ptr == &bus->listen_fd)
		return bus_client_accept(bus);
	if (ev->data.ptr == &bus->events)
		return bus_on_event(bus);
	if (ev->events & EPOLLOUT)
		(void)bus_client_writable(bus, c);
	if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		return bus_client_readable(bus, c, ev->events & (EPOLLHUP | EPOLLERR));
	return 0;
}

/* One event at a time, so that none refers to a client that an earlier one has freed. */
static int bus_run(struct bus *bus)
{
	for (;;) {
		struct epoll_event ev;
		int n = epoll_wait(bus->epoll_fd, &ev, 1, -1), r;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		r = bus_handle(bus, &ev);
		if (r < 0)
			return r;
	}
}

int main(int argc, char **argv)
{
	static struct bus bus = {.epoll_fd = -1, .listen_fd = -1};
	uint32_t domid, port, frame;
	int r;

	if (argc != 5 || number_parse(argv[2], &domid) < 0 || number_parse(argv[3], &port) < 0 ||
		number_parse(argv[4], &frame) < 0) {
		fprintf(stderr, "usage: xensim-xenbus DIR DOMID PORT FRAME\n"
				"Started by 'xensim domain-create'.\n");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	r = bus_attach(&bus, argv[1], domid, port, frame);
	if (!r)
		r = bus_listen(&bus, argv[1], domid);
	if (!r)
		r = bus_watch_fds(&bus);
	if (!r && write(3, "1", 1) != 1)
		r = -errno;
	(void)close(3);
	if (!r)
		r = bus_run(&bus);
	fprintf(stderr, "xensim-xenbus: domain %u has lost its xenstore: %s\n", domid,
		strerror(-r));
	return 1;
}
