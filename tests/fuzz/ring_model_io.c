#include <errno.h>

#include "tests/fuzz/ring_model_impl.h"

/* ---- whose I/O it is ---- */

static uint64_t offset_of(const struct entry *e)
{
	return e->sector * SECTOR - e->head;
}

static uint64_t end_of(const struct entry *e)
{
	return (e->sector + e->nr_sectors) * SECTOR + e->tail;
}

static bool is_of_slot(const struct entry *e, unsigned tag)
{
	const struct blk_request *req = &ring_model.queue->slot[tag].req;

	return e->id == req->id && e->op == req->op && e->sector == req->sector &&
	       e->nr_sectors == req->nr_sectors;
}

/* The request of that slot, which has not been put yet, or in part, or is put again. Of two alike one may have been refused. */
static struct entry *entry_of(unsigned tag)
{
	if (tag < LIMIT_SLOTS && ring_model.by_tag[tag])
		return ring_model.by_tag[tag];
	for (unsigned i = 0; tag < LIMIT_SLOTS && i < ring_model.n; i++) {
		struct entry *e = ring_model.entry[i];

		if (e->good && !e->put && is_of_slot(e, tag))
			return e;
	}
	return NULL;
}

/* ---- order ---- */

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
	bool is_barrier = e->op == BLKIF_OP_WRITE_BARRIER;

	if (e->op == BLKIF_OP_READ || e->ambiguous || ring_model.broken)
		return;
	for (unsigned i = 0; i < ring_model.n; i++) {
		const struct entry *other = ring_model.entry[i];
		bool is_older = other->taken_pass != ring_model.pass && !ring_model.waited;

		if (other->answered || other->ambiguous || !is_before(other, e))
			continue;
		FUZZ_CHECK(other->op != BLKIF_OP_WRITE_BARRIER || !is_older,
			"operation %u passes a barrier", e->op);
		if (!is_barrier || other->op == BLKIF_OP_READ || other->ended ||
			(other->nr_segs == 0 && other->op != BLKIF_OP_DISCARD))
			continue;
		FUZZ_CHECK(!other->put && !(is_older && other->good),
			"a barrier passes operation %u", other->op);
	}
	FUZZ_CHECK(!is_barrier || ring_model.good_sync_pass >= e->taken_pass,
		"a barrier's data before an fdatasync");
}

/*
 * D1: of two writes to one block, one of which completes what it has read of it, nothing is under way at the same time, from
 * the first reading on.
 */
static void check_blocks(const struct entry *e)
{
	if (e->op == BLKIF_OP_READ || e->op == BLKIF_OP_DISCARD)
		return;
	for (unsigned i = 0; i < ring_model.n; i++) {
		const struct entry *other = ring_model.entry[i];

		if (other == e || !other->put || other->ended || other->op == BLKIF_OP_READ ||
			other->op == BLKIF_OP_DISCARD)
			continue;
		FUZZ_CHECK((!entry_has_edges(e) && !entry_has_edges(other)) ||
				   end_of(other) <= offset_of(e) || end_of(e) <= offset_of(other),
			"two writes are at work on one block");
	}
}

/* ---- what is put ---- */

/* Direct I/O takes nothing else. */
static void check_whole_blocks(const struct engine_io *io)
{
	const struct storage *storage = &ring_model.disk->storage;
	size_t length = 0;

	FUZZ_CHECK(io->offset_bytes % storage->unit == 0 && io->size_bytes % storage->unit == 0 &&
			   io->size_bytes > 0,
		"%llu bytes at %llu are no blocks", (unsigned long long)io->size_bytes,
		(unsigned long long)io->offset_bytes);
	FUZZ_CHECK(io->nr_iov <= SEGMENTS_OFFERED, "%u pieces of memory", io->nr_iov);
	for (unsigned i = 0; i < io->nr_iov; i++) {
		FUZZ_CHECK(io->iov[i].iov_len % storage->unit == 0 &&
				   (uintptr_t)io->iov[i].iov_base % storage->memory_align == 0,
			"%zu bytes of memory at %p", io->iov[i].iov_len, io->iov[i].iov_base);
		length += io->iov[i].iov_len;
	}
	FUZZ_CHECK(length == io->size_bytes, "%zu bytes of memory", length);
}

