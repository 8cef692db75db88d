/*
 * xensim-xenbus: the xenbus device of a simulated guest's kernel. Many clients speak libxenstore's
 * socket protocol to it; it carries their requests over the one ring the guest has to xenstored, so
 * that for xenstored they all ARE this domain. As Linux's xenbus_dev_frontend.c: a client's watches
 * and transactions end with it, even if it dies in the middle of a packet.
 *
 *   client A --\   one request at a time for each client            +-----------+
 *   client B ---+--> requests, numbered by client -----> ring ----> | xenstored |
 *   client C --/ <-- replies, watch events by token <--- ring <---- +-----------+
 *
 * One thread, one epoll loop. Watch tokens carry the client's number in front: "1f:token".
 */
#ifndef FRONTEND_SHIM_XENBUS_XENBUS_H
#define FRONTEND_SHIM_XENBUS_XENBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "frontend-shim/machine/events.h"

#define BUS_MAX_OUT (1u << 20) /* bytes a client may leave unread before it is dropped */

struct bus_message {
	struct xsd_sockmsg hdr;
	char body[XENSTORE_PAYLOAD_MAX + 1]; /* kept NUL terminated */
};

/* Bytes on their way out. */
struct bus_buffer {
	char *data;
	size_t start, end, room;
};

struct bus_watch {
	struct bus_watch *next;
	char *token; /* as xenstored knows it */
	char path[]; /* as the client named it */
};

struct bus_transaction {
	struct bus_transaction *next;
	uint32_t id;
};

/* What a client is doing. A dead or resetting one sends clean-up requests of its own. */
enum bus_client_mode {
	CLIENT_ALIVE,
	CLIENT_RESETTING, /* XS_RESET_WATCHES: its own watches only */
	CLIENT_DEAD,
};

struct bus_client {
	struct bus_client *next;
	int fd; /* -1 when dead */
	uint32_t number;
	enum bus_client_mode mode;
	bool busy;                  /* `sent` is on the ring, its reply is not here yet */
	struct bus_message request; /* being received; `received` bytes of it so far */
	size_t received;
	struct bus_message sent; /* as the client wrote it */
	struct bus_buffer out;
	struct bus_watch *watches;
	struct bus_transaction *transactions;
};

struct bus {
	struct events events;
	uint32_t port, next_number;
	struct xenstore_domain_interface *ring;
	int epoll_fd, listen_fd;
	struct bus_client *clients;
	struct bus_buffer to_ring;
	struct bus_message from_ring; /* being received; `received` bytes of it so far */
	size_t received;
};

/* buffer.c */
int bus_buffer_add(struct bus_buffer *b, const void *data, size_t size);
void bus_buffer_free(struct bus_buffer *b);

/* bus.c: the ring's side. Negative results end the program: the guest has lost its xenstore. */
int bus_flush(struct bus *bus);
int bus_on_event(struct bus *bus);
int bus_send(struct bus *bus, const struct bus_message *m);

/* client.c: one client's life */
int bus_client_accept(struct bus *bus);
int bus_client_readable(struct bus *bus, struct bus_client *c, bool hung_up);
int bus_client_writable(struct bus *bus, struct bus_client *c);
int bus_client_reply(struct bus *bus, struct bus_client *c, const struct bus_message *m);
void bus_client_event(struct bus *bus, const struct bus_message *m);

/* request.c: what a message means; pure */
int bus_request_rewrite(
	struct bus_client *c, const struct bus_message *m, struct bus_message *ret_out);
bool bus_request_cleanup(struct bus_client *c, struct bus_message *ret_out);
void bus_request_done(struct bus_client *c, const struct bus_message *reply);
void bus_request_forget(struct bus_client *c);
int bus_event_split(const struct bus_message *m, uint32_t *ret_number, struct bus_message *ret_out);

#endif
