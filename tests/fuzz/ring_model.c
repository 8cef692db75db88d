#include "tests/fuzz/ring_model.h"

#include <errno.h>

#include "backend/data/queue_impl.h"
#include "tests/fuzz/fake_disk.h"
#include "tests/fuzz/fake_xen.h"
#include "tests/fuzz/fuzz.h"

#define STATUS(status) (1u << -(status))
#define OKAY           STATUS(BLKIF_RSP_OKAY)
#define ERROR          STATUS(BLKIF_RSP_ERROR)
#define NOT_SUPPORTED  STATUS(BLKIF_RSP_EOPNOTSUPP)
#define FLUSH_FAILED   STATUS(-5)

#define SEGMENTS_OFFERED 256u
#define TAKEN_PER_PASS   4u

/* Answered ones stay as long as they may be mistaken for others. */
#define ENTRIES 2048u

struct segment {
	uint32_t ref;
	uint8_t first, last;
};

/* A request that was taken. */
struct entry {
	uint64_t id;
	uint64_t sector;
	uint64_t nr_sectors;
	uint8_t op;
	bool ambiguous; /* another one had the same id and operation meanwhile */
	bool answered;
	bool put;
	bool ended;
	int error;
	unsigned legal; /* STATUS() of each answer that may come */
	unsigned taken_pass, ended_pass;
	uint32_t index; /* in the ring, for before and after */
	unsigned nr_segs;
	struct segment seg[SEGMENTS_OFFERED];
};

static struct {
	struct queue *queue;
	const struct disk *disk;
	struct queue_config cfg;
	uint32_t nr_slots, slot_size;
	uint32_t cons, answered;
	bool broken, stopping, moved;
	bool waited; /* some had to wait for buffers before this pass */
	bool blind;  /* too many ids twice: only answers are counted */
	unsigned pass;
	bool syncing;
	unsigned sync_pass;      /* in which the last fdatasync began */
	unsigned good_sync_pass; /* ... the last one that did not fail */
	unsigned fault_pass;     /* in which the first one failed; 0: none */
	unsigned n;
	struct entry *entry[ENTRIES];
	struct entry *by_tag[LIMIT_SLOTS];
} model;

static struct entry memory[ENTRIES];
static struct entry *unused[ENTRIES];
static unsigned nr_unused;
static uint8_t before[FAKE_PAGES * WIRE_PAGE_SIZE];

/* ---- reading the ring ---- */

static uint64_t number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static uint32_t header_word(unsigned i)
{
	return (uint32_t)number(fake_xen_ring() + (size_t)i * 4, 4);
}

static uint32_t slot_offset(uint32_t index)
{
	return 64 + (index % model.nr_slots) * model.slot_size;
}

static void read_segments(struct entry *e, const uint8_t *at, unsigned n)
{
	e->nr_segs = n;
	for (unsigned i = 0; i < n; i++, at += 8)
		e->seg[i] = (struct segment){(uint32_t)number(at, 4), at[4], at[5]};
}

/* The rules about where: a mask of the answers there may be. @good without any objection. */
static unsigned judge_place(struct entry *e, unsigned good)
{
	uint64_t nr_sectors = e->op == BLKIF_OP_DISCARD ? e->nr_sectors : 0;
	uint64_t size = disk_nr_sectors(model.disk);

	for (unsigned i = 0; i < e->nr_segs; i++) {
		if (e->seg[i].last > 7 || e->seg[i].first > e->seg[i].last)
			return ERROR;
		nr_sectors += e->seg[i].last - e->seg[i].first + 1u;
	}
	e->nr_sectors = nr_sectors;
	if (e->op != BLKIF_OP_READ && model.disk->storage.read_only)
		return ERROR;
	return e->sector <= size && nr_sectors <= size - e->sector ? good : ERROR;
}

