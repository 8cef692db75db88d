#include "backend/data/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int disk_init(struct disk *disk, struct storage *storage, int fault)
{
	/* Only as much of it is touched as the rings have slots. */
	struct order *order = malloc(sizeof(*order));
	struct ranges *ranges = NULL;

	if (storage->unit > STORAGE_SECTOR_SIZE)
		ranges = malloc(sizeof(*ranges));
	if (order == NULL || (storage->unit > STORAGE_SECTOR_SIZE && ranges == NULL)) {
		free(order);
		free(ranges);
		return -ENOMEM;
	}
	*disk = (struct disk){.storage = *storage, .order = order, .ranges = ranges};
	(void)pthread_mutex_init(&disk->range_lock, NULL);
	if (ranges)
		ranges_init(ranges);
	storage->fd = -1;
	(void)pthread_mutex_init(&disk->lock, NULL);
	order_init(order);
	if (fault)
		order_latch(order, fault);
	disk->change_fd = -1;
	atomic_init(&disk->gate, order->gate);
	atomic_init(&disk->nr_sectors, storage->nr_sectors);
	for (unsigned i = 0; i < LIMIT_QUEUES; i++)
		disk->wake_fd[i] = -1;
	return 0;
}

void disk_resize(struct disk *disk, uint64_t nr_sectors)
{
	/* Whoever is told of it afterwards, through the store, finds it here. */
	atomic_store_explicit(&disk->nr_sectors, nr_sectors, memory_order_release);
}

void disk_fini(struct disk *disk)
{
	if (disk->storage.fd < 0)
		return;
	storage_close(&disk->storage);
	(void)pthread_mutex_destroy(&disk->lock);
	(void)pthread_mutex_destroy(&disk->range_lock);
	free(disk->order);
	free(disk->ranges);
	disk->order = NULL;
	disk->ranges = NULL;
}

struct order *disk_lock(struct disk *disk)
{
	(void)pthread_mutex_lock(&disk->lock);
	return disk->order;
}

int disk_fault(struct disk *disk)
{
	int fault = disk_lock(disk)->fault;

	(void)pthread_mutex_unlock(&disk->lock);
	return fault;
}

static void wake_queues(const struct disk *disk, uint32_t queues)
{
	uint64_t one = 1;

	for (unsigned q = 0; q < LIMIT_QUEUES; q++)
		if (queues & (1u << q))
			/* Fails only when the counter is full, and then the queue is awake. */
			(void)!write(disk->wake_fd[q], &one, sizeof(one));
}

/*
 * The wake-ups are sent under the lock: a queue that leaves takes the lock, so none is sent to a
 * descriptor that was closed.
 */
void disk_unlock(struct disk *disk, unsigned self)
{
	uint32_t told = disk_gate(disk) / ORDER_GATE_WAKE(0);
	uint32_t wake = disk->order->wake;
	uint64_t one = 1;

	atomic_store_explicit(
		&disk->gate, disk->order->gate | wake * ORDER_GATE_WAKE(0), memory_order_relaxed);
	/* Nobody is answered before this lock is given up. */
	if (disk->order->fault && disk->lost)
		__atomic_store_n(disk->lost, 1, __ATOMIC_RELAXED);
	if (disk->order->wake_control) {
		disk->order->wake_control = false;
		(void)!write(disk->change_fd, &one, sizeof(one));
	}
	/* Told already and not looked since: it will, and sees this too (follow_orders()). */
	wake_queues(disk, wake & ~told & ~(1u << self));
	(void)pthread_mutex_unlock(&disk->lock);
}

void disk_join(struct disk *disk, unsigned queue, unsigned nr_slots, int wake_fd)
{
	struct order *order = disk_lock(disk);

	disk->wake_fd[queue] = wake_fd;
	order_join(order, queue, nr_slots);
	disk_unlock(disk, queue);
}

bool disk_leave(struct disk *disk, unsigned queue)
{
	struct order *order = disk_lock(disk);
	bool left = order_leave(order, queue);

	if (left)
		disk->wake_fd[queue] = -1;
	disk_unlock(disk, queue);
	return left;
}

/* ---- a change ---- */

/* Control is no queue: all of them are woken. */
#define CONTROL LIMIT_QUEUES

void disk_begin_change(struct disk *disk, int change_fd)
{
	struct order *order = disk_lock(disk);

	disk->change_fd = change_fd;
	order_begin_change(order);
	disk_unlock(disk, CONTROL);
}

enum order_change disk_change(struct disk *disk, int *ret_error)
{
	struct order *order = disk_lock(disk);
	enum order_change change = (enum order_change)order->change;

	*ret_error = order->change_error;
	disk_unlock(disk, CONTROL);
	return change;
}

/* Nobody is at the storage: it is exchanged under the lock that the queues take before they go on. */
void disk_end_change(struct disk *disk, struct storage *storage, bool clear_fault)
{
	struct order *order = disk_lock(disk);
	bool is_ready = order->change == ORDER_CHANGE_READY;

	if (is_ready && storage) {
		storage_close(&disk->storage);
		disk->storage = *storage;
		storage->fd = -1;
	}
	if (is_ready && clear_fault) {
		order_clear_fault(order);
		if (disk->lost)
			__atomic_store_n(disk->lost, 0, __ATOMIC_RELAXED);
	}
	order_end_change(order);
	disk_unlock(disk, CONTROL);
}

/* ---- a stop ---- */

void disk_stop(struct disk *disk, unsigned queue)
{
	order_stop(disk_lock(disk));
	disk_unlock(disk, queue);
}

void disk_go_on(struct disk *disk)
{
	order_go_on(disk_lock(disk));
	disk_unlock(disk, CONTROL);
}

/* ---- blocks ---- */

bool disk_take_range(struct disk *disk, unsigned queue, unsigned slot, uint64_t first,
	uint64_t last, bool partial)
{
	bool granted;

	(void)pthread_mutex_lock(&disk->range_lock);
	granted = ranges_take(disk->ranges, queue, slot, first, last, partial);
	(void)pthread_mutex_unlock(&disk->range_lock);
	return granted;
}

/*
 * They are woken under the lock: a queue that has a write waiting does not leave before it has come here for it, so its
 * eventfd is open.
 */
void disk_release_range(struct disk *disk, unsigned queue, unsigned slot)
{
	unsigned queues;

	(void)pthread_mutex_lock(&disk->range_lock);
	queues = ranges_release(disk->ranges, queue, slot);
	wake_queues(disk, queues & ~(1u << queue));
	(void)pthread_mutex_unlock(&disk->range_lock);
}

bool disk_next_range(struct disk *disk, unsigned queue, unsigned *ret_slot)
{
	bool found;

	(void)pthread_mutex_lock(&disk->range_lock);
	found = ranges_next(disk->ranges, queue, ret_slot);
	(void)pthread_mutex_unlock(&disk->range_lock);
	return found;
}
