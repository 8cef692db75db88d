#include "tests/fuzz/ring_model_impl.h"

#include <errno.h>

struct ring_model ring_model;

static struct entry memory[ENTRIES];
static struct entry *unused[ENTRIES];
static unsigned nr_unused;

/* ---- reading the ring ---- */

static uint32_t header_word(unsigned i)
{
	return (uint32_t)ring_model_number(fake_xen_ring() + (size_t)i * 4, 4);
}

static void read_segments(struct entry *e, const uint8_t *at, unsigned n)
{
	e->nr_segs = n;
	for (unsigned i = 0; i < n; i++, at += 8)
		e->seg[i] = (struct segment){(uint32_t)ring_model_number(at, 4), at[4], at[5]};
}

/* The rules about where: a mask of the answers there may be. @good without any objection. */
static unsigned judge_place(struct entry *e, unsigned good)
{
	uint64_t nr_sectors = e->op == BLKIF_OP_DISCARD ? e->nr_sectors : 0;
	uint64_t size = disk_nr_sectors(ring_model.disk);

	for (unsigned i = 0; i < e->nr_segs; i++) {
		if (e->seg[i].last > 7 || e->seg[i].first > e->seg[i].last)
			return ERROR;
		nr_sectors += e->seg[i].last - e->seg[i].first + 1u;
	}
	e->nr_sectors = nr_sectors;
	if (e->op != BLKIF_OP_READ && ring_model.disk->storage.read_only)
		return ERROR;
	return e->sector <= size && nr_sectors <= size - e->sector ? good : ERROR;
}

static unsigned judge_indirect(struct entry *e, const uint8_t *slot, bool wide)
{
	unsigned n = (unsigned)ring_model_number(slot + 2, 2);
	uint32_t ref = (uint32_t)ring_model_number(slot + (wide ? 28 : 24), 4);
	const struct fake_grant *grant = fake_xen_readable(ref);

	if (!ring_model.cfg.indirect || (e->op != BLKIF_OP_READ && e->op != BLKIF_OP_WRITE))
		return NOT_SUPPORTED;
	if (n == 0 || n > SEGMENTS_OFFERED || grant == NULL)
		return ERROR;
	/* Mapped, but granted no more; or the hypercall may fail. */
	e->excused = grant->access == FAKE_NONE || fake_xen.copy_fails;
	read_segments(e, fake_xen_page(grant->page), n);
	return judge_place(e, OKAY | ERROR) | (e->excused ? ERROR : 0);
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
		(e->op == BLKIF_OP_WRITE_BARRIER && !ring_model.cfg.barrier) ||
		(e->op == BLKIF_OP_FLUSH_DISKCACHE && !ring_model.cfg.flush) ||
		(e->op == BLKIF_OP_DISCARD && !ring_model.cfg.discard))
		return NOT_SUPPORTED;
	if (e->op == BLKIF_OP_DISCARD) {
		e->nr_sectors = ring_model_number(slot + (wide ? 24 : 20), 8);
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
	for (unsigned i = 0; i < ring_model.n; i++) {
		struct entry *other = ring_model.entry[i];

		if (other == e || !same_name(other, e))
			continue;
		e->ambiguous = other->ambiguous = true;
		e->legal |= other->legal;
	}
	for (unsigned i = 0; e->ambiguous && i < ring_model.n; i++)
		if (same_name(ring_model.entry[i], e))
			ring_model.entry[i]->legal |= e->legal;
}

/* D1: the storage moves whole blocks. */
static void note_data(struct entry *e)
{
	unsigned per_unit = ring_model.disk->storage.unit / SECTOR;

	if (!e->good || e->nr_segs == 0)
		return;
	e->head = (unsigned)(e->sector % per_unit) * SECTOR;
	e->tail =
		(unsigned)((per_unit - (e->sector + e->nr_sectors) % per_unit) % per_unit) * SECTOR;
	if (e->op != BLKIF_OP_READ)
		ring_model_data_note(e);
}