static unsigned judge_indirect(struct entry *e, const uint8_t *slot, bool wide)
{
	unsigned n = (unsigned)number(slot + 2, 2);
	uint32_t ref = (uint32_t)number(slot + (wide ? 28 : 24), 4);
	const struct fake_grant *grant = fake_xen_readable(ref);
	bool may_fail;

	if (!model.cfg.indirect || (e->op != BLKIF_OP_READ && e->op != BLKIF_OP_WRITE))
		return NOT_SUPPORTED;
	if (n == 0 || n > SEGMENTS_OFFERED || grant == NULL)
		return ERROR;
	/* Mapped, but granted no more; or the hypercall may fail. */
	may_fail = grant->access == FAKE_NONE || fake_xen.copy_fails;
	read_segments(e, fake_xen_page(grant->page), n);
	return judge_place(e, OKAY | ERROR) | (may_fail ? ERROR : 0);
}

static unsigned judge(struct entry *e, const uint8_t *slot, bool wide)
{
	bool may_be_empty = e->op == BLKIF_OP_WRITE_BARRIER || e->op == BLKIF_OP_FLUSH_DISKCACHE;
	unsigned n = slot[1];

	if (slot[0] == BLKIF_OP_INDIRECT) {
		e->op = slot[1];
		return judge_indirect(e, slot, wide);
	}
	if (e->op > BLKIF_OP_DISCARD || e->op == BLKIF_OP_RESERVED_1 ||
		(e->op == BLKIF_OP_WRITE_BARRIER && !model.cfg.barrier) ||
		(e->op == BLKIF_OP_FLUSH_DISKCACHE && !model.cfg.flush) ||
		(e->op == BLKIF_OP_DISCARD && !model.cfg.discard))
		return NOT_SUPPORTED;
	if (e->op == BLKIF_OP_DISCARD) {
		e->nr_sectors = number(slot + (wide ? 24 : 20), 8);
		return judge_place(e, OKAY | ERROR | NOT_SUPPORTED);
	}
	if (n == 0 && may_be_empty)
		return OKAY | FLUSH_FAILED;
	if (n == 0 || n > 11)
		return ERROR;
	read_segments(e, slot + (wide ? 24 : 20), n);
	return judge_place(e, OKAY | ERROR);
}

/* ---- the entries ---- */

static bool same_name(const struct entry *a, const struct entry *b)
{
	return a->id == b->id && a->op == b->op;
}

static void note_namesakes(struct entry *e)
{
	for (unsigned i = 0; i < model.n; i++) {
		struct entry *other = model.entry[i];

		if (other == e || !same_name(other, e))
			continue;
		e->ambiguous = other->ambiguous = true;
		e->legal |= other->legal;
	}
	for (unsigned i = 0; e->ambiguous && i < model.n; i++)
		if (same_name(model.entry[i], e))
			model.entry[i]->legal |= e->legal;
}

static void take(uint32_t index)
{
	const uint8_t *slot = fake_xen_ring() + slot_offset(index);
	bool wide = model.cfg.abi == WIRE_ABI_64;
	struct entry *e;

	FUZZ_CHECK(nr_unused > 0, "no room in the model");
	e = unused[--nr_unused];
	e->id = number(slot + (wide ? 8 : 4), 8);
	e->sector = number(slot + (wide ? 16 : 12), 8);
	e->nr_sectors = 0;
	e->op = slot[0];
	e->ambiguous = e->answered = e->put = e->ended = false;
	e->error = 0;
	e->taken_pass = model.pass;
	e->index = index;
	e->nr_segs = 0;
	e->legal = judge(e, slot, wide);
	model.entry[model.n++] = e;
	note_namesakes(e);
}

/* How many there are to be taken. Whoever looks at an impossible index never looks again. */
static uint32_t look_at_producer(void)
{
	uint32_t req_prod = header_word(0);
	uint32_t n = req_prod - model.cons;

	if (n > model.nr_slots || req_prod - model.answered > model.nr_slots)
		model.broken = true;
	return model.broken ? 0 : n;
}

/* What is going to be taken by the pass that comes now. */
static unsigned take_all(void)
{
	uint32_t n;

	if (model.stopping || model.queue->waiting.n > 0)
		return 0;
	n = look_at_producer();
	if (n > TAKEN_PER_PASS)
		n = TAKEN_PER_PASS;
	for (uint32_t i = 0; i < n; i++)
		take(model.cons + i);
	return n;
}

