#include "frontend-shim/blkfront/blkfront.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include <xen/io/protocols.h>

#include "frontend-shim/blkfront/impl.h"

#define STATE(name)   (1u << XenbusState##name)
#define STATE_IS_OVER (STATE(Closed) | STATE(Unknown))

int blkfront_fail(struct blkfront *front, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(front->error, sizeof(front->error), format, args);
	va_end(args);
	return error;
}

const char *blkfront_error(const struct blkfront *front)
{
	return front->error[0] ? front->error : "no error";
}

/* ---- create ----------------------------------------------------------------------------------- */

static int open_libraries(struct blkfront *front)
{
	int flags;

	front->gntshr = xengntshr_open(NULL, 0);
	if (!front->gntshr)
		return blkfront_fail(front, -errno, "cannot open gntshr: %s", strerror(errno));
	front->evtchn = xenevtchn_open(NULL, 0);
	if (!front->evtchn)
		return blkfront_fail(
			front, -errno, "cannot open event channels: %s", strerror(errno));
	flags = fcntl(xenevtchn_fd(front->evtchn), F_GETFL);
	if (flags < 0 || fcntl(xenevtchn_fd(front->evtchn), F_SETFL, flags | O_NONBLOCK))
		return blkfront_fail(
			front, -errno, "cannot set up event channels: %s", strerror(errno));
	return 0;
}

static int start(struct blkfront *front)
{
	const struct blkfront_options *options = &front->options;
	int r;

	if (options->persistent && options->grant_per_request)
		return blkfront_fail(front, -EINVAL,
			"grants for one request only cannot be persistent: set persistent=0");
	if (options->first_sect >= WIRE_PAGE_SECTORS)
		return blkfront_fail(front, -EINVAL, "first-sect is beyond the page");
	r = blkfront_xenbus_init(&front->xenbus, options->frontend);
	if (r)
		return blkfront_fail(front, r, "cannot find the backend of \"%s\" in the store: %s",
			options->frontend, strerror(-r));
	return open_libraries(front);
}

int blkfront_create(
	const struct blkfront_options *options, struct blkfront **ret_front, char **ret_error)
{
	struct blkfront *front = calloc(1, sizeof(*front));
	int r;

	if (ret_error)
		*ret_error = NULL;
	if (!front)
		return -ENOMEM;
	front->options = *options;
	r = start(front);
	if (r) {
		if (ret_error)
			*ret_error = strdup(front->error);
		blkfront_destroy(front);
		return r;
	}
	*ret_front = front;
	return 0;
}

/* ---- what is shared --------------------------------------------------------------------------- */

static void unshare_queue(struct blkfront *front, struct blkfront_queue *queue)
{
	if (queue->port >= 0)
		(void)xenevtchn_unbind(front->evtchn, (evtchn_port_t)queue->port);
	blkfront_shadow_fini(&queue->shadow);
	blkfront_pages_unshare(&front->pages, queue->ring_page, queue->nr_ring_pages);
}

static void unshare(struct blkfront *front)
{
	front->connected = false;
	blkfront_pages_fini(&front->pages);
	while (front->nr_queues > 0)
		unshare_queue(front, &front->queue[--front->nr_queues]);
}

static enum wire_abi abi_of(const struct blkfront *front)
{
	return front->options.protocol == BLKFRONT_PROTOCOL_64 ? WIRE_ABI_64 : WIRE_ABI_32;
}

static int share_ring(struct blkfront *front, struct blkfront_queue *queue)
{
	unsigned n = 1u << front->options.ring_order;
	int r = blkfront_pages_share(&front->pages, n, true, queue->ring_page);

	if (r)
		return blkfront_fail(front, r, "cannot grant the ring: %s", strerror(-r));
	queue->nr_ring_pages = n;
	frontring_init(&queue->ring, abi_of(front), queue->ring_page[0].address, n);
	return 0;
}

static int share_queue(struct blkfront *front, unsigned nr_slots)
{
	unsigned backend_id = front->xenbus.backend_id;
	struct blkfront_queue *queue = &front->queue[front->nr_queues++];
	int r;

	*queue = (struct blkfront_queue){.port = -1};
	r = share_ring(front, queue);
	if (r)
		return r;
	r = blkfront_shadow_init(&queue->shadow, nr_slots);
	if (r)
		return blkfront_fail(front, r, "out of memory");
	queue->port = xenevtchn_bind_unbound_port(front->evtchn, backend_id);
	if (queue->port < 0)
		return blkfront_fail(front, -errno, "cannot get an event channel to domain %u: %s",
			backend_id, strerror(errno));
	return 0;
}

/* Pages that are granted in one go. */
#define POOL_MAX 8192u