static struct entry *take(uint32_t index)
{
	const uint8_t *slot = fake_xen_ring() + ring_model_slot_offset(index);
	bool wide = ring_model.cfg.abi == WIRE_ABI_64;
	struct entry *e;

	FUZZ_CHECK(nr_unused > 0, "no room in the model");
	e = unused[--nr_unused];
	/* But for its segments. */
	memset(e, 0, offsetof(struct entry, seg));
	e->id = ring_model_number(slot + (wide ? 8 : 4), 8);
	e->sector = ring_model_number(slot + (wide ? 16 : 12), 8);
	e->op = slot[0];
	e->in_slot = slot[0] != BLKIF_OP_INDIRECT;
	e->taken_pass = ring_model.pass;
	e->index = index;
	e->legal = judge(e, slot, wide);
	e->good = e->legal & OKAY;
	note_data(e);
	ring_model.entry[ring_model.n++] = e;
	note_namesakes(e);
	return e;
}

/* How many there are to be taken. Whoever looks at an impossible index never looks again. */
static uint32_t look_at_producer(void)
{
	uint32_t req_prod = header_word(0);
	uint32_t n = req_prod - ring_model.cons;

	if (n > ring_model.nr_slots || req_prod - ring_model.answered > ring_model.nr_slots)
		ring_model.broken = true;
	return ring_model.broken ? 0 : n;
}

/* What of its slot says that the storage may do it together with the one taken before. */
static bool may_share(const struct entry *last, const struct entry *e)
{
	return last && last->in_slot && last->good && e->in_slot && e->good && last->op == e->op &&
	       (e->op == BLKIF_OP_READ || e->op == BLKIF_OP_WRITE) && !entry_has_edges(last) &&
	       !entry_has_edges(e) && e->sector == last->sector + last->nr_sectors;
}

/* How many runs are taken is the queue's to choose, but not none, and not without end. */
static unsigned runs_of_pass(void)
{
	const struct queue *q = ring_model.queue;
	unsigned n = q->ends_at_once ? RUNS_AT_ONCE : q->take_limit;

	FUZZ_CHECK(n > 0 && n <= RUNS_PER_PASS, "%u at a time", n);
	return n;
}

/* What is going to be taken by the pass that comes now: until the last run has begun, and of a stream until it is full. */
static unsigned take_all(void)
{
	const struct entry *last = NULL;
	unsigned nr_runs = 0, nr_segs = 0, max_runs = runs_of_pass();
	bool streams = false;
	uint32_t n, i;

	if (ring_model.stopping || ring_model.queue->waiting.n > 0)
		return 0;
	n = look_at_producer();
	for (i = 0; i < n; i++) {
		const struct entry *e;

		if (nr_runs > max_runs)
			break;
		if (nr_runs == max_runs && (!streams || nr_segs >= RUN_SEGMENTS))
			break;
		e = take(ring_model.cons + i);
		streams = may_share(last, e);
		nr_segs += e->nr_segs;
		if (!streams || nr_segs > RUN_SEGMENTS) {
			nr_runs++;
			nr_segs = e->nr_segs;
		}
		last = e;
	}
	return i;
}

static void forget(unsigned i)
{
	unused[nr_unused++] = ring_model.entry[i];
	ring_model.entry[i] = ring_model.entry[--ring_model.n];
}

static bool has_unanswered_namesake(const struct entry *e)
{
	for (unsigned i = 0; i < ring_model.n; i++)
		if (!ring_model.entry[i]->answered && same_name(ring_model.entry[i], e))
			return true;
	return false;
}

