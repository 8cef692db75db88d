#include "tests/lib/guest_player.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/clients/pattern.h"

#define DEPTH_MAX  512u
#define TIMEOUT_MS 120000

/* A bad request's pages: data for all of its segments, and the segments of an indirect one. */
enum {
	PAGE_DATA,
	PAGE_SEGMENTS,
	PAGE_COUNT
};

struct job {
	struct blkfront_request req; /* the first member */
	struct guest_player *player;
	struct guest_step step;
	struct guest_answer *answer;
	uint64_t nr;
	int16_t expected;
	bool busy;
	struct blkfront_page page[PAGE_COUNT];
	unsigned nr_pages;
};

struct guest_player {
	struct guest_rules rules;
	struct guest_model *model;
	struct blkfront *front;
	struct guest_disk disk;
	uint64_t unit, unit_offset; /* sectors: where a discard's units begin */
	struct dice script, chance;
	uint64_t nr; /* of the next request */
	char trouble[320];
	struct job job[DEPTH_MAX];
};

int guest_player_create(const struct guest_rules *rules, uint64_t seed, struct guest_model *model,
	struct guest_player **ret_player)
{
	struct guest_player *player = calloc(1, sizeof(*player));

	if (!player)
		return -ENOMEM;
	player->rules = *rules;
	if (player->rules.depth == 0 || player->rules.depth > DEPTH_MAX)
		player->rules.depth = DEPTH_MAX;
	player->model = model;
	player->script = (struct dice){seed};
	player->chance = (struct dice){~seed};
	*ret_player = player;
	return 0;
}

void guest_player_destroy(struct guest_player *player)
{
	free(player);
}

const char *guest_player_trouble(const struct guest_player *player)
{
	return player->trouble;
}

/* The first one is what matters. */
__attribute__((format(printf, 2, 3))) static void wrong(
	const struct job *job, const char *format, ...)
{
	struct guest_player *player = job->player;
	const struct guest_step *step = &job->step;
	size_t n;
	va_list args;

	if (player->trouble[0])
		return;
	n = (size_t)snprintf(player->trouble, sizeof(player->trouble),
		"request %" PRIu64 " (%s, operation %u, sector %" PRIu64 ", %" PRIu64
		" sectors, %u segments%s): ",
		job->nr, guest_kind_name(step->kind), step->op, step->sector, step->nr_sectors,
		step->nr_segments, step->indirect ? ", indirect" : "");
	va_start(args, format);
	(void)vsnprintf(player->trouble + n, sizeof(player->trouble) - n, format, args);
	va_end(args);
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* What the guest had in the page @i of the request before the backend saw it. */
static void fill_page(const struct job *job, unsigned i, void *page)
{
	const struct blkfront_pattern old = {.tagged = true, .value = ~job->step.data_seed};

	blkfront_pattern_fill(&old, (uint64_t)i * WIRE_PAGE_SECTORS, page, WIRE_PAGE_SIZE);
}

static unsigned segment_sectors(const struct blk_segment *seg)
{
	return (unsigned)(seg->last_sect - seg->first_sect) + 1;
}

/* What is written to @sector. */
static void fill_data(const struct job *job, uint64_t sector, void *data, unsigned nr_sectors)
{
	const struct blkfront_pattern new = {.tagged = true, .value = job->step.data_seed};

	blkfront_pattern_fill(&new, sector, data, (size_t)nr_sectors * WIRE_SECTOR_SIZE);
}

static void on_granted(struct blkfront_request *req)
{
	const struct job *job = (const struct job *)req;
	uint64_t sector = req->sector;

	for (unsigned i = 0; i < req->nr_pages; i++) {
		const struct blk_segment *seg = &req->seg[i];
		uint8_t *data = req->page[i].address + (size_t)seg->first_sect * WIRE_SECTOR_SIZE;

		fill_page(job, i, req->page[i].address);
		if (req->op != BLKIF_OP_READ)
			fill_data(job, sector, data, segment_sectors(seg));
		sector += segment_sectors(seg);
	}
}

/* The page @i without the sectors from @first on, @n of them, has to be as it was. */
static void check_rest(
	const struct job *job, unsigned i, const uint8_t *page, unsigned first, unsigned n)
{
	uint8_t old[WIRE_PAGE_SIZE];
	size_t begin = (size_t)first * WIRE_SECTOR_SIZE;
	size_t end = begin + (size_t)n * WIRE_SECTOR_SIZE;

	fill_page(job, i, old);
	if (memcmp(page, old, begin) != 0 || memcmp(page + end, old + end, sizeof(old) - end) != 0)
		wrong(job, "page %u has changed outside of sectors %u-%u of it", i, first,
			first + n - 1);
}

static void hash_data(struct job *job, const uint8_t *data, size_t size)
{
	uint64_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		job->answer->hash = (job->answer->hash ^ word) * 0x100000001b3u;
		job->answer->hash ^= job->answer->hash >> 29;
	}
}

