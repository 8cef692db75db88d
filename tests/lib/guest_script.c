#include "tests/lib/guest_script.h"

#include <string.h>

const char *guest_kind_name(enum guest_kind kind)
{
	static const char *const name[GUEST_KIND_COUNT] = {
		[GUEST_READ] = "read",
		[GUEST_WRITE] = "write",
		[GUEST_FLUSH] = "flush",
		[GUEST_FLUSH_WRITE] = "flush-write",
		[GUEST_BARRIER] = "barrier",
		[GUEST_BARRIER_WRITE] = "barrier-write",
		[GUEST_DISCARD] = "discard",
		[GUEST_SECURE_DISCARD] = "secure-discard",
		[GUEST_BEYOND_END] = "beyond-end",
		[GUEST_WRAPS_AROUND] = "wraps-around",
		[GUEST_NO_SEGMENTS] = "no-segments",
		[GUEST_TOO_MANY_SEGMENTS] = "too-many-segments",
		[GUEST_BACKWARD_SEGMENT] = "backward-segment",
		[GUEST_SEGMENT_BEYOND_PAGE] = "segment-beyond-page",
		[GUEST_UNKNOWN_OP] = "unknown-op",
		[GUEST_BAD_GRANT] = "bad-grant",
		[GUEST_BAD_DESCRIPTOR] = "bad-descriptor",
		[GUEST_INDIRECT_OF_OTHER_OP] = "indirect-of-other-op",
		[GUEST_DISCARD_BEYOND_END] = "discard-beyond-end",
		[GUEST_DISCARD_WRAPS_AROUND] = "discard-wraps-around",
	};

	return kind < GUEST_KIND_COUNT ? name[kind] : "?";
}

/* ---- how it is to be answered ----------------------------------------------------------------- */

static bool is_offered(const struct guest_step *step, const struct guest_disk *disk)
{
	if (step->indirect)
		return disk->indirect && (step->op == BLKIF_OP_READ || step->op == BLKIF_OP_WRITE);
	switch (step->op) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
		return true;
	case BLKIF_OP_WRITE_BARRIER:
		return disk->barrier;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return disk->flush;
	case BLKIF_OP_DISCARD:
		return disk->discard;
	default:
		return false;
	}
}

int16_t guest_step_status(const struct guest_step *step, const struct guest_disk *disk)
{
	if (!is_offered(step, disk))
		return BLKIF_RSP_EOPNOTSUPP;
	if (guest_step_is_bad(step))
		return BLKIF_RSP_ERROR;
	if (disk->read_only && step->nr_segments > 0 && step->op != BLKIF_OP_READ)
		return BLKIF_RSP_ERROR;
	return BLKIF_RSP_OKAY;
}

/* ---- good ones -------------------------------------------------------------------------------- */

/* Mostly few, sometimes as many as there may be. */
static unsigned roll_nr_segments(struct dice *dice, unsigned max)
{
	switch (dice_below(dice, 16)) {
	case 0:
		return max;
	case 1:
		return dice_between(dice, 1, max);
	case 2:
	case 3:
		return dice_between(dice, 1, max < 32 ? max : 32);
	case 4:
	case 5:
	case 6:
	case 7:
		return dice_between(dice, 1, WIRE_SEGMENTS_MAX);
	default:
		return dice_between(dice, 1, 2);
	}
}

/* Half of all requests are of whole pages but for both ends, as an honest guest's; in others each segment lies anywhere. */
static void roll_segments(struct dice *dice, unsigned align, unsigned n, struct guest_step *step)
{
	bool contiguous = dice_one_in(dice, 2);
	unsigned units = WIRE_PAGE_SECTORS / align;

	step->nr_segments = (uint16_t)n;
	step->nr_sectors = 0;
	for (unsigned i = 0; i < n; i++) {
		struct blk_segment *seg = &step->seg[i];
		unsigned first = 0, last = units - 1;

		if (!contiguous || i == 0)
			first = dice_between(dice, 0, last);
		if (!contiguous || i == n - 1)
			last = dice_between(dice, first, last);
		seg->first_sect = (uint8_t)(first * align);
		seg->last_sect = (uint8_t)((last + 1) * align - 1);
		step->nr_sectors += (uint64_t)(seg->last_sect - seg->first_sect) + 1;
	}
}

/* Anywhere, or where others are, or just at the end. */
static uint64_t roll_sector(struct dice *dice, uint64_t disk_sectors, uint64_t n, unsigned align)
{
	uint64_t last = (disk_sectors - n) / align;

	switch (dice_below(dice, 8)) {
	case 0:
		return last * align;
	case 1:
	case 2:
		return dice_below(dice, last < 512 ? last + 1 : 512) * align;
	default:
		return dice_below(dice, last + 1) * align;
	}
}

