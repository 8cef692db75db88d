/*
 * Barriers, flushes, changes of the cache mode and the fault latch of one disk: who may run when. Rules D2, D3, D5 and D7 of
 * backend/DESIGN.md.
 *
 * A pure state machine: events in, actions out. No I/O, no threads, no clock, no pointers, so that
 * tests/unit/order-t can try every interleaving. Two parts:
 *
 *   struct order_port   one per queue, touched by its queue thread only, without a lock
 *   struct order        one per disk; the caller holds the disk's lock (data/disk.h)
 *
 * A request that changes the disk goes through the port first:
 *
 *   order_port_take() -> ORDER_START    run it now
 *                     -> ORDER_HELD     the gate is closed; order_port_release() gives it back
 *                     -> ORDER_ASK      it needs ordering: order_submit(), then order_next()
 *                     -> ORDER_REFUSE   the disk is latched faulty: answer an error
 *
 * The life of a barrier:
 *
 *   pending --all resumed--> closing --all queues parked--> sync --> payload --> sync --> answered
 *               gate closes here |                                               gate opens here |
 *
 * A queue that sees the closed gate holds its writes, lets the running ones finish and PARKS: that
 * acknowledgement, not a counter read from outside, is what the barrier waits for. When the gate
 * opens it RESUMES. The next barrier closes the gate only when every parked queue has resumed
 * (those waiting for a barrier of their own excepted), so held writes cannot starve.
 *
 * Hence what "before" and "after" a barrier mean. In its own ring: in the order of the ring. In
 * another ring: before, unless that queue saw the gate closed before it started the write; a write
 * that was started is waited for. Two rings have no order of their own that we could keep: what the
 * guest may rely on, an answer that it has seen, agrees with this.
 *
 * The life of a change, for which nobody may be at the storage, reads included:
 *
 *   pending --no barrier active--> drain --all queues quiet--> sync --> ready or failed --order_end_change()--> none
 *               gate closes here |                                                       gate opens here |
 *
 * A queue that is to be QUIET takes nothing from its ring, and says so when nothing of it is in flight. What it has taken and holds
 * stays where it is. The control thread may end a change at any time: then nothing has happened, but for the
 * fdatasync, which is going to end as one that nobody waits for.
 *
 * At most one fdatasync of a disk is running. Whoever needs one waits for a run that starts later
 * than its need; all who wait share the next run. That run may be put off for a moment when one has just ended: those who were
 * answered may be about to flush again, and would else share only every other run with those who wait.
 */
#ifndef BACKEND_DATA_ORDER_H
#define BACKEND_DATA_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/limits.h"

#define ORDER_QUEUES LIMIT_QUEUES
#define ORDER_SLOTS  LIMIT_SLOTS

/*
 * A slot of a queue is one number, its node's. Slot by slot, so that small rings use the beginning of
 * the table only: the rest of its memory is never touched.
 */
#define ORDER_REF(queue, slot) ((uint16_t)((slot)*ORDER_QUEUES + (queue)))
#define ORDER_REF_QUEUE(ref)   ((unsigned)(ref) % ORDER_QUEUES)
#define ORDER_REF_SLOT(ref)    ((unsigned)(ref) / ORDER_QUEUES)

enum order_kind {
	ORDER_WRITE,         /* anything that changes the disk and needs no ordering itself */
	ORDER_FLUSH,         /* FLUSH_DISKCACHE without data */
	ORDER_FLUSH_WRITE,   /* FLUSH_DISKCACHE with data: flush, then write */
	ORDER_BARRIER,       /* WRITE_BARRIER without data */
	ORDER_BARRIER_WRITE, /* WRITE_BARRIER with data */
	ORDER_KIND_COUNT,
};

enum order_verdict {
	ORDER_START,
	ORDER_HELD,
	ORDER_ASK,
	ORDER_REFUSE,
};

enum order_verb {
	ORDER_DO_NOTHING,
	ORDER_DO_SYNC, /* start an fdatasync, whatever the mode if .is_needed; report with order_synced() */
	ORDER_DO_WRITE,  /* start the slot's data write */
	ORDER_DO_ANSWER, /* the slot is finished with .error (0 or -errno) */
};

struct order_action {
	enum order_verb verb;
	unsigned slot;
	int error;
	bool is_needed;
};