static void forget(unsigned i)
{
	unused[nr_unused++] = model.entry[i];
	model.entry[i] = model.entry[--model.n];
}

static bool has_unanswered_namesake(const struct entry *e)
{
	for (unsigned i = 0; i < model.n; i++)
		if (!model.entry[i]->answered && same_name(model.entry[i], e))
			return true;
	return false;
}

static void forget_answered(void)
{
	if (model.n > ENTRIES / 2 + LIMIT_SLOTS)
		model.blind = true;
	for (unsigned i = 0; i < model.n;) {
		const struct entry *e = model.entry[i];
		bool keep = e->ambiguous && !model.blind && has_unanswered_namesake(e);

		if (e->answered && !keep)
			forget(i);
		else
			i++;
	}
}

/* ---- I/O ---- */

static struct entry *entry_of(const struct engine_io *io)
{
	const struct blk_request *req = &model.queue->slot[io->tag].req;

	for (unsigned i = 0; i < model.n; i++) {
		struct entry *e = model.entry[i];

		if (!e->put && e->id == req->id && e->op == req->op &&
			io->offset_bytes == e->sector * WIRE_SECTOR_SIZE &&
			io->size_bytes == e->nr_sectors * WIRE_SECTOR_SIZE)
			return e;
	}
	return NULL;
}

/* What is written is what the guest has in the segments, byte for byte. */
static void check_written(const struct entry *e, const struct engine_io *io)
{
	const struct iovec *iov = io->iov;
	size_t at = 0;

	for (unsigned i = 0; i < e->nr_segs; i++) {
		const struct segment *seg = &e->seg[i];
		const struct fake_grant *grant = fake_xen_readable(seg->ref);

		FUZZ_CHECK(grant, "data of %u, which was not granted", seg->ref);
		for (unsigned sect = seg->first; sect <= seg->last; sect++) {
			if (at == iov->iov_len) {
				iov++;
				at = 0;
			}
			FUZZ_CHECK(memcmp((uint8_t *)iov->iov_base + at,
					   fake_xen_page(grant->page) +
						   (size_t)sect * WIRE_SECTOR_SIZE,
					   WIRE_SECTOR_SIZE) == 0,
				"sector %u of segment %u is written as something else", sect, i);
			at += WIRE_SECTOR_SIZE;
		}
	}
}

static bool is_before(const struct entry *a, const struct entry *b)
{
	return (int32_t)(a->index - b->index) < 0;
}

/*
 * D2, R23: what writes waits for the barrier before it, and a barrier's own data for the writes before it and an
 * fdatasync. A barrier of this pass may have failed already, for its pages' sake, and be no barrier any more; and on a
 * broken ring nobody is told what has ended.
 */
static void check_barriers(const struct entry *e)
{
	if (e->op == BLKIF_OP_READ || e->ambiguous || model.blind || model.broken)
		return;
	for (unsigned i = 0; i < model.n; i++) {
		const struct entry *other = model.entry[i];

		if (other->answered || other->ambiguous || !is_before(other, e))
			continue;
		FUZZ_CHECK(other->op != BLKIF_OP_WRITE_BARRIER || other->taken_pass == model.pass ||
				   model.waited,
			"operation %u passes a barrier", e->op);
		FUZZ_CHECK(e->op != BLKIF_OP_WRITE_BARRIER || other->op == BLKIF_OP_READ ||
				   !other->put || other->ended,
			"a barrier passes operation %u", other->op);
	}
	FUZZ_CHECK(e->op != BLKIF_OP_WRITE_BARRIER || model.good_sync_pass >= e->taken_pass,
		"a barrier's data before an fdatasync");
}

