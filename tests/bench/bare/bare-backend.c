/*
 * bare-backend [--look=US] [--io=FILE] BACKEND_PATH: a block backend without anything that makes one. It shakes hands as a backend does
 * and serves each ring with the plain loop (bare_ring.c).
 *
 * Without --io it answers OKAY to each request without having looked at it: no data moves, no page is mapped but the ring's. What a frontend
 * gets from it is what the ring and its events allow: the suite's limit for null storage.
 *
 * With --io each request becomes one direct read or write of FILE, between it and the guest's pages (bare_io.c): no check, no order, no flush, no
 * limit of its own, no account. What a frontend gets from it is what ring and storage allow together, with two sides that wake each other.
 *
 * With --look it looks for work so long before it sleeps: the limit of a backend that polls.
 *
 * Serves 64-bit frontends only. Ends, with 0, when the toolstack takes the disk away. A thread for each ring; the main thread is the only
 * one that uses the store, and a ring's thread lives while the main thread is in Connected.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/bench/bare/bare_ring.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

#define MAX_QUEUES      8u
#define WITHOUT_STORAGE (1u << 21) /* sectors: 1 GiB */

struct backend {
	struct store *store;
	struct node_dir dir, frontend;
	uint32_t domid;
	enum xenbus_state state;
	struct bare_ring queue[MAX_QUEUES];
	unsigned nr_queues;
	unsigned look_us;
	const char *io_path;
	unsigned nr_sectors;
};

/* ---- the handshake ---------------------------------------------------------------------------- */

static void say(const struct backend *b, const char *what, int error)
{
	fprintf(stderr, "bare-backend: %s: %s: %s\n", b->dir.path, what, strerror(-error));
}

static int switch_to(struct backend *b, enum xenbus_state state)
{
	b->state = state;
	return node_printf(&b->dir, "state", "%d", (int)state);
}

/* All that a frontend may ask for, and the disk too: no script comes to say what it is. */
static int offer(struct backend *b)
{
	const struct {
		const char *key;
		unsigned value;
	} nodes[] = {{"feature-persistent", 1}, {"max-ring-page-order", BARE_MAX_ORDER},
		{"multi-queue-max-queues", MAX_QUEUES}, {"feature-max-indirect-segments", 256},
		{"feature-flush-cache", 1}, {"sectors", b->nr_sectors}, {"info", 0},
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
	struct bare_ring_setup setup = {.domid = b->domid,
		.nr_pages = 1u << order,
		.look_us = b->look_us,
		.io_path = b->io_path};
	char prefix[24] = "", key[48];

	if (n > 1)
		(void)snprintf(prefix, sizeof(prefix), "queue-%u/", i);
	for (unsigned j = 0; j < setup.nr_pages; j++) {
		(void)snprintf(key, sizeof(key), "%sring-ref%u", prefix, j);
		if (order == 0)
			(void)snprintf(key, sizeof(key), "%sring-ref", prefix);
		setup.ref[j] = number(&b->frontend, key, UINT32_MAX, 0);
	}
	(void)snprintf(key, sizeof(key), "%sevent-channel", prefix);
	setup.port = number(&b->frontend, key, UINT32_MAX, 0);
	return bare_ring_start(&b->queue[b->nr_queues++], &setup);
}

static int connect_all(struct backend *b)
{
	unsigned n = number(&b->frontend, "multi-queue-num-queues", MAX_QUEUES, 1);
	unsigned order = number(&b->frontend, "ring-page-order", BARE_MAX_ORDER, 0);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = connect_queue(b, i, n, order);
	return r ? r : switch_to(b, XENBUS_CONNECTED);
}

static void disconnect(struct backend *b)
{
	while (b->nr_queues > 0)
		bare_ring_stop(&b->queue[--b->nr_queues]);
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

/* How large the file is. */
static int measure(struct backend *b)
{
	struct stat st;

	b->nr_sectors = WITHOUT_STORAGE;
	if (!b->io_path)
		return 0;
	if (stat(b->io_path, &st))
		return -errno;
	b->nr_sectors = (unsigned)(st.st_size / WIRE_SECTOR_SIZE);
	return 0;
}

static int serve(struct backend *b)
{
	char *frontend = NULL;
	int r = measure(b);

	if (r == 0)
		r = store_open(&b->store);
	b->dir.store = b->store;
	if (r == 0 && node_string(&b->dir, "frontend", 256, NULL, &frontend) != NODE_VALUE)
		r = -ENOENT;
	b->frontend = (struct node_dir){.store = b->store, .txn = STORE_NO_TXN, .path = frontend};
	if (r == 0)
		r = live(b);
	if (r < 0)
		say(b, "cannot go on", r);
	disconnect(b);
	store_close(b->store);
	free(frontend);
	return r;
}

static bool read_options(struct backend *b, int argc, char **argv)
{
	static const struct option options[] = {
		{"look", required_argument, NULL, 'l'}, {"io", required_argument, NULL, 'i'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
		if (c == 'l')
			b->look_us = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'i')
			b->io_path = optarg;
		else
			return false;
	if (optind + 1 != argc)
		return false;
	b->dir = (struct node_dir){.txn = STORE_NO_TXN, .path = argv[optind]};
	return true;
}

int main(int argc, char **argv)
{
	static struct backend b;

	if (!read_options(&b, argc, argv)) {
		fputs("usage: bare-backend [--look=US] [--io=FILE] BACKEND_PATH\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return serve(&b) < 0 ? 1 : 0;
}
