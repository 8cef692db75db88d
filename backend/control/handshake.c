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

/*
 * How many pages a ring has, and whether their nodes are numbered. Only the presence of ring-page-order
 * says so, order 0 included (R20): an earlier driver may have left a ring-ref0 or a ring-ref.
 */
static int read_ring_size(
	struct node_dir *dir, struct handshake *keys, bool *ret_numbered, struct problem *problem)
{
	uint32_t order = 0;
	enum node_result result = node_u32(dir, "ring-page-order", 0, LIMIT_RING_ORDER, &order);

	_Static_assert(LIMIT_RING_ORDER == 4, "the sentence says 4");
	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "ring-page-order",
			"an order is 0 to 4, as max-ring-page-order says; without the node a ring has one page",
			problem);
	keys->nr_ring_pages = 1u << order;
	*ret_numbered = result == NODE_VALUE;
	return 0;
}

static int read_ring(struct node_dir *dir, unsigned nr_pages, bool numbered,
	struct handshake_queue *queue, struct problem *problem)
{
	static const char rule[] = "a grant reference is a decimal number of 32 bits";
	int r = 0;

	if (!numbered)
		return read_u32(dir, "ring-ref", 0, UINT32_MAX, rule, &queue->ring_ref[0], problem);
	for (unsigned i = 0; i < nr_pages && r == 0; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "ring-ref%u", i);
		r = read_u32(dir, name, 0, UINT32_MAX,
			"with ring-page-order each page of the ring has a node, ring-ref0 and so on; a grant reference is a decimal number of 32 bits",
			&queue->ring_ref[i], problem);
	}
	return r;
}

static int read_queue(struct node_dir *dir, unsigned nr_pages, bool numbered,
	struct handshake_queue *queue, struct problem *problem)
{
	int r = read_ring(dir, nr_pages, numbered, queue, problem);

	return r ? r
		 : read_u32(dir, "event-channel", 1, PORT_MAX,
			   "a port is a number from 1 to 131071", &queue->event_channel, problem);
}

static int read_nr_queues(struct node_dir *dir, struct handshake *keys, struct problem *problem)
{
	uint32_t n;
	enum node_result result = node_u32(dir, "multi-queue-num-queues", 1, 1, &n);

	keys->nr_queues = 1;
	if (result == NODE_VALUE || result == NODE_ABSENT)
		return 0;
	return wrong(dir, "multi-queue-num-queues",
		"only 1 queue is served: multi-queue-max-queues was not offered", problem);
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

int handshake_read(struct store *store, const char *frontend, struct handshake *ret_keys,
	struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = frontend};
	struct handshake keys = {0};
	bool numbered = false;
	int r = read_nr_queues(&dir, &keys, ret_problem);

	if (r == 0)
		r = read_ring_size(&dir, &keys, &numbered, ret_problem);
	if (r == 0)
		r = read_queue(&dir, keys.nr_ring_pages, numbered, &keys.queue[0], ret_problem);
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
