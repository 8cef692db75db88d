/*
 * The inside of the model, for ring_model.c (the ring: what is taken and answered), ring_model_io.c (the storage and what is
 * mapped for it) and ring_model_data.c (the guest's pages).
 */
#ifndef TESTS_FUZZ_RING_MODEL_IMPL_H
#define TESTS_FUZZ_RING_MODEL_IMPL_H

#include "backend/data/queue_impl.h"
#include "tests/fuzz/fake_disk.h"
#include "tests/fuzz/fake_xen.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ring_model.h"

#define STATUS(status) (1u << -(status))
#define OKAY           STATUS(BLKIF_RSP_OKAY)
#define ERROR          STATUS(BLKIF_RSP_ERROR)
#define NOT_SUPPORTED  STATUS(BLKIF_RSP_EOPNOTSUPP)
#define FLUSH_FAILED   STATUS(-5)

#define SEGMENTS_OFFERED 256u
#define RUNS_PER_PASS    32u
#define RUNS_AT_ONCE     24u
#define RUN_SEGMENTS     32u /* of a stream that count as one */
#define SECTOR           512u

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
	bool in_slot;   /* its segments are */
	bool good;      /* nothing is wrong with what it says */
	bool excused;   /* the pages of its segments may be out of reach */
	bool ambiguous; /* another one had the same id and operation meanwhile */
	bool answered;
	bool put;      /* some I/O for it was */
	bool data_put; /* that of its data is under way, or has ended */
	bool ended;    /* nothing more is to be done on the storage */
	bool alone;    /* it has failed with others, and is to be done again without them */
	int error;
	unsigned legal; /* STATUS() of each answer that may come */
	unsigned taken_pass, ended_pass;
	uint32_t index; /* in the ring, for before and after */
	unsigned tag;
	struct entry *next; /* behind it in the same I/O */
	/* Storage with larger blocks: bytes before and behind its data, and as what they were read; 0: they were not. */
	unsigned head, tail;
	unsigned head_version, tail_version;
	bool data_known; /* as of when it was taken, and they have been copied since, if at all */
	bool data_readable;
	uint64_t data_hash;
	unsigned nr_segs;
	struct segment seg[SEGMENTS_OFFERED];
};

struct ring_model {
	struct queue *queue;
	const struct disk *disk;
	struct queue_config cfg;
	uint32_t nr_slots, slot_size;
	uint32_t cons, answered;
	bool broken, stopping;
	bool waited; /* some had to wait for buffers before this pass */
	bool blind;  /* too many ids twice: only answers are counted */
	unsigned pass;
	unsigned version; /* of the last block that was read to be completed */
	bool syncing;
	unsigned sync_pass;      /* in which the last fdatasync began */
	unsigned good_sync_pass; /* ... the last one that did not fail */
	unsigned fault_pass;     /* in which the first one failed; 0: none */
	unsigned n;
	struct entry *entry[ENTRIES];
	struct entry *by_tag[LIMIT_SLOTS]; /* something of it is to be done on the storage */
};

extern struct ring_model ring_model;

static inline uint64_t ring_model_number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static inline uint32_t ring_model_slot_offset(uint32_t index)
{
	return 64 + (index % ring_model.nr_slots) * ring_model.slot_size;
}

static inline bool entry_has_edges(const struct entry *e)
{
	return e->head > 0 || e->tail > 0;
}

/* ---- ring_model_io.c ---- */

void ring_model_io_init(void);

/* After a pass: mapped is what is in use, and no more than agreed on. */
void ring_model_io_check(void);

/* ---- ring_model_data.c ---- */

/* What a write writes, as of now. */
void ring_model_data_note(struct entry *e);

/* An I/O's memory has what the guest wants written, from @first on. */
void ring_model_data_written(const struct entry *first, const struct engine_io *io);

/* Before and after a pass that gave so many answers. */
void ring_model_data_before(void);
void ring_model_data_after(uint32_t nr_answers);

#endif
