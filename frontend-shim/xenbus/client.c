#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend-shim/xenbus/xenbus.h"

/* Listens for what is useful now: a busy client's next request waits in its socket. */
static void client_poll(struct bus *bus, struct bus_client *c)
{
	struct epoll_event ev = {.data.ptr = c};

	if (c->fd < 0)
		return;
	ev.events = (c->busy || c->mode != CLIENT_ALIVE ? 0 : EPOLLIN) |
		    (c->out.start < c->out.end ? EPOLLOUT : 0);
	(void)epoll_ctl(bus->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

int bus_client_accept(struct bus *bus)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct bus_client *c;

	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	c->fd = accept4(bus->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ev.data.ptr = c;
	if (c->fd < 0 || epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
		if (c->fd >= 0)
			(void)close(c->fd);
		free(c);
		return 0;
	}
	c->number = ++bus->next_number;
	c->next = bus->clients;
	bus->clients = c;
	return 0;
}

static void client_free(struct bus *bus, struct bus_client *c)
{
	struct bus_client **pos = &bus->clients;

	while (*pos != c)
		pos = &(*pos)->next;
	*pos = c->next;
	bus_request_forget(c);
	bus_buffer_free(&c->out);
	free(c);
}

static void client_tell(struct bus *bus, struct bus_client *c, const struct bus_message *m)
{
	if (c->fd < 0)
		return;
	if (c->out.end - c->out.start > BUS_MAX_OUT ||
		bus_buffer_add(&c->out, &m->hdr, sizeof(m->hdr)) < 0 ||
		bus_buffer_add(&c->out, m->body, m->hdr.len) < 0) {
		(void)shutdown(c->fd, SHUT_RDWR); /* epoll then reports it gone */
		return;
	}
	(void)bus_client_writable(bus, c);
}

/* Sends `m`, in the client's terms, and remembers it until the reply. */
static int client_send(struct bus *bus, struct bus_client *c, const struct bus_message *m)
{
	struct bus_message out;
	int r;

	r = bus_request_rewrite(c, m, &out);
	if (r < 0)
		return r;
	c->sent = *m;
	c->busy = true;
	return bus_send(bus, &out);
}

/* Sends the next clean-up request: 1, or 0 if nothing is left to undo. */
static int client_clean(struct bus *bus, struct bus_client *c)
{
	struct bus_message m;
	int r;

	if (!bus_request_cleanup(c, &m))
		return 0;
	r = client_send(bus, c, &m);
	return r < 0 ? r : 1;
}

static int client_clean_dead(struct bus *bus, struct bus_client *c)
{
	int r = client_clean(bus, c);

	if (r == 0)
		client_free(bus, c);
	return r < 0 ? r : 0;
}

static int client_clean_reset(struct bus *bus, struct bus_client *c)
{
	struct bus_message m = {.hdr = {.type = XS_RESET_WATCHES, .len = 3}};
	int r = client_clean(bus, c);

	if (r)
		return r < 0 ? r : 0;
	c->mode = CLIENT_ALIVE;
	m.hdr.req_id = c->request.hdr.req_id;
	memcpy(m.body, "OK", 3);
	client_tell(bus, c, &m);
	return 0;
}

static int client_die(struct bus *bus, struct bus_client *c)
{
	(void)epoll_ctl(bus->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	(void)close(c->fd);
	c->fd = -1;
	c->mode = CLIENT_DEAD;
	return c->busy ? 0 : client_clean_dead(bus, c);
}

/* Refused without asking xenstored, in its words. */
static void client_refuse(struct bus *bus, struct bus_client *c, int err)
{
	struct bus_message m = {.hdr = {.type = XS_ERROR,
					.req_id = c->request.hdr.req_id,
					.tx_id = c->request.hdr.tx_id}};
	const char *text = "EINVAL";

	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (xsd_errors[i].errnum == err)
			text = xsd_errors[i].errstring;
	m.hdr.len = (uint32_t)strlen(text) + 1;
	memcpy(m.body, text, m.hdr.len);
	client_tell(bus, c, &m);
}

static int client_request(struct bus *bus, struct bus_client *c)
{
	int r;

	c->received = 0;
	c->request.body[c->request.hdr.len] = '\0';
	if (c->request.hdr.type == XS_RESET_WATCHES) {
		c->mode = CLIENT_RESETTING;
		r = client_clean_reset(bus, c);
	} else {
		r = client_send(bus, c, &c->request);
		if (r == -ENOENT || r == -EINVAL || r == -E2BIG) {
			client_refuse(bus, c, -r);
			r = 0;
		}
	}
	return r;
}

/* Reads until a packet is whole; the rest waits until that one is answered. Who has `hung_up` gets
 * no answer any more, so what it may have sent beyond one request is dropped. */
int bus_client_readable(struct bus *bus, struct bus_client *c, bool hung_up)
{
	while (!c->busy && c->mode == CLIENT_ALIVE) {
		size_t hdr = sizeof(c->request.hdr);
		size_t want = c->received < hdr ? hdr : hdr + c->request.hdr.len;
		ssize_t n;
		int r = 0;

		if (c->received >= hdr && c->request.hdr.len > XENSTORE_PAYLOAD_MAX)
			return client_die(bus, c);
		if (c->received < want) {
			n = recv(c->fd, (char *)&c->request + c->received, want - c->received, 0);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			if (n <= 0)
				return client_die(bus, c);
			c->received += (size_t)n;
			continue;
		}
		r = client_request(bus, c);
		if (r < 0)
			return r;
	}
	if (hung_up && c->fd >= 0)
		return client_die(bus, c);
	client_poll(bus, c);
	return 0;
}

int bus_client_writable(struct bus *bus, struct bus_client *c)
{
	while (c->out.start < c->out.end) {
		ssize_t n = send(c->fd, c->out.data + c->out.start, c->out.end - c->out.start,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break; /* full, or gone: then epoll says so */
		c->out.start += (size_t)n;
	}
	client_poll(bus, c);
	return 0;
}

/* The reply to what this client sent last. */
int bus_client_reply(struct bus *bus, struct bus_client *c, const struct bus_message *m)
{
	struct bus_message own = *m;

	if (!c->busy)
		return 0;
	c->busy = false;
	bus_request_done(c, m);
	if (c->mode == CLIENT_DEAD)
		return client_clean_dead(bus, c);
	if (c->mode == CLIENT_RESETTING)
		return client_clean_reset(bus, c);
	own.hdr.req_id = c->sent.hdr.req_id;
	client_tell(bus, c, &own);
	return bus_client_readable(bus, c, false);
}

void bus_client_event(struct bus *bus, const struct bus_message *m)
{
	struct bus_message own;
	uint32_t number;

	if (bus_event_split(m, &number, &own) < 0)
		return;
	for (struct bus_client *c = bus->clients; c; c = c->next) {
		if (c->number != number)
			continue;
		client_tell(bus, c, &own);
		return;
	}
}
