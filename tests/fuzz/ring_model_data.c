#include "tests/fuzz/ring_model_impl.h"

static uint8_t before[FAKE_PAGES * WIRE_PAGE_SIZE];

/* ---- what is written ---- */

/* Few comparisons: libFuzzer counts them all. */
static uint64_t hash_of(uint64_t hash, const uint8_t *sector)
{
	for (unsigned i = 0; i < SECTOR; i += 32) {
		uint64_t word[4];

		memcpy(word, sector + i, sizeof(word));
		hash = (hash ^ word[0]) * UINT64_C(0x9e3779b97f4a7c15);
		hash = (hash ^ hash >> 29 ^ word[1]) * UINT64_C(0xbf58476d1ce4e5b9);
		hash = (hash ^ hash >> 31 ^ word[2]) * UINT64_C(0x94d049bb133111eb);
		hash = (hash ^ hash >> 30 ^ word[3]) * UINT64_C(0xd6e8feb86659fd93);
		hash ^= hash >> 32;
	}
	return hash;
}

void ring_model_data_note(struct entry *e)
{
	e->data_known = e->data_readable = true;
	for (unsigned i = 0; i < e->nr_segs; i++) {
		const struct segment *seg = &e->seg[i];
		const struct fake_grant *grant = fake_xen_readable(seg->ref);

		if (grant == NULL) {
			e->data_readable = false;
			return;
		}
		for (unsigned sect = seg->first; sect <= seg->last; sect++)
			e->data_hash = hash_of(
				e->data_hash, fake_xen_page(grant->page) + (size_t)sect * SECTOR);
	}
}

/* An I/O's memory, sector by sector. */
struct cursor {
	const struct iovec *iov;
	size_t at;
};

static const uint8_t *next_sector(struct cursor *cursor)
{
	const uint8_t *sector;

	if (cursor->at == cursor->iov->iov_len) {
		cursor->iov++;
		cursor->at = 0;
	}
	sector = (const uint8_t *)cursor->iov->iov_base + cursor->at;
	cursor->at += SECTOR;
	return sector;
}

/* Beside the guest's data is what was there, as it was read for this write. */
static void check_edge(struct cursor *cursor, unsigned bytes, uint64_t sector, unsigned version)
{
	for (unsigned at = 0; at < bytes; at += SECTOR, sector++)
		FUZZ_CHECK(fake_disk_is_sector(next_sector(cursor), sector, version),
			"sector %llu, beside a write, is not written as it was",
			(unsigned long long)sector);
}

/* Either the guest's page itself, at the place it said; or the copy that was taken of it. */
static void check_sector_written(
	const struct segment *seg, unsigned sect, const uint8_t *data, uint64_t *copied)
{
	int64_t ref = fake_xen_mapped_at(data);

	if (ref < 0) {
		*copied = hash_of(*copied, data);
		return;
	}
	FUZZ_CHECK((uint64_t)ref == seg->ref &&
			   ((uintptr_t)data & (WIRE_PAGE_SIZE - 1)) == (size_t)sect * SECTOR,
		"a write of reference %u has its data at %lld", seg->ref, (long long)ref);
}

static void check_request_written(const struct entry *e, struct cursor *cursor)
{
	const uint8_t *first = NULL;
	uint64_t copied = 0;

	check_edge(cursor, e->head, e->sector - e->head / SECTOR, e->head_version);
	for (unsigned i = 0; i < e->nr_segs; i++)
		for (unsigned sect = e->seg[i].first; sect <= e->seg[i].last; sect++) {
			const uint8_t *data = next_sector(cursor);

			first = first ? first : data;
			check_sector_written(&e->seg[i], sect, data, &copied);
		}
	check_edge(cursor, e->tail, e->sector + e->nr_sectors, e->tail_version);
	if (fake_xen_mapped_at(first) >= 0 || !e->data_known)
		return;
	FUZZ_CHECK(e->data_readable, "a write of data that were not granted");
	FUZZ_CHECK(copied == e->data_hash, "what is written is not what the guest had there");
}

void ring_model_data_written(const struct entry *first, const struct engine_io *io)
{
	struct cursor cursor = {.iov = io->iov};

	for (const struct entry *e = first; e; e = e->next) {
		/* Which is which is not known: nor is how long they are. */
		if (e->ambiguous)
			return;
		check_request_written(e, &cursor);
	}
}

/* ---- the guest's memory ---- */

/*
 * Where each sector of the disk may have been brought by requests that read, as of this pass: a place has the number of the pass,
 * of all passes of all inputs, so that nothing has to be cleared. Too many to be searched for each sector that has changed.
 */
#define SECTORS_MAX 8192u
#define PLACES      (FAKE_PAGES * WIRE_PAGE_SECTORS)

static struct {
	uint32_t pass;
	bool noted;
	uint32_t any[PLACES];
	uint32_t sector[PLACES][SECTORS_MAX];
} reads;

static void note_read(const struct entry *e)
{
	uint64_t at = e->sector;

	for (unsigned i = 0; i < e->nr_segs; i++) {
		const struct segment *seg = &e->seg[i];
		const struct fake_grant *grant = fake_xen_writable(seg->ref);

		for (unsigned sect = seg->first; sect <= seg->last; sect++, at++) {
			unsigned place;

			if (grant == NULL)
				continue;
			FUZZ_CHECK(at < SECTORS_MAX, "a disk of that size");
			place = grant->page * WIRE_PAGE_SECTORS + sect;
			reads.any[place] = reads.sector[place][at] = reads.pass;
		}
	}
}

/* Some request that reads brings the disk's @sector, or any if it is -1, to this place. */
static bool may_be_read_to(unsigned page, unsigned sect, int64_t sector)
{
	unsigned place = page * WIRE_PAGE_SECTORS + sect;

	for (unsigned i = 0; !reads.noted && i < ring_model.n; i++)
		if (ring_model.entry[i]->op == BLKIF_OP_READ && ring_model.entry[i]->ended)
			note_read(ring_model.entry[i]);
	reads.noted = true;
	if (sector < 0)
		return reads.any[place] == reads.pass;
	return sector < SECTORS_MAX && reads.sector[place][sector] == reads.pass;
}

/* Of the ring: the answers of this pass, and the index that covers them. */
static bool is_of_answers(uint32_t offset, uint32_t nr_answers)
{
	uint32_t size = ring_model.cfg.abi == WIRE_ABI_64 ? 16 : 12;

	if (offset >= 8 && offset < 12)
		return nr_answers > 0;
	for (uint32_t i = 0; i < nr_answers; i++) {
		uint32_t at = ring_model_slot_offset(ring_model.answered - nr_answers + i);

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
	unsigned nr_pages = FAKE_DATA_PAGES + ring_model.cfg.nr_ring_refs;

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
	for (unsigned i = 0; i < ring_model.n; i++) {
		const struct entry *e = ring_model.entry[i];

		if (e->answered && !e->ambiguous && e->op == BLKIF_OP_READ && e->ended &&
			e->error == 0)
			check_read(e);
	}
}

void ring_model_data_before(void)
{
	reads.pass++;
	reads.noted = false;
	memcpy(before, fake_xen.guest,
		(FAKE_DATA_PAGES + ring_model.cfg.nr_ring_refs) * (size_t)WIRE_PAGE_SIZE);
}

void ring_model_data_after(uint32_t nr_answers)
{
	check_memory(nr_answers);
	check_reads();
}
