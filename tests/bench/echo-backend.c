/*
 * echo-backend [--look=US] BACKEND_PATH: a block backend that does nothing. It shakes hands as a backend does, takes each request with
 * the plain loop of a ring, and answers OKAY without having looked at it: no data moves, no page is mapped but the ring's. What a frontend
 * gets from it is what the ring and its events allow.
 *
 * With --look it looks at the ring so long before it sleeps: the limit of a backend that polls.
 *
 * The bench suite's limit for null storage. Serves 64-bit frontends only. Ends, with 0, when the toolstack takes the disk away. A thread for
 * each ring; the main thread is the only one that uses the store, and a ring's thread lives while the main thread is in Connected.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "ring/backring.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

#define MAX_QUEUES 8u
#define MAX_ORDER  4u
#define NR_SECTORS (1u << 21) /* 1 GiB */

struct queue {
	unsigned look_us;
	pthread_t thread;
	bool runs;
	int stop; /* an eventfd */
	xengnttab_handle *grants;
	xenevtchn_handle *events;
	uint32_t port;
	void *pages;
	unsigned nr_pages;
	struct backring ring;
};

struct backend {
	struct store *store;
	struct node_dir dir, frontend;
	uint32_t domid;
	enum xenbus_state state;
	struct queue queue[MAX_QUEUES];
	unsigned nr_queues;
	unsigned look_us;
};

/* ---- a ring ----------------------------------------------------------------------------------- */

static void answer(struct backring *ring)
{
	struct wire_slot slot;
	uint8_t op;

	backring_take(ring, &slot);
	op = slot.r64.operation;
	backring_respond(ring, slot.r64.id, op == BLKIF_OP_INDIRECT ? slot.i64.indirect_op : op,
		BLKIF_RSP_OKAY);
}

static uint64_t clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Something comes within the time for looking. */
static bool look(const struct queue *queue)
{
	uint64_t until_us = queue->look_us > 0 ? clock_us() + queue->look_us : 0;

	while (!backring_has_requests(&queue->ring))
		if (until_us == 0 || clock_us() >= until_us)
			return false;
	return true;
}

/* All that is there, again and again, until there is nothing and an event will come with the next. */
static void answer_all(struct queue *queue)
{
	do {
		for (unsigned n = backring_available(&queue->ring); n > 0; n--)
			answer(&queue->ring);
		if (backring_push(&queue->ring))
			(void)xenevtchn_notify(queue->events, queue->port);
	} while (look(queue) || backring_final_check(&queue->ring));
}

static void *serve(void *arg)
{
	struct queue *queue = arg;
	struct pollfd fds[] = {{.fd = xenevtchn_fd(queue->events), .events = POLLIN},
		{.fd = queue->stop, .events = POLLIN}};

	while (!fds[1].revents) {
		if (fds[0].revents) {
			int port = xenevtchn_pending(queue->events);

			if (port >= 0)
				(void)xenevtchn_unmask(queue->events, (evtchn_port_t)port);
		}
		answer_all(queue);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
	}
	return NULL;
}

static void queue_stop(struct queue *queue)
{
	uint64_t one = 1;

	if (queue->runs) {
		(void)!write(queue->stop, &one, sizeof(one));
		(void)pthread_join(queue->thread, NULL);
	}
	if (queue->pages)
		(void)xengnttab_unmap(queue->grants, queue->pages, queue->nr_pages);
	if (queue->events)
		(void)xenevtchn_close(queue->events);
	if (queue->grants)
		(void)xengnttab_close(queue->grants);
	if (queue->stop >= 0)
		(void)close(queue->stop);
	*queue = (struct queue){.stop = -1};
}