/* A block at an end of a write that has only a part of it. */
static unsigned put_edge(struct entry *e, const struct engine_io *io)
{
	unsigned unit = ring_model.disk->storage.unit;
	bool is_head = e->head > 0 && io->offset_bytes == offset_of(e);
	bool is_tail = e->tail > 0 && io->offset_bytes + unit == end_of(e);

	FUZZ_CHECK(io->size_bytes == unit && (is_head || is_tail) && !e->data_put,
		"a write reads %llu bytes at %llu", (unsigned long long)io->size_bytes,
		(unsigned long long)io->offset_bytes);
	e->put = true;
	ring_model.by_tag[io->tag] = e;
	ring_model.version++;
	if (is_head)
		e->head_version = ring_model.version;
	if (is_tail)
		e->tail_version = ring_model.version;
	return ring_model.version;
}

static void put_data(struct entry *e, unsigned tag)
{
	FUZZ_CHECK(!e->data_put, "operation %u is done twice at a time", e->op);
	FUZZ_CHECK(e->op == BLKIF_OP_READ ||
			   ((e->head == 0 || e->head_version) && (e->tail == 0 || e->tail_version)),
		"a write of what was not read before");
	check_barriers(e);
	check_blocks(e);
	e->put = e->data_put = true;
	e->tag = tag;
	e->next = NULL;
	ring_model.by_tag[tag] = e;
}

/* D1: a write whose blocks are in use is done when they are free, and finds younger ones there. */
static bool may_have_waited(const struct entry *e)
{
	return e->op == BLKIF_OP_WRITE && ring_model.disk->storage.unit > SECTOR;
}

static void check_shared(const struct entry *a, const struct entry *b)
{
	FUZZ_CHECK((a->op == BLKIF_OP_READ || a->op == BLKIF_OP_WRITE) && a->op == b->op,
		"operations %u and %u share an I/O", a->op, b->op);
	FUZZ_CHECK(!a->alone && !b->alone, "it is done again together");
	FUZZ_CHECK(b->ambiguous || a->ambiguous || is_before(a, b) || may_have_waited(b),
		"an I/O in another order");
	FUZZ_CHECK(end_of(a) == offset_of(b) && !entry_has_edges(a) && !entry_has_edges(b),
		"they share an I/O, and are apart on the disk");
}

/* Of @first and those behind it. The queue says who they are, and each has to be right. */
static void put_all_data(struct entry *first, const struct engine_io *io)
{
	const struct queue *q = ring_model.queue;
	struct entry *last = first;
	unsigned tag = io->tag;

	put_data(first, tag);
	while (io->verb != ENGINE_DISCARD && (tag = q->slot[tag].next) != SLOT_NONE) {
		struct entry *e = entry_of(tag);

		FUZZ_CHECK(e, "I/O nobody asked for, behind another");
		check_shared(last, e);
		put_data(e, tag);
		last->next = e;
		last = e;
	}
	FUZZ_CHECK(io->offset_bytes == (io->verb == ENGINE_DISCARD ? first->sector * SECTOR
								   : offset_of(first)) &&
			   io->offset_bytes + io->size_bytes == end_of(last),
		"%llu bytes at %llu are not what was asked for", (unsigned long long)io->size_bytes,
		(unsigned long long)io->offset_bytes);
}

static unsigned on_put(const struct engine_io *io)
{
	static const enum engine_verb verbs[] = {[BLKIF_OP_READ] = ENGINE_READ,
		[BLKIF_OP_WRITE] = ENGINE_WRITE,
		[BLKIF_OP_WRITE_BARRIER] = ENGINE_WRITE,
		[BLKIF_OP_FLUSH_DISKCACHE] = ENGINE_WRITE,
		[BLKIF_OP_DISCARD] = ENGINE_DISCARD};
	struct entry *e;

	FUZZ_CHECK(io->storage == &ring_model.disk->storage, "another file");
	if (io->verb == ENGINE_SYNC) {
		FUZZ_CHECK(
			!ring_model.syncing && io->tag == QUEUE_SYNC_TAG, "two fdatasyncs at once");
		ring_model.syncing = true;
		ring_model.sync_pass = ring_model.pass;
		return 0;
	}
	FUZZ_CHECK(io->tag < LIMIT_SLOTS, "tag %u", io->tag);
	if (io->verb != ENGINE_DISCARD)
		check_whole_blocks(io);
	if (ring_model.blind)
		return 0;
	e = entry_of(io->tag);
	FUZZ_CHECK(e, "I/O nobody asked for, of %llu bytes at %llu",
		(unsigned long long)io->size_bytes, (unsigned long long)io->offset_bytes);
	if (io->verb == ENGINE_READ && e->op != BLKIF_OP_READ && entry_has_edges(e)) {
		check_barriers(e);
		check_blocks(e);
		return put_edge(e, io);
	}
	FUZZ_CHECK(io->verb == verbs[e->op], "verb %u for operation %u", io->verb, e->op);
	put_all_data(e, io);
	if (io->verb == ENGINE_WRITE)
		ring_model_data_written(e, io);
	return 0;
}

