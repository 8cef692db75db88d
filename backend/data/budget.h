/*
 * How many pages of guests all workers of this host may keep mapped together.
 *
 * Xen has room for so many mappings of one domain (its maptrack table), network backends need some of it, too, and a guest could
 * have a disk use it up (XSA-300). So each worker counts its pages in a table that all of them share, and whoever would go beyond
 * the sum copies instead. The table is a file in the run directory; a worker's entry is its own as long as it has the lock on the
 * entry's bytes, which the kernel takes back when it dies: the pages of the dead do not count.
 *
 * Control thread opens and closes; queue threads take and give in between, any of them. What a process has reserved beyond
 * what it uses lets it take without looking at the table, and nothing here is held over I/O.
 */
#ifndef BACKEND_DATA_BUDGET_H
#define BACKEND_DATA_BUDGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/util/problem.h"

struct budget_table;

struct budget {
	int fd; /* -1: closed */
	struct budget_table *table;
	unsigned entry;
	unsigned max_pages;
	pthread_mutex_t lock; /* guards .reserved and the next */
	uint64_t refused_ms;  /* CLOCK_MONOTONIC: when there was no room the last time */
	atomic_uint reserved; /* pages, as in our entry */
	atomic_uint nr_used;  /* of them */
};

/* Workers at a time that are counted. One more than that may have nothing mapped. */
#define BUDGET_WORKERS 4096u

/*
 * Join the table at @path, which is made if there is none, with a limit of @max_pages for all. -errno with a
 * sentence; then @ret_budget is closed.
 */
int budget_open(struct budget *ret_budget, const char *path, unsigned max_pages,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Nothing may be taken any more. May be called twice, and after budget_open() has failed. */
void budget_close(struct budget *budget) __attribute__((nonnull));

/* @n pages more. False when that is too many; a short time after that it is false without looking. */
bool budget_take(struct budget *budget, unsigned n) __attribute__((nonnull, warn_unused_result));

/* Undo takes of @n pages. A few more stay reserved for those who take and give by turns. */
void budget_give(struct budget *budget, unsigned n) __attribute__((nonnull));

/* Nothing has been taken, and some is reserved: budget_rest() gives that back, too. */
bool budget_may_rest(const struct budget *budget) __attribute__((nonnull));
void budget_rest(struct budget *budget) __attribute__((nonnull));

/* The pages of all workers, as of now. */
unsigned budget_sum(const struct budget *budget) __attribute__((nonnull));

#endif