/* One in three is of whole pages only: storage of blocks that large takes others by a detour. */
static void roll_transfer(
	struct dice *dice, const struct guest_disk *disk, unsigned max, struct guest_step *step)
{
	unsigned align = dice_one_in(dice, 3) ? WIRE_PAGE_SECTORS : disk->align;

	roll_segments(dice, align, roll_nr_segments(dice, max), step);
	step->sector = roll_sector(dice, disk->nr_sectors, step->nr_sectors, align);
}

static void roll_discard(struct dice *dice, const struct guest_disk *disk, struct guest_step *step)
{
	static const unsigned sizes[] = {2, 20, 200, 2000};
	unsigned align = disk->discard_align;
	uint64_t n = dice_below(dice, sizes[dice_below(dice, 4)]) * align;

	if (dice_one_in(dice, 50) || n > disk->nr_sectors)
		n = disk->nr_sectors / align * align;
	step->op = BLKIF_OP_DISCARD;
	step->nr_segments = 0;
	step->nr_sectors = n;
	step->sector = roll_sector(dice, disk->nr_sectors, n, align);
	step->secure = step->kind == GUEST_SECURE_DISCARD;
}

static void roll_good(struct dice *dice, const struct guest_disk *disk, struct guest_step *step)
{
	static const uint8_t ops[] = {
		[GUEST_READ] = BLKIF_OP_READ,
		[GUEST_WRITE] = BLKIF_OP_WRITE,
		[GUEST_FLUSH] = BLKIF_OP_FLUSH_DISKCACHE,
		[GUEST_FLUSH_WRITE] = BLKIF_OP_FLUSH_DISKCACHE,
		[GUEST_BARRIER] = BLKIF_OP_WRITE_BARRIER,
		[GUEST_BARRIER_WRITE] = BLKIF_OP_WRITE_BARRIER,
	};

	if (step->kind == GUEST_DISCARD || step->kind == GUEST_SECURE_DISCARD) {
		roll_discard(dice, disk, step);
		return;
	}
	step->op = ops[step->kind];
	if (step->kind == GUEST_READ || step->kind == GUEST_WRITE)
		roll_transfer(dice, disk, disk->max_segments, step);
	else if (step->kind == GUEST_FLUSH_WRITE || step->kind == GUEST_BARRIER_WRITE)
		roll_transfer(dice, disk, WIRE_SEGMENTS_MAX, step);
	else
		step->sector = dice_one_in(dice, 2) ? UINT64_MAX : 0; /* nobody looks at it (R9) */
	step->indirect = step->nr_segments > WIRE_SEGMENTS_MAX;
}

/* ---- bad ones --------------------------------------------------------------------------------- */

/* Just beyond the end, or far. */
static uint64_t sector_beyond_end(struct dice *dice, const struct guest_disk *disk, uint64_t n)
{
	switch (dice_below(dice, 3)) {
	case 0:
		return disk->nr_sectors - n + 1;
	case 1:
		return disk->nr_sectors + dice_below(dice, 9);
	default:
		return disk->nr_sectors + dice_below(dice, UINT64_C(1) << 40);
	}
}

/* The sum with a length, or bytes in place of sectors, would not fit 64 bits. */
static uint64_t sector_that_wraps(struct dice *dice, uint64_t n)
{
	switch (dice_below(dice, 5)) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 0 - n;
	case 2:
		return 0 - n + dice_below(dice, n);
	case 3:
		return UINT64_C(1) << 63;
	default:
		return (UINT64_C(1) << 55) + dice_below(dice, 64);
	}
}

static unsigned any_segment(struct dice *dice, const struct guest_step *step)
{
	return (unsigned)dice_below(dice, step->nr_segments);
}

static void spoil_segment(struct dice *dice, struct guest_step *step)
{
	struct blk_segment *seg = &step->seg[any_segment(dice, step)];

	if (step->kind == GUEST_BACKWARD_SEGMENT) {
		seg->first_sect = (uint8_t)dice_between(dice, 1, 7);
		seg->last_sect = (uint8_t)dice_below(dice, seg->first_sect);
		return;
	}
	seg->last_sect = (uint8_t)dice_between(dice, WIRE_PAGE_SECTORS, 255);
	seg->first_sect = (uint8_t)dice_between(dice, 0, seg->last_sect);
}

static void spoil_count(struct dice *dice, struct guest_step *step)
{
	unsigned max = step->indirect ? UINT16_MAX : UINT8_MAX;
	unsigned least = step->indirect ? BLK_SEGMENTS_MAX + 1 : WIRE_SEGMENTS_MAX + 1;

	if (step->kind == GUEST_NO_SEGMENTS)
		step->nr_segments = 0;
	else if (dice_one_in(dice, 2))
		step->nr_segments = (uint16_t)least;
	else
		step->nr_segments = (uint16_t)dice_between(dice, least, max);
}