/* ---- what has ended ---- */

static void end_sync(int error)
{
	ring_model.syncing = false;
	if (error == 0)
		ring_model.good_sync_pass = ring_model.sync_pass;
	else if (ring_model.fault_pass == 0)
		ring_model.fault_pass = ring_model.pass;
}

static void end_data(struct entry *e, int error)
{
	e->ended = true;
	e->ended_pass = ring_model.pass;
	e->error = error;
	ring_model.by_tag[e->tag] = NULL;
}

/* Whose fault it is shows when each is done alone. */
static void end_shared(struct entry *e)
{
	e->alone = true;
	e->data_put = false;
}

static void on_end(const struct engine_io *io, const struct engine_done *done)
{
	bool is_lost = io->verb == ENGINE_WRITE && done->error && !done->refused &&
		       done->error != -ENOSPC && storage_writes_through(&ring_model.disk->storage);
	struct entry *e, *next;
	bool again;

	if (io->verb == ENGINE_SYNC) {
		end_sync(done->error);
		return;
	}
	if (is_lost && ring_model.fault_pass == 0)
		ring_model.fault_pass = ring_model.pass;
	e = ring_model.by_tag[io->tag];
	if (ring_model.blind || e == NULL)
		return;
	if (!e->data_put) {
		e->tag = io->tag;
		if (done->error)
			end_data(e, done->error);
		return;
	}
	again = done->error && e->next && !is_lost;
	for (; e; e = next) {
		next = e->next;
		e->next = NULL;
		if (again)
			end_shared(e);
		else
			end_data(e, done->error);
	}
}

/* ---- what is mapped ---- */

static unsigned nr_data_pages(void)
{
	return fake_xen.nr_mapped - (fake_xen.ring_mapped ? ring_model.cfg.nr_ring_refs : 0);
}

static bool has_segments(const struct entry *e, const uint32_t *refs, unsigned n)
{
	if (e->nr_segs != n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (e->seg[i].ref != refs[i])
			return false;
	return true;
}

/* XSA-396 is about pages that stay mapped; this, about those that the guest lets us read only. */
static void on_map(const uint32_t *refs, unsigned n, bool writable)
{
	FUZZ_CHECK(nr_data_pages() + n <= ring_model.cfg.max_grants, "%u pages mapped, and %u more",
		nr_data_pages(), n);
	FUZZ_CHECK(ring_model.cfg.map_each || (n == 1 && ring_model.cfg.persistent),
		"%u pages mapped of a guest whose data are copied", n);
	/* Pages that stay are for both directions. */
	if (ring_model.cfg.persistent && n == 1 && writable)
		return;
	for (unsigned i = 0; i < ring_model.n; i++) {
		const struct entry *e = ring_model.entry[i];

		if (has_segments(e, refs, n) && (e->op == BLKIF_OP_READ) == writable)
			return;
	}
	FUZZ_CHECK(ring_model.blind, "%u pages mapped %s for nobody", n,
		writable ? "for writing" : "for reading");
}

/* A guest that has its answer has its pages. Those that stay mapped are let go at any time. */
static void on_unmap(void)
{
	FUZZ_CHECK(ring_model.cfg.persistent ||
			   ring_model.queue->ring.rsp_prod_pvt == ring_model.answered,
		"pages unmapped after the answer");
}

void ring_model_io_init(void)
{
	fake_disk.on_put = on_put;
	fake_disk.on_end = on_end;
	fake_xen.on_map = on_map;
	fake_xen.on_unmap = on_unmap;
	fake_xen.mapped_again = ring_model.cfg.map_each;
}

void ring_model_io_check(void)
{
	const struct queue *q = ring_model.queue;
	unsigned n = q->pcache.nr_pages;

	for (unsigned i = 0; i < q->nr_touched; i++)
		if (q->slot[i].state != SLOT_FREE && q->slot[i].way == SLOT_MAPPED)
			n += q->slot[i].req.nr_segments;
	FUZZ_CHECK(nr_data_pages() == n, "%u pages are mapped, %u are used", nr_data_pages(), n);
}
