#include "backend/data/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reserved at a time: so much of what a worker has may be of no use to anybody. */
#define STEP 32u

/* Who was refused looks again after so long. */
#define PATIENCE_MS 100u

/* Another worker's entry may change at any time. */
struct budget_table {
	atomic_uint pages[BUDGET_WORKERS];
};

/* ---- entries: whoever has the lock on its bytes has it ---- */

static bool try_lock(int fd, unsigned entry, short type)
{
	struct flock lock = {.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)(entry * sizeof(atomic_uint)),
		.l_len = sizeof(atomic_uint)};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static int find_entry(struct budget *b)
{
	for (unsigned i = 0; i < BUDGET_WORKERS; i++) {
		if (!try_lock(b->fd, i, F_WRLCK))
			continue;
		/* Perhaps a dead worker's. */
		atomic_store(&b->table->pages[i], 0);
		b->entry = i;
		return 0;
	}
	return -EUSERS;
}

/* The dead have no locks. */
static void bury(struct budget *b)
{
	for (unsigned i = 0; i < BUDGET_WORKERS; i++) {
		if (i == b->entry || atomic_load(&b->table->pages[i]) == 0 ||
			!try_lock(b->fd, i, F_WRLCK))
			continue;
		atomic_store(&b->table->pages[i], 0);
		(void)try_lock(b->fd, i, F_UNLCK);
	}
}

/* ---- opening ---- */

/*
 * Every worker makes it as long, so that it does not matter who was first; and has its blocks allocated: a store to what the
 * file system has no room for would be our end (SIGBUS).
 */
static int open_table(struct budget *b, const char *path)
{
	void *table;
	int r;

	b->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd < 0)
		return -errno;
	r = posix_fallocate(b->fd, 0, sizeof(struct budget_table));
	if (r)
		return -r;
	table = mmap(
		NULL, sizeof(struct budget_table), PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (table == MAP_FAILED)
		return -errno;
	b->table = table;
	return find_entry(b);
}

int budget_open(struct budget *ret_budget, const char *path, unsigned max_pages,
	struct problem *ret_problem)
{
	int r;

	*ret_budget = (struct budget){.fd = -1, .max_pages = max_pages};
	(void)pthread_mutex_init(&ret_budget->lock, NULL);
	r = open_table(ret_budget, path);
	if (r == 0)
		return 0;
	budget_close(ret_budget);
	return problem_set(ret_problem, r,
		"'%s', where the workers of this host count the pages of guests they have mapped, cannot be used: %s: all data is copied",
		path, strerror(-r));
}

void budget_close(struct budget *b)
{
	if (b->table) {
		if (b->fd >= 0)
			atomic_store(&b->table->pages[b->entry], 0);
		(void)munmap(b->table, sizeof(*b->table));
		(void)pthread_mutex_destroy(&b->lock);
	}
	b->table = NULL;
	if (b->fd >= 0)
		(void)close(b->fd);
	b->fd = -1;
}

/* ---- taking and giving ---- */

unsigned budget_sum(const struct budget *b)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < BUDGET_WORKERS; i++)
		sum += atomic_load(&b->table->pages[i]);
	return sum;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void reserve(struct budget *b, unsigned pages)
{
	atomic_store(&b->table->pages[b->entry], pages);
	atomic_store(&b->reserved, pages);
}

/* First it is written down, then added up: of two that do so at a time none goes too far. */
static bool try_reserve(struct budget *b, unsigned pages)
{
	unsigned before = atomic_load(&b->reserved);

	atomic_store(&b->table->pages[b->entry], pages);
	if (budget_sum(b) <= b->max_pages) {
		atomic_store(&b->reserved, pages);
		return true;
	}
	reserve(b, before);
	return false;
}

static bool reserve_more(struct budget *b)
{
	unsigned used = atomic_load(&b->nr_used);

	/* Another queue was first. */
	if (used <= atomic_load(&b->reserved))
		return true;
	if (b->refused_ms && now_ms() - b->refused_ms < PATIENCE_MS)
		return false;
	if (try_reserve(b, used + STEP) || try_reserve(b, used))
		return true;
	bury(b);
	if (try_reserve(b, used))
		return true;
	b->refused_ms = now_ms();
	return false;
}

bool budget_take(struct budget *b, unsigned n)
{
	bool ok;

	if (atomic_fetch_add(&b->nr_used, n) + n <= atomic_load(&b->reserved))
		return true;
	(void)pthread_mutex_lock(&b->lock);
	ok = reserve_more(b);
	if (!ok)
		atomic_fetch_sub(&b->nr_used, n);
	(void)pthread_mutex_unlock(&b->lock);
	return ok;
}

static void lower(struct budget *b, unsigned before, unsigned keep)
{
	atomic_store(&b->reserved, keep);
	/* Other queues have just taken of what was there before. So nobody else may be told yet that it is free. */
	if (atomic_load(&b->nr_used) > keep) {
		atomic_store(&b->reserved, before);
		return;
	}
	atomic_store(&b->table->pages[b->entry], keep);
	b->refused_ms = 0;
}

/* All but @spare of what we reserved and do not need is others'. */
static void return_rest(struct budget *b, unsigned spare)
{
	unsigned before, keep;

	(void)pthread_mutex_lock(&b->lock);
	before = atomic_load(&b->reserved);
	keep = atomic_load(&b->nr_used) + spare;
	if (before > keep)
		lower(b, before, keep);
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_give(struct budget *b, unsigned n)
{
	unsigned used = atomic_fetch_sub(&b->nr_used, n) - n;

	if (atomic_load(&b->reserved) >= used + 2 * STEP)
		return_rest(b, STEP);
}

bool budget_may_rest(const struct budget *b)
{
	return atomic_load(&b->nr_used) == 0 && atomic_load(&b->reserved) > 0;
}

void budget_rest(struct budget *b)
{
	return_rest(b, 0);
}