/*
 * Pages for rings full of the largest direct requests, or for 32 indirect ones in each, whose segments take one page
 * more; but not endlessly many.
 */
static unsigned default_pages(const struct blkfront *front, unsigned nr_slots)
{
	unsigned direct = nr_slots * WIRE_SEGMENTS_MAX,
		 indirect = 32 * (front->options.indirect + 1);
	unsigned n = front->options.nr_queues * (indirect > direct ? indirect : direct);

	return n < POOL_MAX ? n : POOL_MAX;
}

static int share(struct blkfront *front)
{
	unsigned backend_id = front->xenbus.backend_id;
	unsigned nr_slots = wire_nr_slots(abi_of(front), 1u << front->options.ring_order);
	unsigned nr_pages = front->options.nr_pages;
	int r;

	if (nr_pages == 0)
		nr_pages = default_pages(front, nr_slots);
	if (front->options.grant_per_request)
		nr_pages = 0;
	r = blkfront_pages_init(&front->pages, front->gntshr, backend_id, nr_pages);
	if (r)
		return blkfront_fail(front, r, "cannot grant %u pages to domain %u: %s", nr_pages,
			backend_id, strerror(-r));
	while (r == 0 && front->nr_queues < front->options.nr_queues)
		r = share_queue(front, nr_slots);
	return r;
}

/* ---- connect ---------------------------------------------------------------------------------- */

static int switch_to(struct blkfront *front, enum xenbus_state state)
{
	int r = blkfront_xenbus_switch(&front->xenbus, state);

	if (r)
		return blkfront_fail(front, r, "cannot write \"%s/state\" to the store: %s",
			front->xenbus.frontend, strerror(-r));
	return 0;
}

int blkfront_wait_backend(struct blkfront *front, unsigned mask)
{
	unsigned timeout_ms = front->options.timeout_ms;
	int r = blkfront_xenbus_wait(&front->xenbus, mask, timeout_ms);

	if (r)
		return blkfront_fail(front, r, "backend \"%s\" is %s and stays so: %s (%u s)",
			front->xenbus.backend,
			blkfront_xenbus_state_name(front->xenbus.backend_state), strerror(-r),
			timeout_ms / 1000);
	return 0;
}

static int switch_and_wait(struct blkfront *front, enum xenbus_state state, unsigned mask)
{
	int r = switch_to(front, state);

	return r ? r : blkfront_wait_backend(front, mask);
}

/*
 * Somebody was here before: a boot loader, a killed guest, ourselves. Walk the backend from where
 * it is through Closing and Closed, so that our Initialising is news to it.
 */
static int reset_predecessor(struct blkfront *front)
{
	int r = 0;

	if (blkfront_xenbus_own_state(&front->xenbus) == XenbusStateInitialising)
		return 0;
	blkfront_xenbus_refresh(&front->xenbus);
	switch (front->xenbus.backend_state) {
	case XenbusStateInitialised:
	case XenbusStateConnected:
		r = switch_and_wait(front, XenbusStateClosing, STATE(Closing) | STATE_IS_OVER);
		if (r)
			return r;
		__attribute__((fallthrough));
	case XenbusStateClosing:
		r = switch_and_wait(front, XenbusStateClosed, STATE_IS_OVER);
		if (r)
			return r;
		break;
	default:
		break;
	}
	return switch_to(front, XenbusStateInitialising);
}

static const char *protocol_name(enum blkfront_protocol protocol)
{
	switch (protocol) {
	case BLKFRONT_PROTOCOL_64:
		return XEN_IO_PROTO_ABI_X86_64;
	case BLKFRONT_PROTOCOL_32:
		return XEN_IO_PROTO_ABI_X86_32;
	case BLKFRONT_PROTOCOL_ABSENT:
		break;
	}
	return NULL;
}

/* Nodes with room for their texts. */
#define NODES_MAX (6 + BLKFRONT_QUEUES_MAX * ((1u << BLKFRONT_RING_ORDER_MAX) + 1))

struct nodes {
	unsigned n;
	struct blkfront_node node[NODES_MAX];
	char key[NODES_MAX][32];
	char value[NODES_MAX][16];
};

__attribute__((format(printf, 3, 4))) static void add_number(
	struct nodes *nodes, unsigned value, const char *key_format, ...)
{
	unsigned i = nodes->n++;
	va_list args;

	va_start(args, key_format);
	(void)vsnprintf(nodes->key[i], sizeof(nodes->key[i]), key_format, args);
	va_end(args);
	(void)snprintf(nodes->value[i], sizeof(nodes->value[i]), "%u", value);
	nodes->node[i] = (struct blkfront_node){nodes->key[i], nodes->value[i]};
}