/* A segment that was read has what the disk has. */
static void check_read(struct job *job, uint64_t sector, const uint8_t *data, unsigned n)
{
	size_t size = (size_t)n * WIRE_SECTOR_SIZE;
	size_t same = guest_model_compare(job->player->model, sector, n, data);

	hash_data(job, data, size);
	if (same < size)
		wrong(job,
			"byte %zu of sector %" PRIu64 " is 0x%02x, and the disk has 0x%02x there",
			same % WIRE_SECTOR_SIZE, sector + same / WIRE_SECTOR_SIZE, data[same],
			job->player->model->data[sector * WIRE_SECTOR_SIZE + same]);
}

/* One that was written the guest still has, and now the disk has it, too. */
static void check_written(struct job *job, uint64_t sector, const uint8_t *data, unsigned n)
{
	uint8_t written[WIRE_PAGE_SIZE];

	fill_data(job, sector, written, n);
	if (memcmp(data, written, (size_t)n * WIRE_SECTOR_SIZE) != 0)
		wrong(job, "what was written has changed in the guest's page");
	if (job->req.status == BLKIF_RSP_OKAY)
		guest_model_write(job->player->model, sector, n, written);
}

static void on_answered(struct blkfront_request *req)
{
	struct job *job = (struct job *)req;
	uint64_t sector = req->sector;

	for (unsigned i = 0; i < req->nr_pages; i++) {
		const struct blk_segment *seg = &req->seg[i];
		const uint8_t *page = req->page[i].address;
		const uint8_t *data = page + (size_t)seg->first_sect * WIRE_SECTOR_SIZE;
		unsigned n = segment_sectors(seg);

		if (req->op != BLKIF_OP_READ)
			check_written(job, sector, data, n);
		else if (req->status == BLKIF_RSP_OKAY)
			check_read(job, sector, data, n);
		check_rest(job, i, page, seg->first_sect, n);
		sector += n;
	}
}

/* ---- bad requests ----------------------------------------------------------------------------- */

static void put_pages(struct job *job)
{
	while (job->nr_pages > 0)
		blkfront_page_put(job->player->front, &job->page[--job->nr_pages]);
}

static bool get_pages(struct job *job, unsigned n)
{
	for (job->nr_pages = 0; job->nr_pages < n; job->nr_pages++)
		if (!blkfront_page_get(job->player->front, &job->page[job->nr_pages])) {
			put_pages(job);
			return false;
		}
	return true;
}

static void encode_bad(const struct job *job, struct wire_slot *ret_slot)
{
	const struct guest_step *step = &job->step;
	struct blk_request wire = {
		.id = step->id,
		.sector = step->sector,
		.nr_sectors = step->nr_sectors,
		.op = step->op,
		.nr_segments = step->nr_segments,
		.indirect = step->indirect,
	};

	for (unsigned i = 0; i < BLK_SEGMENTS_MAX; i++) {
		wire.seg[i] = step->seg[i];
		wire.seg[i].gref = job->page[PAGE_DATA].gref;
	}
	if (step->kind == GUEST_BAD_GRANT)
		wire.seg[step->bad_segment].gref = step->bad_gref;
	if (step->indirect) {
		frontring_encode_page(wire.seg, BLK_SEGMENTS_MAX, job->page[PAGE_SEGMENTS].address);
		wire.indirect_gref[0] = step->kind == GUEST_BAD_DESCRIPTOR
						? step->bad_gref
						: job->page[PAGE_SEGMENTS].gref;
	}
	frontring_encode(blkfront_ring(job->player->front, job->req.queue)->abi, &wire, ret_slot);
}

static int submit_bad(struct job *job)
{
	struct wire_slot slot;
	int r;

	if (!get_pages(job, job->step.indirect ? 2 : 1))
		return -EAGAIN;
	fill_page(job, PAGE_DATA, job->page[PAGE_DATA].address);
	encode_bad(job, &slot);
	r = blkfront_submit_raw(job->player->front, &slot, &job->req);
	if (r)
		put_pages(job);
	return r;
}