static void on_put(const struct engine_io *io)
{
	static const enum engine_verb verbs[] = {[BLKIF_OP_READ] = ENGINE_READ,
		[BLKIF_OP_WRITE] = ENGINE_WRITE,
		[BLKIF_OP_WRITE_BARRIER] = ENGINE_WRITE,
		[BLKIF_OP_FLUSH_DISKCACHE] = ENGINE_WRITE,
		[BLKIF_OP_DISCARD] = ENGINE_DISCARD};
	struct entry *e;
	size_t length = 0;

	FUZZ_CHECK(io->fd == model.disk->storage.fd, "another file");
	if (io->verb == ENGINE_SYNC) {
		FUZZ_CHECK(!model.syncing && io->tag == QUEUE_SYNC_TAG, "two fdatasyncs at once");
		model.syncing = true;
		model.sync_pass = model.pass;
		return;
	}
	FUZZ_CHECK(io->tag < LIMIT_SLOTS, "tag %u", io->tag);
	e = entry_of(io);
	FUZZ_CHECK(e, "I/O nobody asked for, of %llu bytes at %llu",
		(unsigned long long)io->size_bytes, (unsigned long long)io->offset_bytes);
	FUZZ_CHECK(e->legal & OKAY, "I/O for a request that is refused");
	FUZZ_CHECK(io->verb == verbs[e->op], "verb %u for operation %u", io->verb, e->op);
	check_barriers(e);
	e->put = true;
	model.by_tag[io->tag] = e;
	if (io->verb == ENGINE_DISCARD)
		return;
	for (unsigned i = 0; i < io->nr_iov; i++)
		length += io->iov[i].iov_len;
	FUZZ_CHECK(length == io->size_bytes, "%zu bytes of memory", length);
	if (io->verb == ENGINE_WRITE && e->taken_pass == model.pass && !model.moved &&
		!e->ambiguous)
		check_written(e, io);
}

static void on_end(const struct engine_io *io, const struct engine_done *done)
{
	struct entry *e;
	bool is_lost = done->error && !done->refused && done->error != -ENOSPC;

	model.moved = true;
	if (io->verb == ENGINE_SYNC) {
		model.syncing = false;
		if (done->error == 0)
			model.good_sync_pass = model.sync_pass;
		else if (model.fault_pass == 0)
			model.fault_pass = model.pass;
		return;
	}
	e = model.by_tag[io->tag];
	e->ended = true;
	e->ended_pass = model.pass;
	e->error = done->error;
	if (io->verb == ENGINE_WRITE && is_lost && model.disk->storage.write_through &&
		model.fault_pass == 0)
		model.fault_pass = model.pass;
}

/* ---- answers ---- */

/* Whether success is earned. */
static bool may_succeed(const struct entry *e)
{
	bool is_empty = e->nr_segs == 0 && e->op != BLKIF_OP_DISCARD;

	if (!is_empty && !(e->put && e->ended && e->error == 0))
		return false;
	if (e->op == BLKIF_OP_READ)
		return true;
	if (model.fault_pass && e->taken_pass > model.fault_pass)
		return false;
	if (e->op == BLKIF_OP_FLUSH_DISKCACHE)
		return model.good_sync_pass >= e->taken_pass;
	if (e->op == BLKIF_OP_WRITE_BARRIER)
		return model.good_sync_pass >= (is_empty ? e->taken_pass : e->ended_pass);
	return true;
}

static void check_answer(uint32_t index)
{
	const uint8_t *rsp = fake_xen_ring() + slot_offset(index);
	bool wide = model.cfg.abi == WIRE_ABI_64;
	struct entry name = {.id = number(rsp, 8), .op = rsp[8]};
	int16_t status = (int16_t)number(rsp + 10, 2);

	FUZZ_CHECK(rsp[9] == 0 && (!wide || number(rsp + 12, 4) == 0), "padding that is not zero");
	FUZZ_CHECK(status <= 0 && status > -8, "status %d", status);
	for (unsigned i = 0; i < model.n; i++) {
		struct entry *e = model.entry[i];

		if (e->answered || !same_name(e, &name))
			continue;
		e->answered = true;
		FUZZ_CHECK(e->legal & STATUS(status), "operation %u is answered %d, of mask %#x",
			e->op, status, e->legal);
		FUZZ_CHECK(status != BLKIF_RSP_OKAY || e->ambiguous || may_succeed(e),
			"operation %u succeeds", e->op);
		if (status != BLKIF_RSP_OKAY)
			e->error = status;
		return;
	}
	FUZZ_CHECK(false, "an answer to nobody: id %#llx, operation %u",
		(unsigned long long)name.id, name.op);
}