static void spoil_grant(struct dice *dice, struct guest_step *step)
{
	/* No domain has these: reserved, the last there can be in the simulator, and beyond any. */
	static const uint32_t grefs[] = {0, 65535, UINT32_MAX};

	step->bad_gref = grefs[dice_below(dice, 3)];
	step->bad_segment = any_segment(dice, step);
}

/* Kinds that are bad for their operation only, and discards. */
static void roll_other_op(struct dice *dice, const struct guest_disk *disk, struct guest_step *step)
{
	switch ((int)step->kind) {
	case GUEST_UNKNOWN_OP:
		step->op = (uint8_t)(dice_one_in(dice, 8) ? 4 : dice_between(dice, 7, 255));
		return;
	case GUEST_INDIRECT_OF_OTHER_OP:
		step->indirect = true;
		step->op = (uint8_t)dice_between(dice, 2, 255);
		return;
	case GUEST_BAD_DESCRIPTOR:
		step->indirect = true;
		return;
	case GUEST_DISCARD_BEYOND_END:
		step->op = BLKIF_OP_DISCARD;
		step->nr_segments = 0;
		step->nr_sectors = dice_between(dice, 1, 100);
		step->sector = sector_beyond_end(dice, disk, step->nr_sectors);
		/* In 32 bits it would be inside (R27). */
		if (dice_one_in(dice, 3)) {
			step->nr_sectors += UINT64_C(1) << 32;
			step->sector = dice_below(dice, disk->nr_sectors - 100);
		}
		return;
	case GUEST_DISCARD_WRAPS_AROUND:
		step->op = BLKIF_OP_DISCARD;
		step->nr_segments = 0;
		step->nr_sectors = dice_one_in(dice, 2) ? UINT64_MAX : dice_between(dice, 9, 100);
		step->sector = 0 - step->nr_sectors + dice_below(dice, 9);
		return;
	default:
		return;
	}
}

/* A good request of any operation, with one thing wrong. */
static void roll_bad(struct dice *dice, const struct guest_disk *disk, struct guest_step *step)
{
	step->op = (uint8_t)dice_below(dice, 4);
	if (step->kind == GUEST_NO_SEGMENTS || step->kind == GUEST_BAD_DESCRIPTOR)
		step->op = (uint8_t)dice_below(dice, 2);
	if (step->kind == GUEST_WRAPS_AROUND && disk->for_qdisk)
		step->op = BLKIF_OP_READ;
	step->indirect = !disk->for_qdisk && step->op <= BLKIF_OP_WRITE && dice_one_in(dice, 3);
	step->id = dice_roll(dice);
	roll_transfer(dice, disk, step->indirect ? BLK_SEGMENTS_MAX : WIRE_SEGMENTS_MAX, step);
	switch ((int)step->kind) {
	case GUEST_BEYOND_END:
		step->sector = sector_beyond_end(dice, disk, step->nr_sectors);
		return;
	case GUEST_WRAPS_AROUND:
		step->sector = sector_that_wraps(dice, step->nr_sectors);
		return;
	case GUEST_NO_SEGMENTS:
	case GUEST_TOO_MANY_SEGMENTS:
		spoil_count(dice, step);
		return;
	case GUEST_BACKWARD_SEGMENT:
	case GUEST_SEGMENT_BEYOND_PAGE:
		spoil_segment(dice, step);
		return;
	case GUEST_BAD_GRANT:
	case GUEST_BAD_DESCRIPTOR:
		spoil_grant(dice, step);
		break;
	default:
		break;
	}
	roll_other_op(dice, disk, step);
}

/* ---- all -------------------------------------------------------------------------------------- */

static enum guest_kind roll_kind(struct dice *dice, uint64_t nr)
{
	unsigned n = (unsigned)dice_below(dice, 100);

	if (nr < GUEST_KIND_COUNT)
		return (enum guest_kind)nr;
	if (n < 40)
		return GUEST_READ;
	if (n < 75)
		return GUEST_WRITE;
	return (enum guest_kind)dice_between(dice, GUEST_FLUSH, GUEST_KIND_COUNT - 1);
}

void guest_script_next(
	struct dice *dice, const struct guest_disk *disk, uint64_t nr, struct guest_step *ret_step)
{
	memset(ret_step, 0, sizeof(*ret_step));
	ret_step->kind = roll_kind(dice, nr);
	if (disk->for_qdisk && (ret_step->kind == GUEST_BAD_DESCRIPTOR ||
				       ret_step->kind == GUEST_INDIRECT_OF_OTHER_OP))
		ret_step->kind = GUEST_READ;
	ret_step->data_seed = dice_roll(dice);
	if (guest_step_is_bad(ret_step))
		roll_bad(dice, disk, ret_step);
	else
		roll_good(dice, disk, ret_step);
}