enum order_change {
	ORDER_CHANGE_NONE,
	ORDER_CHANGE_PENDING,
	ORDER_CHANGE_DRAIN,
	ORDER_CHANGE_SYNC,
	ORDER_CHANGE_READY,  /* the storage is nobody's, and has everything that was answered */
	ORDER_CHANGE_FAILED, /* it is nobody's, but the fdatasync has failed: change_error */
};

/*
 * Bits of the gate word, which every queue reads once per pass. Above them, one bit per queue: the
 * disk has something for it (disk_unlock() adds these from .wake).
 */
#define ORDER_GATE_CLOSED      1u
#define ORDER_GATE_FAULT       2u
#define ORDER_GATE_QUIET       4u /* D7: nothing is to be taken, and what is in flight is to end */
#define ORDER_GATE_STOPPED     8u /* D9: nothing is to be taken until an operator says so */
#define ORDER_GATE_WAKE(queue) (16u << (queue))

/* Neither a slot nor a node. */
#define ORDER_NO_REF UINT16_MAX

_Static_assert(ORDER_QUEUES *ORDER_SLOTS <= ORDER_NO_REF, "every node has a number");

struct order_list {
	uint16_t head;
	uint16_t tail;
};

struct order_link {
	uint16_t next; /* in the held list */
	uint8_t kind;
};

struct order_port {
	uint16_t writes; /* started and not finished, flushes with data included */
	bool holding;    /* writes go to the held list */
	bool parked;     /* we told the disk that we hold and have drained */
	bool barrier;    /* a barrier of ours is submitted and not answered */
	bool faulty;     /* the disk is latched */
	bool quiet;      /* we told the disk that nothing of ours is in flight */
	struct order_list held;
	struct order_link slot[ORDER_SLOTS];
};

struct order_node {
	uint8_t kind;
	uint8_t stage;
	uint16_t next;
	int32_t error;
};

struct order {
	uint32_t gate;        /* ORDER_GATE_*: what the caller publishes */
	uint32_t members;     /* queues that take part */
	uint32_t parked;      /* queues that hold and have drained */
	uint32_t own_barrier; /* queues with a barrier pending or active */
	uint32_t wake;        /* queues with something to see; order_next() clears the bit */
	uint32_t sync_queue;  /* bit of the queue that runs the fdatasync, or 0 */
	bool sync_told;       /* that queue has been told to start it */
	uint16_t
		gather_left; /* so many flushes are waited for before it is told; 0: it may be told */
	uint16_t gather_next;   /* ... for the one that the next flush asks for */
	bool sync_is_needed;    /* it is for a change: to be done even if the mode does without */
	bool wake_control;      /* a change is ready or has failed; the caller clears it */
	uint8_t change;         /* enum order_change */
	bool change_is_latched; /* the disk was latched when it began: for clear-fault */
	int32_t change_error;
	uint32_t quiet;             /* queues that take nothing and have nothing in flight */
	uint16_t active;            /* the barrier that closed the gate */
	int32_t fault;              /* 0 or the -errno of the fdatasync that failed */
	struct order_list barriers; /* pending, in order of submission; at most one per queue */
	struct order_list covered;  /* wait for the fdatasync of sync_queue */
	struct order_list waiting;  /* wait for the next one */
	struct order_list outbox[ORDER_QUEUES];
	uint16_t nr_slots[ORDER_QUEUES]; /* of the members: their nodes are in use */
	struct order_node node[ORDER_QUEUES * ORDER_SLOTS];
};

/* ---- the port: queue thread, no lock ---- */

void order_port_init(struct order_port *port) __attribute__((nonnull));

/* Once per pass, with the disk's gate word: start holding when it is closed. */
void order_port_see(struct order_port *port, uint32_t gate) __attribute__((nonnull));

/* Decide about one request. Held requests keep their order; each is later released exactly once. */
enum order_verdict order_port_take(struct order_port *port, unsigned slot, enum order_kind kind)
	__attribute__((nonnull, warn_unused_result));

/*
 * Take back the oldest held request and decide about it. ORDER_HELD when there is none or the port
 * is holding. Call until then after order_port_resume().
 */
enum order_verdict order_port_release(struct order_port *port, unsigned *ret_slot)
	__attribute__((nonnull, warn_unused_result));

/* A request that was started, or asked about, is finished. */
void order_port_done(struct order_port *port, unsigned slot) __attribute__((nonnull));

/* True when the caller must take the lock and call order_park(). */
bool order_port_must_park(const struct order_port *port) __attribute__((nonnull));

