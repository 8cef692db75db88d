#include "frontend-shim/clients/load.h"

#include <errno.h>
#include <stdlib.h>

/* Of the smallest largest request there is: 11 segments, the first of which may begin late. */
#define DIRECT_SECTORS ((WIRE_SEGMENTS_MAX - 1) * WIRE_PAGE_SECTORS)

/* What blkfront_pages_init() can have granted in one go. */
#define PAGES_MAX 8192u

static unsigned parts_of(unsigned nr_sectors, unsigned part_sectors)
{
	return (nr_sectors + part_sectors - 1) / part_sectors;
}

unsigned load_pages(const struct load_plan *plan)
{
	/* Each request may begin late in a page, and may have its segments in one of its own. */
	unsigned more = 2 * parts_of(plan->nr_sectors, DIRECT_SECTORS);
	unsigned n = plan->depth * (plan->nr_sectors / WIRE_PAGE_SECTORS + 1 + more);

	return n < PAGES_MAX ? n : PAGES_MAX;
}

int load_init(
	struct load *load, const struct load_plan *plan, struct blkfront *front, uint64_t seed)
{
	const struct blkfront_disk *disk = blkfront_disk(front);
	unsigned nr_parts;

	*load = (struct load){.plan = plan, .front = front, .random_state = seed};
	load->part_sectors = blkfront_max_sectors(front);
	load->flush_every = disk->flush ? plan->flush_every : 0;
	load->nr_places = disk->nr_sectors / plan->nr_sectors;
	if (load->nr_places == 0)
		return -ERANGE;
	nr_parts = parts_of(plan->nr_sectors, load->part_sectors);
	load->streams = calloc(plan->depth, sizeof(*load->streams));
	load->requests = calloc((size_t)plan->depth * nr_parts, sizeof(*load->requests));
	if (!load->streams || !load->requests)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->depth; i++) {
		load->streams[i].load = load;
		load->streams[i].part = &load->requests[(size_t)i * nr_parts];
	}
	return 0;
}

void load_fini(struct load *load)
{
	if (!load)
		return;
	free(load->streams);
	free(load->requests);
	load->streams = NULL;
	load->requests = NULL;
}

/* ---- an I/O begins ---------------------------------------------------------------------------- */

static uint64_t next_sector(struct load *load)
{
	uint64_t place;

	if (load->plan->random) {
		/* xorshift64 */
		load->random_state ^= load->random_state << 13;
		load->random_state ^= load->random_state >> 7;
		load->random_state ^= load->random_state << 17;
		place = load->random_state % load->nr_places;
	} else {
		place = load->next_place++ % load->nr_places;
	}
	return place * load->plan->nr_sectors;
}

static bool may_begin(const struct load *load)
{
	if (load->error)
		return false;
	return load->plan->count ? load->begun < load->plan->count
				 : load->now_ns < load->deadline_ns;
}

static void choose(struct load_stream *stream)
{
	struct load *load = stream->load;

	stream->is_flush = load->flush_every && stream->unflushed == load->flush_every;
	stream->unflushed = stream->is_flush ? 0 : stream->unflushed + 1;
	stream->sector = stream->is_flush ? 0 : next_sector(load);
	stream->left = stream->is_flush ? 0 : load->plan->nr_sectors;
}

static void begin(struct load_stream *stream)
{
	struct load *load = stream->load;

	choose(stream);
	stream->begun_ns = load->now_ns;
	stream->nr_parts = 0;
	stream->is_sent = false;
	stream->has_failed = false;
	stream->next = NULL;
	if (load->last)
		load->last->next = stream;
	else
		load->first = stream;
	load->last = stream;
	load->begun++;
	load->nr_active++;
}

/* ---- its requests are sent -------------------------------------------------------------------- */

static void answered(struct blkfront_request *req);

static int send_part(struct load_stream *stream)
{
	struct load *load = stream->load;
	struct blkfront_request *req = &stream->part[stream->nr_parts];
	unsigned n = stream->left < load->part_sectors ? stream->left : load->part_sectors;
	int r;

	req->queue = (unsigned)(stream - load->streams);
	req->done = answered;
	req->opaque = stream;
	req->op = stream->is_flush ? BLKIF_OP_FLUSH_DISKCACHE : load->plan->op;
	req->sector = stream->sector;
	req->nr_sectors = n;
	r = blkfront_submit(load->front, req);
	if (r)
		return r;
	load->requests_sent++;
	stream->nr_parts++;
	stream->nr_open++;
	stream->sector += n;
	stream->left -= n;
	stream->is_sent = stream->left == 0;
	return 0;
}

/* As many as the ring and the pages take; the rest goes when others have been answered. */
static void send_all(struct load *load)
{
	while (load->first && !load->error) {
		struct load_stream *stream = load->first;
		int r = send_part(stream);

		if (r == -EAGAIN)
			return;
		load->error = r;
		if (!stream->is_sent)
			continue;
		load->first = stream->next;
		if (!load->first)
			load->last = NULL;
	}
}

/* ---- it ends ---------------------------------------------------------------------------------- */

static void end(struct load_stream *stream)
{
	struct load *load = stream->load;

	load->nr_active--;
	load->failed += stream->has_failed;
	latencies_add(stream->is_flush ? &load->flush_latencies : &load->latencies,
		load->now_ns - stream->begun_ns);
	if (may_begin(load))
		begin(stream);
}

/* While reaping: the response's place on the ring is free again, so the next request takes it. */
static void answered(struct blkfront_request *req)
{
	struct load_stream *stream = req->opaque;

	stream->has_failed |= req->error || req->status != BLKIF_RSP_OKAY;
	if (--stream->nr_open == 0 && stream->is_sent)
		end(stream);
	send_all(stream->load);
}

static int push(struct load *load)
{
	int r = blkfront_push(load->front);

	if (load->error)
		return load->error;
	/* Nothing is under way that could make room. */
	if (r == 0 && load->first && blkfront_outstanding(load->front) == 0)
		return -ENOBUFS;
	return r;
}

int load_start(struct load *load)
{
	for (unsigned i = 0; i < load->plan->depth && may_begin(load); i++)
		begin(&load->streams[i]);
	send_all(load);
	return push(load);
}

int load_turn(struct load *load)
{
	int r = blkfront_reap(load->front);

	return r ? r : push(load);
}

void load_begin_figures(struct load *load)
{
	struct blkfront_stats stats = blkfront_stats(load->front);

	load->latencies = (struct latencies){.count = 0};
	load->flush_latencies = (struct latencies){.count = 0};
	load->requests_sent = 0;
	load->notified = stats.notified;
	load->events = stats.events;
}