static int queue_open(struct queue *queue, uint32_t domid, uint32_t remote, uint32_t *refs)
{
	int port;

	queue->stop = eventfd(0, EFD_CLOEXEC);
	queue->grants = xengnttab_open(NULL, 0);
	queue->events = xenevtchn_open(NULL, 0);
	if (queue->stop < 0 || !queue->grants || !queue->events)
		return -errno;
	queue->pages = xengnttab_map_domain_grant_refs(
		queue->grants, queue->nr_pages, domid, refs, PROT_READ | PROT_WRITE);
	if (!queue->pages)
		return -errno;
	port = xenevtchn_bind_interdomain(queue->events, domid, remote);
	if (port < 0)
		return -errno;
	queue->port = (uint32_t)port;
	(void)fcntl(xenevtchn_fd(queue->events), F_SETFL, O_NONBLOCK);
	backring_init(&queue->ring, WIRE_ABI_64, queue->pages, queue->nr_pages);
	return 0;
}

static int queue_start(struct queue *queue, uint32_t domid, uint32_t remote, uint32_t *refs)
{
	int r = queue_open(queue, domid, remote, refs);

	if (r)
		return r;
	r = pthread_create(&queue->thread, NULL, serve, queue);
	queue->runs = r == 0;
	return -r;
}

/* ---- the handshake ---------------------------------------------------------------------------- */

static void say(const struct backend *b, const char *what, int error)
{
	fprintf(stderr, "echo-backend: %s: %s: %s\n", b->dir.path, what, strerror(-error));
}

static int switch_to(struct backend *b, enum xenbus_state state)
{
	b->state = state;
	return node_printf(&b->dir, "state", "%d", (int)state);
}

/* All that a frontend may ask for, and the disk too: no script comes to say what it is. */
static int offer(struct backend *b)
{
	static const struct {
		const char *key;
		unsigned value;
	} nodes[] = {{"feature-persistent", 1}, {"max-ring-page-order", MAX_ORDER},
		{"multi-queue-max-queues", MAX_QUEUES}, {"feature-max-indirect-segments", 256},
		{"feature-flush-cache", 1}, {"sectors", NR_SECTORS}, {"info", 0},
		{"sector-size", WIRE_SECTOR_SIZE}, {"physical-sector-size", WIRE_SECTOR_SIZE}};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < sizeof(nodes) / sizeof(nodes[0]); i++)
		r = node_printf(&b->dir, nodes[i].key, "%u", nodes[i].value);
	return r ? r : switch_to(b, XENBUS_INITWAIT);
}

static uint32_t number(struct node_dir *dir, const char *key, uint32_t max, uint32_t absent)
{
	uint32_t value;

	return node_u32(dir, key, 0, max, &value) == NODE_VALUE ? value : absent;
}

/* The keys of ring @i, of @n. */
static int connect_queue(struct backend *b, unsigned i, unsigned n, unsigned order)
{
	struct queue *queue = &b->queue[b->nr_queues++];
	char prefix[24] = "", key[48];
	uint32_t refs[1u << MAX_ORDER], port;

	*queue = (struct queue){.stop = -1, .nr_pages = 1u << order, .look_us = b->look_us};
	if (n > 1)
		(void)snprintf(prefix, sizeof(prefix), "queue-%u/", i);
	for (unsigned j = 0; j < queue->nr_pages; j++) {
		(void)snprintf(key, sizeof(key), "%sring-ref%u", prefix, j);
		if (order == 0)
			(void)snprintf(key, sizeof(key), "%sring-ref", prefix);
		refs[j] = number(&b->frontend, key, UINT32_MAX, 0);
	}
	(void)snprintf(key, sizeof(key), "%sevent-channel", prefix);
	port = number(&b->frontend, key, UINT32_MAX, 0);
	return queue_start(queue, b->domid, port, refs);
}

static int connect_all(struct backend *b)
{
	unsigned n = number(&b->frontend, "multi-queue-num-queues", MAX_QUEUES, 1);
	unsigned order = number(&b->frontend, "ring-page-order", MAX_ORDER, 0);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = connect_queue(b, i, n, order);
	return r ? r : switch_to(b, XENBUS_CONNECTED);
}