/*
 * True when the gate word @gate allows to stop holding. If the port is parked the caller must
 * succeed with order_resume() first; then it calls order_port_resume().
 */
bool order_port_may_resume(const struct order_port *port, uint32_t gate) __attribute__((nonnull));
void order_port_resume(struct order_port *port) __attribute__((nonnull));

/*
 * True when the caller must take the lock and say with order_be_quiet() that this queue is. @is_idle: nothing of it is with
 * the storage.
 */
bool order_port_must_be_quiet(const struct order_port *port, uint32_t gate, bool is_idle)
	__attribute__((nonnull));

/* True when it need not be quiet any more, and must say so with order_stir(). */
bool order_port_must_stir(const struct order_port *port, uint32_t gate) __attribute__((nonnull));

/* ---- the disk: under the disk's lock ---- */

/* Leaves the nodes alone, see order_join(). */
void order_init(struct order *o) __attribute__((nonnull));

/* The disk was latched in an earlier connection with @error and still is (D5). */
void order_latch(struct order *o, int error) __attribute__((nonnull));

/*
 * @queue, with @nr_slots slots, takes part from now on; it starts neither parked nor holding. A barrier that is waiting
 * for the queues to park waits for this one too: its port must see the gate before it takes its
 * first request, and its thread must run.
 */
void order_join(struct order *o, unsigned queue, unsigned nr_slots) __attribute__((nonnull));

/*
 * @queue is going; no write of its port is running or held. False, and nothing changed, while one
 * of its requests is still here or the fdatasync is its to start or to report.
 */
bool order_leave(struct order *o, unsigned queue) __attribute__((nonnull, warn_unused_result));

/*
 * A request for which order_port_take() said ORDER_ASK. If it @may_gather, an fdatasync for it may be put off: true, see
 * order_synced().
 */
bool order_submit(struct order *o, unsigned queue, unsigned slot, enum order_kind kind,
	bool may_gather) __attribute__((nonnull));

/* @queue holds and has drained: the acknowledgement a barrier waits for. */
void order_park(struct order *o, unsigned queue) __attribute__((nonnull));

/* @queue wants to run held writes again. False while the gate is closed. */
bool order_resume(struct order *o, unsigned queue) __attribute__((nonnull, warn_unused_result));

/*
 * The fdatasync that ORDER_DO_SYNC asked @queue for has ended with 0 or -errno. If it @may_gather, the next one may be put off until
 * as many have asked for it as were answered now: true, and then the caller says with order_gathered() that it has waited
 * for them long enough. If nobody waits yet it is up to the next order_submit().
 */
bool order_synced(struct order *o, unsigned queue, int error, bool may_gather)
	__attribute__((nonnull));

/* The fdatasync that is @queue's to start is put off no longer. No matter if it was not. */
void order_gathered(struct order *o, unsigned queue) __attribute__((nonnull));

/* The data of a barrier (only of a barrier) was written with 0 or -errno. */
void order_written(struct order *o, unsigned queue, unsigned slot, int error)
	__attribute__((nonnull));

/* @queue takes nothing, and nothing of it is in flight. It has seen ORDER_GATE_QUIET, which may be gone by now: then no more. */
void order_be_quiet(struct order *o, unsigned queue) __attribute__((nonnull));

/* @queue takes requests again. */
void order_stir(struct order *o, unsigned queue) __attribute__((nonnull));

/*
 * Control wants the storage for itself, and all that was answered on it. There must be no change yet, and a queue.
 * .wake_control is set when .change is READY or FAILED; then, or whenever it has waited long enough, it ends the change.
 */
void order_begin_change(struct order *o) __attribute__((nonnull));
void order_end_change(struct order *o) __attribute__((nonnull));

/* The latch is off: control's, while a change is READY. What was lost stays lost (D5). */
void order_clear_fault(struct order *o) __attribute__((nonnull));

/* D9: a request could not be done and is kept; nothing more is taken until order_go_on(). Both may be called twice. */
void order_stop(struct order *o) __attribute__((nonnull));
void order_go_on(struct order *o) __attribute__((nonnull));

/*
 * A write failed with @error after its answer was to mean that it is durable: the disk is latched (D5). What
 * waits for an fdatasync fails, too, and a change that is under way.
 */
void order_write_lost(struct order *o, int error) __attribute__((nonnull));

/* The next thing @queue must do. False when there is nothing. */
bool order_next(struct order *o, unsigned queue, struct order_action *ret_action)
	__attribute__((nonnull, warn_unused_result));

#endif