static void forget_answered(void)
{
	if (ring_model.n > ENTRIES / 2 + LIMIT_SLOTS)
		ring_model.blind = true;
	for (unsigned i = 0; i < ring_model.n;) {
		const struct entry *e = ring_model.entry[i];
		bool keep = e->ambiguous && !ring_model.blind && has_unanswered_namesake(e);

		if (e->answered && !keep)
			forget(i);
		else
			i++;
	}
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
	if (ring_model.fault_pass && e->taken_pass > ring_model.fault_pass)
		return false;
	if (e->op == BLKIF_OP_FLUSH_DISKCACHE)
		return ring_model.good_sync_pass >= e->taken_pass;
	if (e->op == BLKIF_OP_WRITE_BARRIER)
		return ring_model.good_sync_pass >= (is_empty ? e->taken_pass : e->ended_pass);
	return true;
}

/* The guest's page cannot be had for what this wants to do with it. */
static bool is_out_of_reach(const struct segment *seg, bool to_write)
{
	return seg->ref >= FAKE_REFS ||
	       fake_xen.grant[seg->ref].access < (to_write ? FAKE_READ_WRITE : FAKE_READ_ONLY);
}

/* Whether failure is: by its own I/O, its own pages, or the disk's latch. What others suffered is none of its business. */
static bool may_fail(const struct entry *e)
{
	bool is_read = e->op == BLKIF_OP_READ;

	if (!e->good || e->excused || (e->ended && e->error))
		return true;
	if (!is_read && ring_model.fault_pass)
		return true;
	/* Of what is written they were needed before. */
	if (e->nr_segs == 0 || (is_read ? !e->ended : e->put))
		return false;
	if (fake_xen.copy_fails)
		return true;
	for (unsigned i = 0; i < e->nr_segs; i++)
		if (is_out_of_reach(&e->seg[i], is_read))
			return true;
	return false;
}

static bool is_earned(const struct entry *e, int16_t status)
{
	if (e->ambiguous || ring_model.blind)
		return true;
	if (status == BLKIF_RSP_OKAY)
		return may_succeed(e);
	if (e->good && status == BLKIF_RSP_EOPNOTSUPP)
		return e->ended && e->error == -EOPNOTSUPP;
	return may_fail(e);
}

static void check_answer(uint32_t index)
{
	const uint8_t *rsp = fake_xen_ring() + ring_model_slot_offset(index);
	bool wide = ring_model.cfg.abi == WIRE_ABI_64;
	struct entry name = {.id = ring_model_number(rsp, 8), .op = rsp[8]};
	int16_t status = (int16_t)ring_model_number(rsp + 10, 2);

	FUZZ_CHECK(rsp[9] == 0 && (!wide || ring_model_number(rsp + 12, 4) == 0),
		"padding that is not zero");
	FUZZ_CHECK(status <= 0 && status > -8, "status %d", status);
	for (unsigned i = 0; i < ring_model.n; i++) {
		struct entry *e = ring_model.entry[i];

		if (e->answered || !same_name(e, &name))
			continue;
		e->answered = true;
		FUZZ_CHECK(e->legal & STATUS(status), "operation %u is answered %d, of mask %#x",
			e->op, status, e->legal);
		FUZZ_CHECK(is_earned(e, status), "operation %u is answered %d without a reason",
			e->op, status);
		if (status != BLKIF_RSP_OKAY)
			e->error = status;
		return;
	}
	FUZZ_CHECK(false, "an answer to nobody: id %#llx, operation %u",
		(unsigned long long)name.id, name.op);
}

static unsigned check_answers(unsigned nr_notified)
{
	uint32_t n = ring_model.queue->ring.rsp_prod_pvt - ring_model.answered;
	uint32_t old = ring_model.answered;
	bool asked;

	FUZZ_CHECK(n <= ring_model_unanswered(), "%u answers to %u requests", n,
		ring_model_unanswered());
	FUZZ_CHECK(n == 0 || !ring_model.broken, "answers on a broken ring");
	for (uint32_t i = 0; i < n; i++)
		check_answer(old + i);
	ring_model.answered += n;
	if (n > 0)
		FUZZ_CHECK(header_word(2) == ring_model.answered, "answers not published");
	asked = n > 0 && ring_model.answered - header_word(3) < n;
	FUZZ_CHECK(fake_xen.nr_notified - nr_notified == asked, "%u events",
		fake_xen.nr_notified - nr_notified);
	return n;
}

