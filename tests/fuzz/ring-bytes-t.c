/*
 * A hostile guest: the input is what it writes to its ring, its pages and its grants, when, and how the storage fails
 * meanwhile. The queue's own code answers, and ring_model.h says what it may do. At the end all that was taken is
 * finished and all that was mapped is unmapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"
#include "ring/frontring.h"
#include "tests/fuzz/fake_clock.h"
#include "tests/fuzz/fake_disk.h"
#include "tests/fuzz/fake_xen.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ring_model.h"

#define PASSES_MAX 400u

struct guest_end {
	struct disk disk;
	struct queue *queue;
	struct queue_config cfg;
	struct wire_ring_header *header;
	unsigned nr_slots;
	uint32_t prod; /* what it has written; not what it says it has */
	bool any_id;
	uint64_t id;
	unsigned nr_passes;
	bool stopping;
};

enum trouble {
	NO_TROUBLE,
	RING_SERVED_BEFORE,
	RING_READ_ONLY,
	NO_PORT,
};

/* ---- the connection ---- */

static uint64_t whole_blocks(unsigned nr_sectors, unsigned unit)
{
	unsigned n = unit / WIRE_SECTOR_SIZE;

	return (nr_sectors + n - 1) / n * n;
}

static enum trouble choose(struct guest_end *g, struct fuzz_input *in, struct storage *storage)
{
	/* Enough for everything, nothing, one request or a few. */
	static const unsigned max_grants[] = {LIMIT_GRANTS_DISK, 0, 12, 300};
	uint8_t flags = fuzz_u8(in), more = fuzz_u8(in), order = more % 8;
	uint16_t size = fuzz_u16(in);
	unsigned unit = size & 0x1000 ? 4096 : 512;
	enum trouble trouble = order > 4 ? (enum trouble)(order - 4) : NO_TROUBLE;

	*storage = (struct storage){
		.fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.nr_sectors = whole_blocks(1u + size % 4096u, unit),
		.physical_sector_size = unit,
		.unit = unit,
		.memory_align = more & 16 ? 4096 : 512,
		.read_only = flags & 64,
		.kind = &storage_file,
		.cache = flags & 128 ? CACHE_DIRECTSYNC : CACHE_NONE,
		.discard = {.possible = true, .secure = more & 64},
	};
	g->cfg = (struct queue_config){
		.domid = FAKE_DOMID,
		.nr_ring_refs = trouble ? 1 : 1u << order,
		.event_channel = FAKE_PORT,
		.abi = flags & 1 ? WIRE_ABI_32 : WIRE_ABI_64,
		.persistent = flags & 2,
		.map_each = size & 0x2000,
		.max_grants = max_grants[size >> 14],
		/* A write-through disk offers neither (D4). */
		.flush = flags & 4 && !storage_writes_through(storage),
		.barrier = flags & 8 && !storage_writes_through(storage),
		.indirect = flags & 16,
		.discard = flags & 32,
		.gather = true,
	};
	g->any_id = more & 8;
	fake_disk.at_once = more & 32;
	for (unsigned i = 0; i < g->cfg.nr_ring_refs; i++)
		g->cfg.ring_ref[i] = FAKE_DATA_REFS + i;
	g->header = (struct wire_ring_header *)(void *)fake_xen_ring();
	g->header->req_event = g->header->rsp_event = 1;
	g->nr_slots = wire_nr_slots(g->cfg.abi, g->cfg.nr_ring_refs);
	if (trouble == RING_SERVED_BEFORE)
		g->header->rsp_prod = 1;
	if (trouble == RING_READ_ONLY)
		fake_xen_grant(FAKE_DATA_REFS, FAKE_DATA_PAGES, FAKE_READ_ONLY);
	fake_xen.no_port = trouble == NO_PORT;
	return trouble;
}

/* False when there is none, as it should be. */
static bool connect_to(struct guest_end *g, struct fuzz_input *in)
{
	struct problem problem = {.text = ""};
	struct storage storage;
	enum trouble trouble = choose(g, in, &storage);
	int r = disk_init(&g->disk, &storage, 0);

	FUZZ_CHECK(r == 0, "no disk");
	g->cfg.report_fd = g->disk.storage.fd;
	r = queue_create(&g->cfg, &g->disk, &g->queue, &problem);
	FUZZ_CHECK((r == 0) == (trouble == NO_TROUBLE), "trouble %u: %d", trouble, r);
	if (r) {
		FUZZ_CHECK(problem.text[0], "a failure without a sentence");
		return false;
	}
	ring_model_init(&g->cfg, &g->disk, g->queue);
	return true;
}

/* ---- requests ---- */

static uint8_t *slot_at(const struct guest_end *g, uint32_t index)
{
	return fake_xen_ring() + sizeof(struct wire_ring_header) +
	       (index % g->nr_slots) * wire_slot_size(g->cfg.abi);
}