static unsigned check_answers(unsigned nr_notified)
{
	uint32_t n = model.queue->ring.rsp_prod_pvt - model.answered;
	uint32_t old = model.answered;
	bool asked;

	FUZZ_CHECK(n <= ring_model_unanswered(), "%u answers to %u requests", n,
		ring_model_unanswered());
	FUZZ_CHECK(n == 0 || !model.broken, "answers on a broken ring");
	for (uint32_t i = 0; i < n; i++)
		check_answer(old + i);
	model.answered += n;
	if (n > 0)
		FUZZ_CHECK(header_word(2) == model.answered, "answers not published");
	asked = n > 0 && model.answered - header_word(3) < n;
	FUZZ_CHECK(fake_xen.nr_notified - nr_notified == asked, "%u events",
		fake_xen.nr_notified - nr_notified);
	return n;
}

/* ---- the guest's memory ---- */

/* Some request that reads brings the disk's @sector, or any if it is -1, to this place. */
static bool may_be_read_to(unsigned page, unsigned sect, int64_t sector)
{
	for (unsigned i = 0; i < model.n; i++) {
		const struct entry *e = model.entry[i];
		uint64_t at = e->sector;

		if (e->op != BLKIF_OP_READ || !e->ended)
			continue;
		for (unsigned j = 0; j < e->nr_segs; j++) {
			const struct segment *seg = &e->seg[j];
			const struct fake_grant *grant = fake_xen_writable(seg->ref);

			if (grant && grant->page == page && seg->first <= sect &&
				sect <= seg->last &&
				(sector < 0 || at + sect - seg->first == (uint64_t)sector))
				return true;
			at += seg->last - seg->first + 1u;
		}
	}
	return false;
}

/* Of the ring: the answers of this pass, and the index that covers them. */
static bool is_of_answers(uint32_t offset, uint32_t nr_answers)
{
	uint32_t size = model.cfg.abi == WIRE_ABI_64 ? 16 : 12;

	if (offset >= 8 && offset < 12)
		return nr_answers > 0;
	for (uint32_t i = 0; i < nr_answers; i++) {
		uint32_t at = slot_offset(model.answered - nr_answers + i);

		if (offset >= at && offset < at + size)
			return true;
	}
	return false;
}

static void check_sector(unsigned page, unsigned sect, uint32_t nr_answers)
{
	size_t at = (size_t)page * WIRE_PAGE_SIZE + (size_t)sect * WIRE_SECTOR_SIZE;
	size_t ring_at = at - (size_t)FAKE_DATA_PAGES * WIRE_PAGE_SIZE;
	int64_t sector;

	if (page < FAKE_DATA_PAGES) {
		sector = fake_disk_sector_of(fake_xen.guest + at);
		FUZZ_CHECK(sector >= 0, "page %u, sector %u is not as on the disk", page, sect);
		FUZZ_CHECK(may_be_read_to(page, sect, sector),
			"page %u, sector %u has the disk's %lld", page, sect, (long long)sector);
		return;
	}
	if (may_be_read_to(page, sect, -1))
		return;
	for (unsigned i = 0; i < WIRE_SECTOR_SIZE; i++)
		FUZZ_CHECK(fake_xen.guest[at + i] == before[at + i] ||
				   is_of_answers((uint32_t)ring_at + i, nr_answers),
			"byte %zu of the ring has changed", ring_at + i);
}

static void check_memory(uint32_t nr_answers)
{
	unsigned nr_pages = FAKE_DATA_PAGES + model.cfg.nr_ring_refs;

	for (unsigned page = 0; page < nr_pages; page++) {
		size_t at = (size_t)page * WIRE_PAGE_SIZE;

		if (memcmp(fake_xen.guest + at, before + at, WIRE_PAGE_SIZE) == 0)
			continue;
		for (unsigned sect = 0; sect < WIRE_PAGE_SECTORS; sect++, at += WIRE_SECTOR_SIZE)
			if (memcmp(fake_xen.guest + at, before + at, WIRE_SECTOR_SIZE) != 0)
				check_sector(page, sect, nr_answers);
	}
}

