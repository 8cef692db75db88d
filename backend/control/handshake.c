#include "backend/control/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/data/queue.h"
#include "backend/util/limits.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

/* A port fits 31 bits (xenevtchn.h); FIFO event channels end at 2^17, so 0 and beyond are wrong. */
#define PORT_MAX ((1u << 17) - 1)

/* What the frontend's value is, for the sentence; never more than LIMIT_FRONTEND_VALUE of it. */
static int wrong(struct node_dir *dir, const char *name, const char *rule, struct problem *problem)
{
	char *value;
	enum node_result result = node_string(dir, name, LIMIT_FRONTEND_VALUE, NULL, &value);
	int r;

	/* A guest of a driver domain can take our permission away: its fault, not the store's. */
	if (result == NODE_ERROR)
		return problem_set(problem, dir->error == -EACCES ? -EPROTO : dir->error,
			"node '%s/%s' cannot be read: %s", dir->path, name, strerror(-dir->error));
	if (result == NODE_VALUE) {
		r = problem_set(problem, -EPROTO, "the frontend wrote '%s/%s' = '%s': %s",
			dir->path, name, value, rule);
		free(value);
		return r;
	}
	return problem_set(problem, -EPROTO, "the frontend's node '%s/%s' is %s: %s", dir->path,
		name, result == NODE_ABSENT ? "missing" : "not a word", rule);
}

static int read_u32(struct node_dir *dir, const char *name, uint32_t min, uint32_t max,
	const char *rule, uint32_t *ret_value, struct problem *problem)
{
	if (node_u32(dir, name, min, max, ret_value) == NODE_VALUE)
		return 0;
	return wrong(dir, name, rule, problem);
}

struct ring_nodes {
	unsigned nr_pages;
	bool numbered;
};

/*
 * How many pages a ring has, and whether their nodes are numbered. Only the presence of ring-page-order
 * says so, order 0 included (R20): an earlier driver may have left a ring-ref0 or a ring-ref.
 */
static int read_ring_size(
	struct node_dir *dir, struct ring_nodes *ret_ring, struct problem *problem)
{
	uint32_t order = 0;
	enum node_result result = node_u32(dir, "ring-page-order", 0, LIMIT_RING_ORDER, &order);

	_Static_assert(LIMIT_RING_ORDER == 4, "the sentence says 4");
	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "ring-page-order",
			"an order is 0 to 4, as max-ring-page-order says; without the node a ring has one page",
			problem);
	ret_ring->nr_pages = 1u << order;
	ret_ring->numbered = result == NODE_VALUE;
	return 0;
}

/* The keys of one queue, behind @prefix: "" or "queue-N/". */
static int read_queue(struct node_dir *dir, const char *prefix, struct ring_nodes ring,
	struct handshake_queue *queue, struct problem *problem)
{
	char name[40]; /* "queue-7/event-channel" fits */
	int r = 0;

	for (unsigned i = 0; i < ring.nr_pages && r == 0; i++) {
		if (ring.numbered)
			(void)snprintf(name, sizeof(name), "%sring-ref%u", prefix, i);
		else
			(void)snprintf(name, sizeof(name), "%sring-ref", prefix);
		r = read_u32(dir, name, 0, UINT32_MAX,
			ring.numbered
				? "with ring-page-order each page of the ring has a node, ring-ref0 and so on; a grant reference is a decimal number of 32 bits"
				: "a grant reference is a decimal number of 32 bits",
			&queue->ring_ref[i], problem);
	}
	if (r)
		return r;
	(void)snprintf(name, sizeof(name), "%sevent-channel", prefix);
	return read_u32(dir, name, 1, PORT_MAX, "a port is a number from 1 to 131071",
		&queue->event_channel, problem);
}

static int read_nr_queues(
	struct node_dir *dir, unsigned max_queues, struct handshake *keys, struct problem *problem)
{
	uint32_t n = 1;
	enum node_result result = node_u32(dir, "multi-queue-num-queues", 1, max_queues, &n);
	char rule[96];

	keys->nr_queues = n;
	if (result == NODE_VALUE || result == NODE_ABSENT)
		return 0;
	(void)snprintf(rule, sizeof(rule), "1 to %u queues are served; without the node it is one",
		max_queues);
	return wrong(dir, "multi-queue-num-queues", rule, problem);
}

/* One queue's keys lie in the frontend's own directory, those of several in one for each. */
static int read_queues(struct node_dir *dir, struct ring_nodes ring, struct handshake *keys,
	struct problem *problem)
{
	char prefix[24] = "";
	int r = 0;

	for (unsigned i = 0; i < keys->nr_queues && r == 0; i++) {
		if (keys->nr_queues > 1)
			(void)snprintf(prefix, sizeof(prefix), "queue-%u/", i);
		r = read_queue(dir, prefix, ring, &keys->queue[i], problem);
	}
	return r;
}

static const char *const protocols[] = {
	[WIRE_ABI_64] = "x86_64-abi",
	[WIRE_ABI_32] = "x86_32-abi",
};

const char *handshake_protocol(const struct handshake *keys)
{
	return protocols[keys->abi];
}

/* R19: absent means 32-bit, as in the kernel's backend and QEMU. */
static int read_abi(struct node_dir *dir, struct handshake *keys, struct problem *problem)
{
	unsigned abi = WIRE_ABI_32;
	enum node_result result = node_enum(dir, "protocol", protocols, 2, &abi);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "protocol", "the layouts served are x86_64-abi and x86_32-abi",
			problem);
	keys->abi = abi;
	return 0;
}

static int read_persistent(struct node_dir *dir, struct handshake *keys, struct problem *problem)
{
	bool persistent = false;
	enum node_result result = node_bool(dir, "feature-persistent", &persistent);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "feature-persistent", "a feature is 0 or 1", problem);
	keys->persistent = persistent;
	return 0;
}

int handshake_read(struct store *store, const char *frontend, unsigned max_queues,
	struct handshake *ret_keys, struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = frontend};
	struct handshake keys = {0};
	struct ring_nodes ring = {0};
	int r = read_nr_queues(&dir, max_queues, &keys, ret_problem);

	if (r == 0)
		r = read_ring_size(&dir, &ring, ret_problem);
	keys.nr_ring_pages = ring.nr_pages;
	if (r == 0)
		r = read_queues(&dir, ring, &keys, ret_problem);
	if (r == 0)
		r = read_abi(&dir, &keys, ret_problem);
	if (r == 0)
		r = read_persistent(&dir, &keys, ret_problem);
	if (r == 0)
		*ret_keys = keys;
	return r;
}

bool handshake_same(const struct handshake *a, const struct handshake *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