/* Anywhere, but preferably where something is: near either end. */
static uint64_t choose_sector(const struct guest_end *g, struct fuzz_input *in)
{
	uint16_t n = fuzz_u16(in);

	if (n == UINT16_MAX)
		return fuzz_u64(in);
	if (n & 0x8000)
		return disk_nr_sectors(&g->disk) - (n & 0x1fff) % 2048u + (n & 0x2000 ? 16 : 0);
	return n % 4096u;
}

static void choose_segments(struct blk_request *req, struct fuzz_input *in, unsigned n)
{
	uint16_t first_ref = fuzz_u16(in);
	uint8_t kind = fuzz_u8(in);

	for (unsigned i = 0; i < n && i < BLK_SEGMENTS_MAX; i++) {
		struct blk_segment *seg = &req->seg[i];

		/* All of one page, or one after the other. */
		seg->gref = first_ref + (kind & 1 ? 0 : i);
		seg->first_sect = 0;
		seg->last_sect = 7;
		if (kind & 2 && i < 16) {
			uint8_t sects = fuzz_u8(in);

			seg->first_sect = sects & 15;
			seg->last_sect = sects >> 4;
		} else if (kind & 4) {
			seg->first_sect = kind >> 5;
			seg->last_sect = 7;
		}
	}
}

/* What a frontend would write, by and large. */
static void put_request(struct guest_end *g, struct fuzz_input *in)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER,
		BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_DISCARD, BLKIF_OP_RESERVED_1, BLKIF_OP_READ,
		BLKIF_OP_WRITE};
	static struct blk_request req;
	uint8_t kind = fuzz_u8(in), n = fuzz_u8(in);
	struct wire_slot slot;

	req.op = ops[kind % 8];
	req.indirect = kind & 16;
	req.secure = kind & 32;
	req.id = g->any_id ? fuzz_u8(in) : g->id++;
	req.sector = choose_sector(g, in);
	if (req.op == BLKIF_OP_DISCARD) {
		req.nr_sectors = kind & 64 ? fuzz_u64(in) : fuzz_u16(in);
	} else if (req.indirect) {
		req.nr_segments = kind & 64 ? fuzz_u16(in) : (uint16_t)(n + 1u);
		for (unsigned i = 0; i < WIRE_INDIRECT_PAGES; i++)
			req.indirect_gref[i] = fuzz_u8(in) + i * 256u;
		choose_segments(&req, in, req.nr_segments);
		if (kind & 128 && req.indirect_gref[0] < FAKE_REFS)
			frontring_encode_page(req.seg,
				req.nr_segments < BLK_SEGMENTS_MAX ? req.nr_segments
								   : BLK_SEGMENTS_MAX,
				fake_xen_page(fake_xen.grant[req.indirect_gref[0]].page));
	} else {
		req.nr_segments = kind & 8 ? n : n % 12;
		choose_segments(&req, in, 11);
	}
	frontring_encode(g->cfg.abi, &req, &slot);
	memcpy(slot_at(g, g->prod++), slot.bytes, wire_slot_size(g->cfg.abi));
}

/* ... and what it would not. */
static void put_bytes(struct guest_end *g, struct fuzz_input *in)
{
	uint8_t *slot = slot_at(g, g->prod++);

	(void)fuzz_bytes(in, slot, wire_slot_size(g->cfg.abi));
	if (!g->any_id)
		memcpy(slot + (g->cfg.abi == WIRE_ABI_64 ? 8 : 4), &g->id, sizeof(g->id));
	g->id++;
}

static void scribble(struct guest_end *g, struct fuzz_input *in)
{
	unsigned pages = FAKE_DATA_PAGES + g->cfg.nr_ring_refs;
	unsigned page = fuzz_u8(in) % pages, offset = fuzz_u16(in) % WIRE_PAGE_SIZE;
	unsigned n = fuzz_u8(in);

	if (n > WIRE_PAGE_SIZE - offset)
		n = WIRE_PAGE_SIZE - offset;
	(void)fuzz_bytes(in, fake_xen_page(page) + offset, n);
}

/* Pages that tell each other apart. */
static void fill(struct fuzz_input *in)
{
	uint8_t page = fuzz_u8(in) % FAKE_DATA_PAGES, value = fuzz_u8(in);

	for (unsigned i = 0; i < WIRE_PAGE_SECTORS; i++)
		memset(fake_xen_page(page) + (size_t)i * WIRE_SECTOR_SIZE, value + (int)i,
			WIRE_SECTOR_SIZE);
}