/* ---- a pass ---- */

void ring_model_init(const struct queue_config *cfg, const struct disk *disk, struct queue *queue)
{
	memset(&ring_model, 0, sizeof(ring_model));
	ring_model.queue = queue;
	ring_model.disk = disk;
	ring_model.cfg = *cfg;
	ring_model.slot_size = cfg->abi == WIRE_ABI_64 ? 112 : 108;
	for (ring_model.nr_slots = 1; 64 + ring_model.nr_slots * 2 * ring_model.slot_size <=
				      cfg->nr_ring_refs * WIRE_PAGE_SIZE;)
		ring_model.nr_slots *= 2;
	for (nr_unused = 0; nr_unused < ENTRIES; nr_unused++)
		unused[nr_unused] = &memory[nr_unused];
	ring_model_io_init();
}

void ring_model_stop(void)
{
	ring_model.stopping = true;
}

unsigned ring_model_unanswered(void)
{
	return ring_model.cons - ring_model.answered;
}

bool ring_model_broken(void)
{
	return ring_model.broken;
}

static void check_broken(void)
{
	bool is_told = queue_status(ring_model.queue) == QUEUE_BROKEN;

	FUZZ_CHECK(ring_model.queue->ring.broken == ring_model.broken, "the ring counts as %s",
		ring_model.broken ? "good" : "broken");
	FUZZ_CHECK(is_told == ring_model.broken || (ring_model.broken && ring_model.stopping),
		"told that it is %s", is_told ? "broken" : "good");
}

bool ring_model_last_look(void)
{
	bool more = ring_model.queue->waiting.n == 0;

	if (!more)
		return false;
	more = backring_final_check(&ring_model.queue->ring);
	FUZZ_CHECK(more == (look_at_producer() > 0), "a last look sees %u", more);
	FUZZ_CHECK(
		ring_model.broken || header_word(1) == ring_model.cons + 1, "no event asked for");
	/* To be told of it takes another pass. */
	return more || (ring_model.broken && !ring_model.stopping &&
			       queue_status(ring_model.queue) != QUEUE_BROKEN);
}

/* Whose data will be copied later, as they are then. */
static void note_waiting(void)
{
	const struct slot_list *waiting = &ring_model.queue->waiting;

	for (unsigned i = 0; i < waiting->n; i++) {
		const struct blk_request *req = &ring_model.queue->slot[waiting->slot[i]].req;
		const struct entry name = {.id = req->id, .op = req->op};

		for (unsigned j = 0; j < ring_model.n; j++)
			if (same_name(ring_model.entry[j], &name))
				ring_model.entry[j]->data_known = false;
	}
}

bool ring_model_pass(void)
{
	unsigned nr_notified = fake_xen.nr_notified;
	unsigned nr_taken, nr_answers;
	bool more;

	ring_model.pass++;
	fake_xen.pass = ring_model.pass;
	ring_model.waited = ring_model.queue->waiting.n > 0;
	ring_model_data_before();
	nr_taken = take_all();
	more = queue_poll_once(ring_model.queue);
	FUZZ_CHECK(ring_model.queue->ring.req_cons - ring_model.cons == nr_taken,
		"%u taken, not %u", ring_model.queue->ring.req_cons - ring_model.cons, nr_taken);
	ring_model.cons += nr_taken;
	check_broken();
	nr_answers = check_answers(nr_notified);
	ring_model_io_check();
	if (!ring_model.blind)
		ring_model_data_after(nr_answers);
	note_waiting();
	forget_answered();
	return more;
}
