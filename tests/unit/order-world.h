/*
 * What tests/unit/order-t and order-change-t explore (order-search.c): one state of the smallest queues, storage and control around the shipped
 * struct order; what may happen to it (order-events.c), what must hold (order-oracle.c), and what makes two
 * states one (order-print.c). One thread.
 */
#ifndef TESTS_UNIT_ORDER_WORLD_H
#define TESTS_UNIT_ORDER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/data/order.h"

#define QUEUES_MAX 3
#define CONTROL    QUEUES_MAX /* who is no queue */
#define OPS_MAX    6
#define FAILS      16u /* added to the slot whose write, or given to a sync that, fails */
#define GATHERS    64u /* given to a sync that ends well, and may be followed by one that is put off */
#define STAYS      32u /* added to the slot whose write fails and is kept: the disk stops (D9) */

/* A kind of operation that the ordering knows nothing of. */
#define READ ORDER_KIND_COUNT

/* What became of an operation: bits of op.facts. */
#define ASKED         1u   /* the disk knows about it */
#define ASKED_FIRST   2u   /* ... before the running sync started */
#define COVERED       4u   /* a sync that started after it asked has ended well */
#define WRITING       8u   /* its data is in the storage */
#define WRITTEN       16u  /* its data was written */
#define WRITTEN_FIRST 32u  /* ... before the running sync started */
#define STABLE        64u  /* a sync that started after it was written has ended well */
#define FAILED        128u /* its data could not be written */
#define KEPT          256u /* ... and is kept until the disk goes on */
#define DOUBTED       512u /* the latch was taken off, and it was asked before */

/* A taken operation, in the slot of its queue with the same index. */
struct op {
	uint8_t live, kind;
	uint16_t facts;
	uint8_t place; /* its place among the live operations of its ring, from 0 */
};

/* Values of queue.section. */
#define LOOK    0
#define HEED    1
#define PARK    2
#define RESUME  3
#define RELEASE 4
#define COLLECT 5

struct queue {
	struct op op[OPS_MAX];
	uint8_t nr_live;
	uint8_t reads; /* in the storage */
	uint8_t member, awake;
	uint8_t poked;       /* the eventfd was written since the look */
	uint8_t section;     /* what it does next, LOOK to COLLECT */
	uint8_t knows_fault; /* has looked since a sync failed */
	uint8_t held_up;     /* of the gate as last seen, the bits that forbid to take anything */
	struct order_port port;
};

/* One state: all that decides the future. */
struct world {
	uint32_t told;          /* the order's wake bits after the last section */
	uint16_t active, first; /* the order's, and its first barrier, after the last section */
	uint8_t change;         /* the order's, likewise */
	uint8_t nr_taken;
	uint8_t dirty;         /* some finished write is in no sync yet */
	uint8_t dirty_in_sync; /* ... is only in the running one */
	uint8_t loose;         /* the same of syncs that are done whatever the mode */
	uint8_t loose_in_sync;
	uint8_t sync_running, sync_queue, sync_failed;
	uint8_t control_told; /* control was woken for the change there is */
	struct queue queue[QUEUES_MAX];
	struct order order;
};

/* Of nodes and links only those of our operations change: what there is to copy. */
#define ORDER_BYTES offsetof(struct order, node[OPS_MAX * ORDER_QUEUES])
#define PORT_BYTES  offsetof(struct order_port, slot[OPS_MAX])
#define QUEUE_BYTES (offsetof(struct queue, port) + PORT_BYTES)

/* What is explored. */
struct plan {
	const char *name;
	unsigned queues, ops;
	unsigned kinds;     /* a bit for each that is taken */
	int fault;          /* latched before */
	bool in_one;        /* a look at the gate and the section after it are one step */
	bool write_through; /* a write that fails latches */
	bool stays;         /* nobody leaves or joins */
	bool well;          /* nothing fails */
	bool changes;       /* control has the disk changed (D7) */
	bool stops;         /* a queue stops the disk, with or without a write that is kept (D9) */
	bool gathers;       /* an fdatasync may be put off until more need it */
	bool named;         /* the queues are not alike */
};
extern const struct plan *plan;

/* Values of plan.kinds. */
#define KIND(kind) (1u << (kind))
#define WRITES     KIND(ORDER_WRITE)
#define FLUSHES    (KIND(ORDER_FLUSH) | KIND(ORDER_FLUSH_WRITE))
#define BARRIERS   (KIND(ORDER_BARRIER) | KIND(ORDER_BARRIER_WRITE))
#define ORDERED    (WRITES | FLUSHES | BARRIERS)
#define ALL        (ORDERED | KIND(READ))

/* Explore them all, one test each. Returns what main() does. */
#define PLANS_MAX 16
int search_main(const struct plan *plans, unsigned nr_plans) __attribute__((nonnull));

static inline bool is_barrier(unsigned kind)
{
	return kind == ORDER_BARRIER || kind == ORDER_BARRIER_WRITE;
}

/* What fails the test, with the run that led to it. */
void violated(const char *what, const char *file, int line) __attribute__((nonnull));

#define CHECK(condition) ((condition) ? (void)0 : violated(#condition, __FILE__, __LINE__))

/* ---- the oracle: told of what the code under test has others do, and what it says ---- */

void oracle_take(const struct world *w) __attribute__((nonnull));
void oracle_start_write(struct world *w, unsigned q, unsigned slot) __attribute__((nonnull));
void oracle_start_sync(struct world *w, unsigned q, bool is_needed) __attribute__((nonnull));
void oracle_end_sync(struct world *w, bool fails) __attribute__((nonnull));
void oracle_answer(struct world *w, unsigned q, unsigned slot, int error) __attribute__((nonnull));
void oracle_clear_fault(struct world *w) __attribute__((nonnull));

/* At the end of each section of the lock. */
void oracle_unlock(struct world *w) __attribute__((nonnull));
/* Of each state. */
void oracle_state(const struct world *w) __attribute__((nonnull));
/* Of one in which nothing is going to happen by itself: everybody sleeps and the storage is idle. */
void oracle_end(const struct world *w) __attribute__((nonnull));

/* ---- events; where there is nothing to say about the last argument it is not looked at ---- */

typedef void event(struct world *w, unsigned q, unsigned arg);

event event_take, event_pass, event_leave, event_join;
event event_write_ends, event_read_ends, event_sync_ends, event_gathered;
event event_stop, event_go_on;
event event_begin, event_end; /* of a change, control's */

bool event_may_take(const struct queue *queue) __attribute__((nonnull));
bool event_may_leave(const struct queue *queue) __attribute__((nonnull));

/* After each event: who has nothing to see falls asleep; who sleeps has nothing to see, or was not woken. */
void event_settle(struct world *w) __attribute__((nonnull));

/*
 * A fingerprint. Equal for states that differ in names only; the number of operations taken so far
 * is in its lowest 3 bits and nowhere else.
 */
uint64_t print_of(const struct world *w) __attribute__((nonnull));

#endif