/* What was read successfully is where the guest wanted it. */
static void check_read(const struct entry *e)
{
	for (unsigned i = 0; i < e->nr_segs; i++) {
		const struct fake_grant *grant = fake_xen_writable(e->seg[i].ref);

		FUZZ_CHECK(grant, "success with %u, which was not granted", e->seg[i].ref);
		for (unsigned sect = e->seg[i].first;
			grant->page < FAKE_DATA_PAGES && sect <= e->seg[i].last; sect++) {
			const uint8_t *page = fake_xen_page(grant->page);
			int64_t sector =
				fake_disk_sector_of(page + (size_t)sect * WIRE_SECTOR_SIZE);

			FUZZ_CHECK(sector >= 0 && may_be_read_to(grant->page, sect, sector),
				"sector %u of segment %u has not been read", sect, i);
		}
	}
}

static void check_reads(void)
{
	for (unsigned i = 0; i < model.n; i++) {
		const struct entry *e = model.entry[i];

		if (e->answered && !e->ambiguous && e->op == BLKIF_OP_READ && e->ended &&
			e->error == 0)
			check_read(e);
	}
}

/* ---- a pass ---- */

void ring_model_init(const struct queue_config *cfg, const struct disk *disk, struct queue *queue)
{
	memset(&model, 0, offsetof(__typeof__(model), entry));
	model.queue = queue;
	model.disk = disk;
	model.cfg = *cfg;
	model.slot_size = cfg->abi == WIRE_ABI_64 ? 112 : 108;
	for (model.nr_slots = 1;
		64 + model.nr_slots * 2 * model.slot_size <= cfg->nr_ring_refs * WIRE_PAGE_SIZE;)
		model.nr_slots *= 2;
	for (nr_unused = 0; nr_unused < ENTRIES; nr_unused++)
		unused[nr_unused] = &memory[nr_unused];
	fake_disk.on_put = on_put;
	fake_disk.on_end = on_end;
}

void ring_model_stop(void)
{
	model.stopping = true;
}

unsigned ring_model_unanswered(void)
{
	return model.cons - model.answered;
}

bool ring_model_broken(void)
{
	return model.broken;
}

static void check_broken(void)
{
	bool is_told = queue_status(model.queue) == QUEUE_BROKEN;

	FUZZ_CHECK(model.queue->ring.broken == model.broken, "the ring counts as %s",
		model.broken ? "good" : "broken");
	FUZZ_CHECK(is_told == model.broken || (model.broken && model.stopping),
		"told that it is %s", is_told ? "broken" : "good");
}

bool ring_model_last_look(void)
{
	bool more = model.queue->waiting.n == 0;

	if (!more)
		return false;
	more = backring_final_check(&model.queue->ring);
	FUZZ_CHECK(more == (look_at_producer() > 0), "a last look sees %u", more);
	FUZZ_CHECK(model.broken || header_word(1) == model.cons + 1, "no event asked for");
	/* To be told of it takes another pass. */
	return more ||
	       (model.broken && !model.stopping && queue_status(model.queue) != QUEUE_BROKEN);
}

bool ring_model_pass(void)
{
	unsigned nr_notified = fake_xen.nr_notified;
	unsigned nr_taken, nr_answers;
	bool more;

	model.pass++;
	model.moved = false;
	model.waited = model.queue->waiting.n > 0;
	memcpy(before, fake_xen.guest,
		(FAKE_DATA_PAGES + model.cfg.nr_ring_refs) * (size_t)WIRE_PAGE_SIZE);
	nr_taken = take_all();
	more = queue_poll_once(model.queue);
	FUZZ_CHECK(model.queue->ring.req_cons - model.cons == nr_taken, "%u taken, not %u",
		model.queue->ring.req_cons - model.cons, nr_taken);
	model.cons += nr_taken;
	check_broken();
	nr_answers = check_answers(nr_notified);
	if (!model.blind) {
		check_memory(nr_answers);
		check_reads();
	}
	forget_answered();
	return more;
}