static void add_text(struct nodes *nodes, const char *key, const char *value)
{
	nodes->node[nodes->n++] = (struct blkfront_node){key, value};
}

/* As Linux: one page is `ring-ref`, more are numbered. What a predecessor had otherwise stays. */
static void add_queue(
	struct nodes *nodes, const struct blkfront_queue *queue, const char *directory)
{
	if (queue->nr_ring_pages == 1)
		add_number(nodes, queue->ring_page[0].gref, "%sring-ref", directory);
	for (unsigned i = 0; queue->nr_ring_pages > 1 && i < queue->nr_ring_pages; i++)
		add_number(nodes, queue->ring_page[i].gref, "%sring-ref%u", directory, i);
	add_number(nodes, (unsigned)queue->port, "%sevent-channel", directory);
}

/* As Linux: the keys of one queue lie in the frontend's directory, of several in one for each. */
static void add_queues(struct nodes *nodes, const struct blkfront *front)
{
	char directory[24];

	if (front->nr_queues == 1)
		add_queue(nodes, &front->queue[0], "");
	for (unsigned i = 0; front->nr_queues > 1 && i < front->nr_queues; i++) {
		(void)snprintf(directory, sizeof(directory), "queue-%u/", i);
		add_queue(nodes, &front->queue[i], directory);
	}
}

static int announce(struct blkfront *front)
{
	struct nodes nodes = {0};
	int r;

	add_text(&nodes, "protocol", protocol_name(front->options.protocol));
	add_text(&nodes, "feature-persistent", front->options.persistent ? "1" : "0");
	/* A predecessor's rings would be taken for ours. */
	if (front->options.ring_order)
		add_number(&nodes, front->options.ring_order, "ring-page-order");
	else
		add_text(&nodes, "ring-page-order", NULL);
	if (front->nr_queues > 1)
		add_number(&nodes, front->nr_queues, "multi-queue-num-queues");
	else
		add_text(&nodes, "multi-queue-num-queues", NULL);
	add_queues(&nodes, front);
	r = blkfront_xenbus_publish(&front->xenbus, nodes.node, nodes.n);
	if (r)
		return blkfront_fail(front, r, "cannot write to \"%s\" in the store: %s",
			front->xenbus.frontend, strerror(-r));
	return switch_to(front, XenbusStateInitialised);
}

static int read_node(struct blkfront *front, const char *key, uint64_t *ret_value)
{
	int r = blkfront_xenbus_read(&front->xenbus, key, ret_value);

	if (r)
		return blkfront_fail(front, r, "cannot read \"%s/%s\" from the store: %s",
			front->xenbus.backend, key, strerror(-r));
	return 0;
}

/* What may be absent: @absent is its value then, or if it is malformed. */
static uint64_t read_optional(struct blkfront *front, const char *key, uint64_t absent)
{
	uint64_t value;

	return blkfront_xenbus_read(&front->xenbus, key, &value) ? absent : value;
}

/* As Linux: an offer of no more than a slot has is none. */
static unsigned read_max_segments(struct blkfront *front)
{
	uint64_t n = read_optional(front, "feature-max-indirect-segments", 0);

	if (n > front->options.indirect)
		n = front->options.indirect;
	return n > WIRE_SEGMENTS_MAX ? (unsigned)n : WIRE_SEGMENTS_MAX;
}

/* As Linux: three nodes are required, features default to absent. */
static int read_disk(struct blkfront *front)
{
	uint64_t nr_sectors, sector_size, info;
	int r = read_node(front, "sectors", &nr_sectors);

	if (r == 0)
		r = read_node(front, "info", &info);
	if (r == 0)
		r = read_node(front, "sector-size", &sector_size);
	if (r)
		return r;
	if (sector_size < WIRE_SECTOR_SIZE || sector_size > 1u << 20 ||
		(sector_size & (sector_size - 1)) != 0)
		return blkfront_fail(front, -EINVAL,
			"\"%s/sector-size\" is %llu, not a power of two", front->xenbus.backend,
			(unsigned long long)sector_size);
	front->disk = (struct blkfront_disk){
		.nr_sectors = nr_sectors,
		.sector_size = (unsigned)sector_size,
		.physical_sector_size =
			(unsigned)read_optional(front, "physical-sector-size", sector_size),
		.info = (unsigned)info,
		.flush = read_optional(front, "feature-flush-cache", 0) == 1,
		.barrier = read_optional(front, "feature-barrier", 0) == 1,
		.discard = read_optional(front, "feature-discard", 0) == 1,
		.discard_secure = read_optional(front, "discard-secure", 0) == 1,
		.discard_granularity = (uint32_t)read_optional(front, "discard-granularity", 0),
		.discard_alignment = (uint32_t)read_optional(front, "discard-alignment", 0),
		.persistent = front->options.persistent &&
			      read_optional(front, "feature-persistent", 0) == 1,
		.indirect = read_optional(front, "feature-max-indirect-segments", 0) > 0,
		.max_segments = read_max_segments(front),
	};
	return 0;
}

