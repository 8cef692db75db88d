#include <errno.h>
#include <string.h>

#include "frontend-shim/xenbus/ring.h"
#include "frontend-shim/xenbus/xenbus.h"

int bus_flush(struct bus *bus)
{
	struct bus_buffer *b = &bus->to_ring;
	ssize_t n;

	if (b->start == b->end)
		return 0;
	n = xsring_write(bus->ring, b->data + b->start, b->end - b->start);
	if (n < 0)
		return (int)n;
	b->start += (size_t)n;
	return n ? events_notify(&bus->events, bus->port) : 0;
}

int bus_send(struct bus *bus, const struct bus_message *m)
{
	int r;

	r = bus_buffer_add(&bus->to_ring, &m->hdr, sizeof(m->hdr));
	if (!r)
		r = bus_buffer_add(&bus->to_ring, m->body, m->hdr.len);
	return r < 0 ? r : bus_flush(bus);
}

static int bus_deliver(struct bus *bus)
{
	struct bus_message *m = &bus->from_ring;

	m->body[m->hdr.len] = '\0';
	if (m->hdr.type == XS_WATCH_EVENT) {
		bus_client_event(bus, m);
		return 0;
	}
	for (struct bus_client *c = bus->clients; c; c = c->next)
		if (c->number == m->hdr.req_id)
			return bus_client_reply(bus, c, m);
	return 0;
}

/* Takes what xenstored sent, message by message. */
static int bus_receive(struct bus *bus)
{
	for (;;) {
		struct bus_message *m = &bus->from_ring;
		size_t hdr = sizeof(m->hdr);
		size_t want = bus->received < hdr ? hdr : hdr + m->hdr.len;
		ssize_t n;
		int r;

		if (bus->received >= hdr && m->hdr.len > XENSTORE_PAYLOAD_MAX)
			return -EPROTO;
		if (bus->received < want) {
			n = xsring_read(bus->ring, (char *)m + bus->received, want - bus->received);
			if (n <= 0)
				return (int)n;
			bus->received += (size_t)n;
			/* xenstored may wait for the room just made. */
			r = events_notify(&bus->events, bus->port);
			if (r < 0)
				return r;
			continue;
		}
		bus->received = 0;
		r = bus_deliver(bus);
		if (r < 0)
			return r;
	}
}

int bus_on_event(struct bus *bus)
{
	int port, r;

	port = events_pending(&bus->events);
	if (port == -EAGAIN || port == -EINTR)
		return 0;
	if (port < 0)
		return port;
	/* Unmasked before looking: what comes while we look raises the event again. */
	events_unmask(&bus->events, (uint32_t)port);
	r = bus_receive(bus);
	return r < 0 ? r : bus_flush(bus);
}
