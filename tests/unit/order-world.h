/*
 * What tests/unit/order-t explores: one state of the smallest queues and storage around the shipped
 * struct order, and what makes two states one. One thread.
 */
#ifndef TESTS_UNIT_ORDER_WORLD_H
#define TESTS_UNIT_ORDER_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/order.h"

#define QUEUES_MAX 3
#define OPS_MAX    6
#define FAILS      16u /* added to the slot whose write, or given to a sync that, fails */

/* What became of an operation: bits of op.facts. */
#define ASKED         1u   /* the disk knows about it */
#define ASKED_FIRST   2u   /* ... before the running sync started */
#define COVERED       4u   /* a sync that started after it asked has ended well */
#define WRITING       8u   /* its data is in the storage */
#define WRITTEN       16u  /* its data was written */
#define WRITTEN_FIRST 32u  /* ... before the running sync started */
#define STABLE        64u  /* a sync that started after it was written has ended well */
#define FAILED        128u /* its data could not be written */

/* A taken operation, in the slot of its queue with the same index. */
struct op {
	uint8_t live, kind;
	uint8_t place; /* its place among the live operations of its ring, from 0 */
	uint8_t facts;
};

/* Values of queue.section. */
#define LOOK    0
#define PARK    1
#define RESUME  2
#define RELEASE 3
#define COLLECT 4

struct queue {
	struct op op[OPS_MAX];
	uint8_t nr_live;
	uint8_t member, awake;
	uint8_t poked;       /* the eventfd was written since the look */
	uint8_t section;     /* what it does next, LOOK to COLLECT */
	uint8_t knows_fault; /* has looked since a sync failed */
	struct order_port port;
};

/* One state: all that decides the future. */
struct world {
	uint32_t told;          /* the order's wake bits after the last section */
	uint16_t active, first; /* the order's, and its first barrier, after the last section */
	uint8_t nr_taken;
	uint8_t dirty;         /* some finished write is in no sync yet */
	uint8_t dirty_in_sync; /* ... is only in the running one */
	uint8_t sync_running, sync_queue, sync_failed;
	struct queue queue[QUEUES_MAX];
	struct order order;
};

/* What is explored. */
struct plan {
	unsigned queues, ops;
	bool split;         /* a look at the gate is a step of its own */
	int fault;          /* latched before */
	bool write_through; /* writes only, and one that fails latches */
};
extern const struct plan *plan;

static inline bool is_barrier(unsigned kind)
{
	return kind == ORDER_BARRIER || kind == ORDER_BARRIER_WRITE;
}

/*
 * A fingerprint. Equal for states that differ in names only; the number of operations taken so far
 * is in its lowest 3 bits and nowhere else.
 */
uint64_t print_of(const struct world *w) __attribute__((nonnull));

#endif