static void disconnect(struct backend *b)
{
	while (b->nr_queues > 0)
		queue_stop(&b->queue[--b->nr_queues]);
}

static enum xenbus_state state_of(struct backend *b, const char *directory)
{
	enum xenbus_state state;
	char *path, *text = NULL;

	if (asprintf(&path, "%s/state", directory) < 0)
		return XENBUS_UNKNOWN;
	state = store_read(b->store, STORE_NO_TXN, path, &text, NULL) ? XENBUS_ABSENT
								      : xenbus_parse(text);
	free(text);
	free(path);
	return state;
}

/* What the two states ask for. 1: the disk is to go. */
static int follow(struct backend *b)
{
	enum xenbus_state front = state_of(b, b->frontend.path);
	enum xenbus_state own = state_of(b, b->dir.path);

	if (own == XENBUS_ABSENT)
		return 1;
	if (own == XENBUS_CLOSING && number(&b->dir, "online", 1, 1) == 0) {
		disconnect(b);
		return switch_to(b, XENBUS_CLOSED) ? -EIO : 1;
	}
	if (front == XENBUS_INITIALISED && b->state == XENBUS_INITWAIT)
		return connect_all(b);
	if (front == XENBUS_INITIALISING && b->state == XENBUS_CLOSED)
		return switch_to(b, XENBUS_INITWAIT);
	if (front == XENBUS_CLOSING && b->state == XENBUS_CONNECTED) {
		disconnect(b);
		return switch_to(b, XENBUS_CLOSING);
	}
	if (front == XENBUS_CLOSED &&
		(b->state == XENBUS_CONNECTED || b->state == XENBUS_CLOSING)) {
		disconnect(b);
		return switch_to(b, XENBUS_CLOSED);
	}
	return 0;
}

static int watch_states(struct backend *b)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/state", b->frontend.path) < 0)
		return -ENOMEM;
	r = store_watch(b->store, path, "frontend");
	free(path);
	return r ? r : store_watch(b->store, b->dir.path, "backend");
}

static int await_event(struct backend *b)
{
	struct pollfd fd = {.fd = store_fd(b->store), .events = POLLIN};
	struct store_event event;
	int r;

	if (poll(&fd, 1, -1) < 0 && errno != EINTR)
		return -errno;
	while ((r = store_next_event(b->store, &event)) == 0)
		store_event_fini(&event);
	return r == -EAGAIN ? 0 : r;
}

static int live(struct backend *b)
{
	int r = node_domid(&b->dir, "frontend-id", &b->domid) == NODE_VALUE ? 0 : -EINVAL;

	if (r == 0)
		r = watch_states(b);
	if (r == 0)
		r = offer(b);
	while (r == 0) {
		r = follow(b);
		if (r == 0)
			r = await_event(b);
	}
	return r;
}

int main(int argc, char **argv)
{
	static struct backend b;
	char *frontend = NULL;
	int r;

	if (argc > 1 && strncmp(argv[1], "--look=", strlen("--look=")) == 0) {
		b.look_us = (unsigned)strtoul(argv[1] + strlen("--look="), NULL, 10);
		argc--;
		argv++;
	}
	if (argc != 2) {
		fputs("usage: echo-backend [--look=US] BACKEND_PATH\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	b.dir = (struct node_dir){.txn = STORE_NO_TXN, .path = argv[1]};
	r = store_open(&b.store);
	b.dir.store = b.store;
	if (r == 0)
		r = node_string(&b.dir, "frontend", 256, NULL, &frontend) == NODE_VALUE ? 0
											: -ENOENT;
	b.frontend = (struct node_dir){.store = b.store, .txn = STORE_NO_TXN, .path = frontend};
	if (r == 0)
		r = live(&b);
	if (r < 0)
		say(&b, "cannot go on", r);
	disconnect(&b);
	store_close(b.store);
	free(frontend);
	return r < 0 ? 1 : 0;
}
