#include "backend/control/change.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/util/limits.h"

int change_init(struct change *change)
{
	*change = (struct change){.next.fd = -1};
	change->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return change->fd < 0 ? -errno : 0;
}

void change_fini(struct change *change)
{
	if (change->fd >= 0)
		(void)close(change->fd);
	change->fd = -1;
}

/* What can fail fails first: nobody is held up for a mode that cannot be had. */
int change_begin(struct change *change, struct disk *disk, const struct change_wish *wish,
	uint64_t now_ms, struct problem *ret_problem)
{
	int r = storage_reopen(&disk->storage, wish->mode, &change->next, ret_problem);

	if (r)
		return r;
	change->state = CHANGE_RUNS;
	change->wish = *wish;
	change->deadline_ms = now_ms + LIMIT_CHANGE_MS;
	disk_begin_change(disk, change->fd);
	return 0;
}

/* It is over, and @error is 0 if the disk is to be on what was opened. */
static void end(struct change *change, struct disk *disk, int error)
{
	bool was_direct = cache_is_direct(disk->storage.cache);
	uint64_t count;
	bool crosses = !error && was_direct != cache_is_direct(change->next.cache);

	/* What the page cache has from before direct I/O, or from others meanwhile, is not to be read. Nobody is at the storage. */
	if (crosses && was_direct)
		storage_drop_pages(&disk->storage);
	if (error)
		disk_end_change(disk, NULL, false);
	else
		disk_end_change(disk, &change->next, change->wish.clear_fault);
	/* What went through it is durable now, and not needed there any more. */
	if (crosses && !was_direct)
		storage_drop_pages(&disk->storage);
	storage_close(&change->next);
	/* Word that it is ready, or has failed, may have come since; from now on none does. */
	(void)!read(change->fd, &count, sizeof(count));
	change->error = error;
	change->state = CHANGE_ENDED;
}

static int too_late(struct change *change)
{
	return problem_set(&change->problem, -ETIMEDOUT,
		"the storage did not finish what it has, or not make it durable, within %u seconds: the cache mode stays as it was",
		LIMIT_CHANGE_MS / 1000);
}

void change_heed(struct change *change, struct disk *disk, uint64_t now_ms)
{
	int error;

	if (change->state != CHANGE_RUNS)
		return;
	switch (disk_change(disk, &error)) {
	case ORDER_CHANGE_READY:
		end(change, disk, 0);
		break;
	case ORDER_CHANGE_FAILED:
		end(change, disk,
			problem_set(&change->problem, error,
				"fdatasync failed: %s: the cache mode stays as it was",
				strerror(-error)));
		break;
	case ORDER_CHANGE_NONE:
	case ORDER_CHANGE_PENDING:
	case ORDER_CHANGE_DRAIN:
	case ORDER_CHANGE_SYNC:
		if (now_ms >= change->deadline_ms)
			end(change, disk, too_late(change));
		break;
	}
}

void change_abandon(struct change *change, struct disk *disk, int error, const char *why)
{
	if (change->state == CHANGE_RUNS)
		end(change, disk, problem_set(&change->problem, error, "%s", why));
}

bool change_collect(struct change *change, struct change_wish *ret_wish, int *ret_error,
	struct problem *ret_problem)
{
	if (change->state != CHANGE_ENDED)
		return false;
	change->state = CHANGE_NONE;
	*ret_wish = change->wish;
	*ret_error = change->error;
	*ret_problem = change->problem;
	return true;
}

int change_patience_ms(const struct change *change, uint64_t now_ms)
{
	if (change->state != CHANGE_RUNS)
		return -1;
	return now_ms < change->deadline_ms ? (int)(change->deadline_ms - now_ms) : 0;
}
