#include "frontend-shim/machine/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "frontend-shim/machine/eventfd.h"

/* The eventfd of a handle whose ports this one notifies. */
struct events_peer {
	_Atomic uint64_t id;
	int fd; /* plus one, so that zeroed memory means none */
};

/* A peer seen for the first time, or a new one behind a known index. Its descriptor takes the number
 * of the old one atomically: a thread that is just writing to the old one hits an eventfd still. */
static struct events_peer *events_meet(struct events *e, uint64_t owner)
{
	struct events_peer *peer = &e->peers[handle_index(owner)];
	struct hv_call call = {.req = {.op = HV_WAKER, .value = owner}, .send_fd = -1};

	if (hv_client_call(&e->client, &call) < 0 || call.fds[0] < 0)
		return NULL;
	(void)pthread_mutex_lock(&e->peers_lock);
	if (!peer->fd) {
		peer->fd = call.fds[0] + 1;
	} else {
		(void)dup3(call.fds[0], peer->fd - 1, O_CLOEXEC);
		(void)close(call.fds[0]);
	}
	atomic_store(&peer->id, owner);
	(void)pthread_mutex_unlock(&e->peers_lock);
	return peer;
}

static void events_wake(struct port_waker *waker, uint64_t owner)
{
	struct events *e = (struct events *)waker;
	struct events_peer *peer = &e->peers[handle_index(owner)];

	if (owner == e->client.id) {
		eventfd_add_one(e->client.event_fd);
		return;
	}
	if (atomic_load_explicit(&peer->id, memory_order_acquire) != owner)
		peer = events_meet(e, owner);
	if (peer)
		eventfd_add_one(peer->fd - 1);
}

static struct port_at events_at(const struct events *e, uint32_t port)
{
	return (struct port_at){e->client.slot, port};
}

static void events_find_self(struct events *e)
{
	e->self = &e->client.machine->handles[handle_index(e->client.id)];
}

int events_open(struct events *e, const char *dir, uint32_t domid, bool inherit)
{
	int r;

	*e = (struct events){.waker.wake = events_wake};
	e->peers = calloc(MACHINE_HANDLES, sizeof(e->peers[0]));
	if (!e->peers)
		return -ENOMEM;
	(void)pthread_mutex_init(&e->peers_lock, NULL); /* cannot fail on Linux */
	r = hv_client_open(&e->client, dir, domid, HV_KIND_EVTCHN, inherit);
	if (r < 0) {
		free(e->peers);
		e->peers = NULL;
		return r;
	}
	events_find_self(e);
	return 0;
}

int events_adopt(struct events *e, int fd)
{
	int r;

	r = hv_client_adopt(&e->client, fd);
	if (r < 0)
		return r;
	(void)close(e->client.event_fd);
	e->client.event_fd = fd;
	events_find_self(e);
	return 0;
}

void events_close(struct events *e)
{
	hv_client_close(&e->client);
	for (unsigned i = 0; e->peers && i < MACHINE_HANDLES; i++)
		if (e->peers[i].fd)
			(void)close(e->peers[i].fd - 1);
	free(e->peers);
	e->peers = NULL;
}

int events_bind(struct events *e, const struct hv_request *req)
{
	struct hv_reply reply;
	int r;

	r = hv_client_simple(&e->client, req, &reply);
	return r < 0 ? r : (int)reply.value;
}

int events_notify(struct events *e, uint32_t port)
{
	struct machine *m = e->client.machine;

	if (!port_owned(m, events_at(e, port), e->client.id))
		return -ENOTCONN;
	/* A crashed guest runs no code; a process that plays one may still try. */
	if (!atomic_load_explicit(&m->domains[e->client.slot].running, memory_order_relaxed))
		return -ESRCH;
	port_send(m, e->self, events_at(e, port), &e->waker);
	return 0;
}

int events_pending(struct events *e)
{
	for (;;) {
		uint64_t one;
		uint32_t port;

		if (read(e->client.event_fd, &one, sizeof(one)) < 0)
			return -errno;
		port = port_take_queued(e->self, &e->hint);
		if (!port)
			port = atomic_exchange(&e->self->repaired, 0);
		if (port)
			return (int)port;
	}
}

void events_unmask(struct events *e, uint32_t port)
{
	if (port_owned(e->client.machine, events_at(e, port), e->client.id))
		port_unmask(e->client.machine, e->self, events_at(e, port), &e->waker);
}