/* What grants are good of a read may have been read before the bad one was found; all else was refused before. */
static void check_bad(struct job *job)
{
	const struct guest_step *step = &job->step;
	bool may_be_read = step->kind == GUEST_BAD_GRANT && step->op == BLKIF_OP_READ;
	unsigned first = WIRE_PAGE_SECTORS, end = 0;

	/* QEMU does some of them: whatever it is that it read. */
	if (job->player->rules.for_qdisk && job->req.status == BLKIF_RSP_OKAY) {
		put_pages(job);
		return;
	}
	for (unsigned i = 0; may_be_read && i < step->nr_segments; i++) {
		if (step->seg[i].first_sect < first)
			first = step->seg[i].first_sect;
		if (step->seg[i].last_sect >= end)
			end = step->seg[i].last_sect + 1u;
	}
	check_rest(job, PAGE_DATA, job->page[PAGE_DATA].address, end ? first : 0,
		end ? end - first : 0);
	put_pages(job);
}

/* ---- the end of a request --------------------------------------------------------------------- */

/* Whole units are given back, what is less at either end stays; unless storage is free to do either. */
static void discard(const struct job *job)
{
	const struct guest_player *player = job->player;
	uint64_t begin = job->step.sector, end = begin + job->step.nr_sectors;
	uint64_t unit = player->unit, offset = player->unit_offset;

	if (!player->rules.discards_zero) {
		guest_model_zero(player->model, begin, end - begin, true);
		return;
	}
	begin = (begin + unit - 1 - offset) / unit * unit + offset;
	if (end >= offset)
		end = (end - offset) / unit * unit + offset;
	if (begin < end)
		guest_model_zero(player->model, begin, end - begin, false);
}

static void check_status(const struct job *job)
{
	const struct guest_rules *rules = &job->player->rules;

	if (job->req.error)
		wrong(job, "not answered: %s", strerror(-job->req.error));
	else if (job->req.status != job->expected &&
		 !(rules->for_qdisk && job->expected != BLKIF_RSP_OKAY))
		wrong(job, "status %d, should be %d", job->req.status, job->expected);
	else if (!job->req.padding_is_zero && !rules->for_qdisk)
		wrong(job, "the padding of the response is not zero (R13)");
}

static void on_done(struct blkfront_request *req)
{
	struct job *job = (struct job *)req;
	struct guest_answer *answer = job->answer;

	check_status(job);
	if (guest_step_is_bad(&job->step))
		check_bad(job);
	else if (guest_step_is_discard(&job->step) && req->status == BLKIF_RSP_OKAY)
		discard(job);
	answer->kind = job->step.kind;
	answer->op = job->step.op;
	answer->sector = job->step.sector;
	answer->nr_sectors = job->step.nr_sectors;
	answer->status = req->status;
	job->busy = false;
}

/* ---- play ------------------------------------------------------------------------------------- */

/* Push what there is and wait until something has come of it. */
static int make_progress(struct guest_player *player)
{
	int r = blkfront_push(player->front);

	if (r == 0)
		r = blkfront_wait(player->front, TIMEOUT_MS);
	if (r == 0)
		r = blkfront_reap(player->front);
	if (r && !player->trouble[0])
		(void)snprintf(player->trouble, sizeof(player->trouble),
			"request %" PRIu64 " is next, %u have no answer: %s", player->nr,
			blkfront_outstanding(player->front),
			r == -ETIMEDOUT ? "nothing happens" : blkfront_error(player->front));
	return r ? r : player->trouble[0] ? -EPROTO : 0;
}

static bool touches_disk(const struct job *job)
{
	return job->busy && job->expected == BLKIF_RSP_OKAY && job->step.nr_sectors > 0;
}

static bool overlaps(const struct guest_step *a, const struct guest_step *b)
{
	return a->sector < b->sector + b->nr_sectors && b->sector < a->sector + a->nr_sectors;
}

/* Some request in flight has to be answered before it is clear what this one finds. */
static bool has_to_wait(const struct guest_player *player, const struct job *job)
{
	for (unsigned i = 0; i < player->rules.depth; i++) {
		const struct job *other = &player->job[i];

		if (other != job && touches_disk(other) && overlaps(&other->step, &job->step) &&
			(blk_op_writes(other->step.op) || blk_op_writes(job->step.op)))
			return true;
	}
	return false;
}