/* Linux takes less if less is offered; whoever asked for a large ring here wants to know. */
static int check_offers(struct blkfront *front)
{
	uint64_t order = read_optional(front, "max-ring-page-order", 0);
	uint64_t nr_queues = read_optional(front, "multi-queue-max-queues", 1);

	if (front->options.nr_queues > nr_queues)
		return blkfront_fail(front, -EOPNOTSUPP,
			"the backend's multi-queue-max-queues is %llu: not %u queues",
			(unsigned long long)nr_queues, front->options.nr_queues);
	if (front->options.ring_order <= order)
		return 0;
	return blkfront_fail(front, -EOPNOTSUPP,
		"the backend's max-ring-page-order is %llu: no ring of order %u",
		(unsigned long long)order, front->options.ring_order);
}

/* From the backend's InitWait to both Connected. */
static int shake_hands(struct blkfront *front)
{
	int r = check_offers(front);

	if (r == 0)
		r = share(front);
	if (r == 0)
		r = announce(front);
	if (r == 0)
		r = blkfront_wait_backend(front, STATE(Connected) | STATE(Closing) | STATE_IS_OVER);
	if (r)
		return r;
	if (front->xenbus.backend_state != XenbusStateConnected)
		return blkfront_fail(front, -ECONNREFUSED, "backend \"%s\" refused: it is %s",
			front->xenbus.backend,
			blkfront_xenbus_state_name(front->xenbus.backend_state));
	r = read_disk(front);
	return r ? r : switch_to(front, XenbusStateConnected);
}

int blkfront_connect(struct blkfront *front)
{
	int r;

	if (front->connected)
		return blkfront_fail(front, -EISCONN, "already connected");
	r = reset_predecessor(front);
	if (r == 0)
		r = blkfront_wait_backend(front, STATE(InitWait));
	if (r)
		return r;
	r = shake_hands(front);
	if (r) {
		/* Keep the first error's sentence, whatever becomes of the farewell. */
		(void)blkfront_xenbus_switch(&front->xenbus, XenbusStateClosed);
		unshare(front);
		return r;
	}
	front->connected = true;
	front->closing = false;
	front->gone = false;
	front->misbehaved = false;
	return 0;
}

/* ---- close ------------------------------------------------------------------------------------ */

int blkfront_close(struct blkfront *front)
{
	int first, second, last;

	first = switch_and_wait(front, XenbusStateClosing, STATE(Closing) | STATE_IS_OVER);
	second = switch_and_wait(front, XenbusStateClosed, STATE_IS_OVER);
	/* The backend may have answered until it was Closed. */
	last = blkfront_reap(front);
	front->gone = true;
	blkfront_fail_all(front, -ESHUTDOWN);
	unshare(front);
	return first ? first : second ? second : last;
}

void blkfront_destroy(struct blkfront *front)
{
	if (!front)
		return;
	unshare(front);
	if (front->evtchn)
		(void)xenevtchn_close(front->evtchn);
	if (front->gntshr)
		(void)xengntshr_close(front->gntshr);
	blkfront_xenbus_fini(&front->xenbus);
	free(front);
}

/* ---- looking at it ---------------------------------------------------------------------------- */

const struct blkfront_disk *blkfront_disk(const struct blkfront *front)
{
	return &front->disk;
}

struct blkfront_stats blkfront_stats(const struct blkfront *front)
{
	struct blkfront_stats stats = front->stats;

	stats.grants_shared = front->pages.nr_shared;
	stats.grants_revoked = front->pages.nr_revoked;
	stats.still_mapped = front->pages.nr_still_mapped;
	return stats;
}

bool blkfront_is_connected(const struct blkfront *front)
{
	return front->connected;
}

bool blkfront_is_closing(const struct blkfront *front)
{
	return front->closing || front->gone;
}

unsigned blkfront_max_sectors(const struct blkfront *front)
{
	return front->disk.max_segments * WIRE_PAGE_SECTORS - front->options.first_sect;
}

unsigned blkfront_max_direct_sectors(const struct blkfront *front)
{
	return WIRE_SEGMENTS_MAX * WIRE_PAGE_SECTORS - front->options.first_sect;
}

unsigned blkfront_backend_state(const struct blkfront *front)
{
	return front->xenbus.backend_state;
}

int blkfront_write_node(struct blkfront *front, const char *key, const char *value)
{
	struct blkfront_node node = {key, value};

	return blkfront_xenbus_publish(&front->xenbus, &node, 1);
}