static void change_grant(struct fuzz_input *in)
{
	uint32_t ref = fuzz_u16(in) % FAKE_REFS;
	uint8_t how = fuzz_u8(in);

	fake_xen_grant(ref, how / 4 % FAKE_PAGES, (enum fake_access)(how % 3));
}

/* ---- time ---- */

static void end_io(struct fuzz_input *in)
{
	static const int errors[] = {0, -EIO, -ENOSPC, -EOPNOTSUPP, -ECANCELED, 0, 0, 0};
	uint8_t which = fuzz_u8(in), how = fuzz_u8(in);

	fake_disk_end(which, errors[how % 8], how & 8);
}

static void pass(struct guest_end *g)
{
	if (g->nr_passes++ < PASSES_MAX)
		(void)ring_model_pass();
}

static void stop(struct guest_end *g)
{
	queue_begin_stop(g->queue);
	ring_model_stop();
	g->stopping = true;
}

enum event {
	REQUEST,
	REQUEST_PUBLISH_PASS,
	BYTES,
	PUBLISH,
	PRODUCER,
	THRESHOLD,
	SCRIBBLE,
	FILL,
	GRANT,
	END_IO,
	PASS,
	LAST_LOOK,
	RESIZE,
	LIMITS,
	AT_ONCE,
	STOP,
	NR_EVENTS,
};

/* long: one case per event */
static void step(struct guest_end *g, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);

	switch ((enum event)(what % NR_EVENTS)) {
	case REQUEST:
		put_request(g, in);
		break;
	case REQUEST_PUBLISH_PASS:
		put_request(g, in);
		g->header->req_prod = g->prod;
		pass(g);
		break;
	case BYTES:
		put_bytes(g, in);
		break;
	case PUBLISH:
		g->header->req_prod = g->prod;
		break;
	case PRODUCER:
		/* Not far off, as a sly one would have it; backwards, too. */
		g->prod += (uint32_t)(int16_t)fuzz_u16(in);
		g->header->req_prod = g->prod;
		break;
	case THRESHOLD:
		g->header->rsp_event = g->header->rsp_prod + fuzz_u8(in) - 4u;
		break;
	case SCRIBBLE:
		scribble(g, in);
		break;
	case FILL:
		fill(in);
		break;
	case GRANT:
		change_grant(in);
		break;
	case END_IO:
		end_io(in);
		break;
	case PASS:
		pass(g);
		break;
	case LAST_LOOK:
		/* It slept for so long. */
		fake_clock_pass(what / NR_EVENTS * 10u);
		(void)ring_model_last_look();
		break;
	case RESIZE:
		disk_resize(&g->disk, whole_blocks(fuzz_u16(in) % 8192u, g->disk.storage.unit));
		break;
	case LIMITS:
		fake_xen.copy_fails = fuzz_more(in) && *in->at & 1;
		fake_xen.map_fails = fuzz_u8(in) & 2;
		break;
	case AT_ONCE:
		fake_disk.at_once = !fake_disk.at_once;
		break;
	case STOP:
		stop(g);
		break;
	case NR_EVENTS:
		break;
	}
}

/* With a storage that works everything comes to its end, in so many passes. */
static void settle(const struct guest_end *g)
{
	unsigned left = 64 + g->nr_slots * 4;
	bool more = true;

	fake_disk.at_once = true;
	while (more) {
		FUZZ_CHECK(left-- > 0, "it goes on and on");
		/* An fdatasync may be put off for a moment. */
		fake_clock_pass(1);
		more = ring_model_pass() || (!g->stopping && ring_model_last_look());
	}
	FUZZ_CHECK(queue_is_idle(g->queue), "%u requests are never finished",
		g->nr_slots - g->queue->free.n);
	if (!ring_model_broken())
		FUZZ_CHECK(ring_model_unanswered() == 0, "%u requests are never answered",
			ring_model_unanswered());
}

static void disconnect(struct guest_end *g)
{
	struct queue_stats stats;

	settle(g);
	if (!g->stopping) {
		stop(g);
		settle(g);
	}
	queue_destroy(g->queue, &stats);
	FUZZ_CHECK(stats.grants_mapped == stats.grants_unmapped, "%llu pages mapped, %llu unmapped",
		(unsigned long long)stats.grants_mapped, (unsigned long long)stats.grants_unmapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};
	struct guest_end g = {.prod = 0};

	fake_xen_reset();
	fake_clock_reset();
	if (connect_to(&g, &in)) {
		while (fuzz_more(&in))
			step(&g, &in);
		disconnect(&g);
	}
	disk_fini(&g.disk);
	FUZZ_CHECK(fake_xen.nr_mapped == 0 && fake_xen.nr_handles == 0 && fake_disk.nr_engines == 0,
		"%u pages, %u handles, %u engines are left", fake_xen.nr_mapped,
		fake_xen.nr_handles, fake_disk.nr_engines);
	return 0;
}
