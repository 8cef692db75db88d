/*
 * What the queues of one disk share: the storage, its size, and the ordering object.
 *
 * Made and destroyed by the control thread while no queue runs; it also joins and leaves for a queue
 * that does not run, may ask for the fault, and says what the size is. In between, queue threads call everything below.
 * The lock guards .order and .wake_fd; it is taken only by requests that need ordering, and the only lock of the data
 * path where blocks are sectors. It is held for a few list operations, never over I/O.
 * The gate word is the order's gate and wake bits, published: queues read it relaxed, once per pass. So they do with
 * the size, which only control writes.
 */
#ifndef BACKEND_DATA_DISK_H
#define BACKEND_DATA_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "backend/data/order.h"
#include "backend/data/poll.h"
#include "backend/data/ranges.h"
#include "backend/data/storage.h"

struct disk {
	struct storage storage; /* owned; constant while queues run, but for a change (D7) */
	pthread_mutex_t lock;
	struct order *order; /* owned */
	uint64_t
		gather_before_ns; /* the fdatasync after the last one may be put off until then; under .lock */
	unsigned gather_rest; /* so many are not, after one that nobody came for; under .lock */
	int wake_fd[LIMIT_QUEUES]; /* borrowed from the queues, -1 for none */
	int change_fd; /* eventfd, borrowed from control: a change is ready or has failed; or -1 */
	uint32_t *
		lost; /* borrowed: set when the disk is latched, for who comes after this process; or NULL */
	struct poll_budget poll_budget; /* its queues' */
	atomic_uint gate;
	_Atomic uint64_t nr_sectors; /* size, 512-byte units */
	pthread_mutex_t range_lock;  /* the same for .ranges; taken alone, or while .lock is held */
	struct ranges *ranges;       /* owned; NULL where a block is a sector (D1) */
};

/*
 * Takes over @storage, which reads as closed afterwards. @fault is 0, or what disk_fault() said of
 * the same storage before: a reconnect does not clear the latch (D5). -ENOMEM leaves @storage the caller's.
 */
int disk_init(struct disk *disk, struct storage *storage, int fault)
	__attribute__((nonnull, warn_unused_result));

/* 0, or the -errno of the fdatasync that latched the disk. Any thread. */
int disk_fault(struct disk *disk) __attribute__((nonnull));

/*
 * Control thread. What is asked from now on is judged by this size; what was taken before keeps its fate, which beyond
 * the new end is what the storage says. Of the storage nothing is changed.
 */
void disk_resize(struct disk *disk, uint64_t nr_sectors) __attribute__((nonnull));

/*
 * Changing what the disk is opened on (D7), control thread. disk_begin_change() asks the queues to let go of it, of whom one must be joined;
 * @change_fd is written when they have, and an fdatasync has ended. disk_change() says how far it is, and the error that made
 * it fail. disk_end_change() lets them go on; if the change is ready, with @storage, unless that is NULL, and without the latch if
 * @clear_fault. It may be called at any time, and waits for nothing. What the disk was opened on before is closed then, and
 * @storage reads as closed.
 */
void disk_begin_change(struct disk *disk, int change_fd) __attribute__((nonnull));
enum order_change disk_change(struct disk *disk, int *ret_error) __attribute__((nonnull));
void disk_end_change(struct disk *disk, struct storage *storage, bool clear_fault)
	__attribute__((nonnull(1)));

/* D9: a queue keeps what the storage could not do: none takes anything more. Control lets them go on, and may ask. */
void disk_stop(struct disk *disk, unsigned queue) __attribute__((nonnull));
void disk_go_on(struct disk *disk) __attribute__((nonnull));
static inline bool disk_is_stopped(struct disk *disk)
{
	return atomic_load_explicit(&disk->gate, memory_order_relaxed) & ORDER_GATE_STOPPED;
}

/* Closes the storage. No queue may be joined. May be called twice after disk_init(). */
void disk_fini(struct disk *disk) __attribute__((nonnull));

/* @queue takes part; writing to its eventfd @wake_fd makes it look at the order again. */
void disk_join(struct disk *disk, unsigned queue, unsigned nr_slots, int wake_fd)
	__attribute__((nonnull));

/* False while the order still needs @queue. */
bool disk_leave(struct disk *disk, unsigned queue) __attribute__((nonnull, warn_unused_result));

/* Between these two the caller may use the order_*() functions that need the lock. */
struct order *disk_lock(struct disk *disk) __attribute__((nonnull));

/* Publishes the gate and wakes the other queues the order wants to see. */
void disk_unlock(struct disk *disk, unsigned self) __attribute__((nonnull));

/* ranges.h for the queues of a disk that has them. Who has waited is woken by its eventfd, but for the caller. */
bool disk_take_range(struct disk *disk, unsigned queue, unsigned slot, uint64_t first,
	uint64_t last, bool partial) __attribute__((nonnull, warn_unused_result));
void disk_release_range(struct disk *disk, unsigned queue, unsigned slot) __attribute__((nonnull));
bool disk_next_range(struct disk *disk, unsigned queue, unsigned *ret_slot)
	__attribute__((nonnull, warn_unused_result));

static inline uint32_t disk_gate(struct disk *disk)
{
	return atomic_load_explicit(&disk->gate, memory_order_relaxed);
}

/* Any thread. */
static inline uint64_t disk_nr_sectors(const struct disk *disk)
{
	return atomic_load_explicit(&disk->nr_sectors, memory_order_relaxed);
}

#endif