static struct job *free_job(struct guest_player *player)
{
	for (unsigned i = 0; i < player->rules.depth; i++)
		if (!player->job[i].busy)
			return &player->job[i];
	return NULL;
}

static int submit(struct job *job)
{
	struct blkfront_request *req = &job->req;
	const struct guest_step *step = &job->step;

	*req = (struct blkfront_request){
		.sector = step->sector,
		.nr_sectors = step->nr_segments ? (unsigned)step->nr_sectors : 0,
		.nr_segments = step->nr_segments,
		.done = on_done,
		.granted = on_granted,
		.answered = on_answered,
		.queue = (unsigned)dice_below(&job->player->chance, BLKFRONT_QUEUES_MAX),
		.op = step->op,
		.discard_sectors = step->nr_sectors,
		.discard_secure = step->secure,
	};
	if (guest_step_is_bad(step))
		return submit_bad(job);
	memcpy(req->seg, step->seg, sizeof(req->seg));
	return blkfront_submit(job->player->front, req);
}

/*
 * QEMU 7.2 may leave a request on the ring, and the guest without an event, when it refuses another one just before: what it
 * refuses has to be alone.
 */
static int stay_alone(struct guest_player *player, const struct job *job)
{
	bool alone = player->rules.for_qdisk && job->expected != BLKIF_RSP_OKAY;
	int r = 0;

	while (r == 0 && alone && blkfront_outstanding(player->front) > 0)
		r = make_progress(player);
	return r;
}

/* Submit as soon as nothing is in the way. Now and then, let the backend see it at once, or look what it did. */
static int play_one(struct guest_player *player, struct job *job)
{
	int r = stay_alone(player, job);

	while (r == 0 && touches_disk(job) && has_to_wait(player, job))
		r = make_progress(player);
	while (r == 0 && (r = submit(job)) == -EAGAIN)
		r = blkfront_outstanding(player->front) > 0 ? make_progress(player) : -ENOMEM;
	if (r && !player->trouble[0])
		wrong(job, "not submitted: %s", blkfront_error(player->front));
	if (r == 0)
		r = stay_alone(player, job);
	if (r == 0 && dice_one_in(&player->chance, 4))
		r = blkfront_push(player->front);
	if (r == 0 && dice_one_in(&player->chance, 16))
		r = blkfront_reap(player->front);
	return r;
}

/* What is published once both ends are connected. */
static void look_at_disk(struct guest_player *player)
{
	const struct blkfront_disk *disk = blkfront_disk(player->front);
	const struct guest_rules *rules = &player->rules;

	player->disk = (struct guest_disk){
		.nr_sectors = disk->nr_sectors,
		.max_segments = disk->max_segments,
		.read_only = disk->info & VDISK_READONLY,
		.flush = disk->flush,
		.barrier = disk->barrier,
		.discard = disk->discard,
		.indirect = disk->indirect,
		.align = rules->align,
		.discard_align = rules->discard_align,
		.for_qdisk = rules->for_qdisk,
	};
	player->unit = disk->discard_granularity / WIRE_SECTOR_SIZE;
	if (player->unit == 0)
		player->unit = 1;
	player->unit_offset = disk->discard_alignment / WIRE_SECTOR_SIZE % player->unit;
}

static int play(struct guest_player *player, struct guest_answer *answer)
{
	struct job *job = free_job(player);
	int r;

	while (!job) {
		r = make_progress(player);
		if (r)
			return r;
		job = free_job(player);
	}
	job->player = player;
	job->answer = answer;
	job->nr = player->nr;
	guest_script_next(&player->script, &player->disk, player->nr++, &job->step);
	job->expected = guest_step_status(&job->step, &player->disk);
	job->busy = true;
	return play_one(player, job);
}

int guest_player_run(struct guest_player *player, struct blkfront *front, uint64_t n,
	struct guest_answer *answers)
{
	int r = 0;

	player->front = front;
	look_at_disk(player);
	if (player->disk.nr_sectors != player->model->nr_sectors) {
		(void)snprintf(player->trouble, sizeof(player->trouble),
			"the disk has %" PRIu64 " sectors, the image %" PRIu64,
			player->disk.nr_sectors, player->model->nr_sectors);
		return -EPROTO;
	}
	memset(answers, 0, n * sizeof(*answers));
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = play(player, &answers[i]);
	while (r == 0 && blkfront_outstanding(front) > 0)
		r = make_progress(player);
	return r ? r : player->trouble[0] ? -EPROTO : 0;
}
