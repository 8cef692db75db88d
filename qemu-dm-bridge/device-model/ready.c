#include "qemu-dm-bridge/device-model/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/util/limits.h"
#include "backend/util/log.h"
#include "qemu-dm-bridge/nodes/same_blocks.h"
#include "qemu-dm-bridge/ownership/ownership.h"
#include "qemu-dm-bridge/pagecache/hand_over.h"

uint64_t ready_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int complain(
	struct problem *problem, int error, const struct served *disk, const struct problem *cause)
{
	return problem_set(problem, error, "'%s', which %s serves: %s", disk->image, disk->backend,
		cause->text);
}

/* All at once, by whatever way; and given up again. What has no locks keeps nobody out. */
static int try_to_own(int fd, const struct served *disk, const struct same_blocks *blocks,
	struct problem *problem)
{
	struct ownership owner = {.fd = -1};
	int r = ownership_take(&owner, fd, disk->access, problem);

	if ((r == 0 || r == -ENOLCK) && blocks)
		r = ownership_take_beside(&owner, blocks, disk->access, problem);
	ownership_give_up(&owner);
	return r == -ENOLCK ? 0 : r;
}

/* The end of a lock is no event: the worker of a guest that has just gone may still be at work. */
static int await_owner(int fd, const struct served *disk, const struct same_blocks *blocks,
	uint64_t until_ms, struct problem *problem)
{
	for (;;) {
		struct problem cause;
		int r = try_to_own(fd, disk, blocks, &cause);

		if (r == 0)
			return 0;
		if (r != -EBUSY || ready_now_ms() >= until_ms)
			return complain(problem, r, disk, &cause);
		(void)poll(NULL, 0, (int)LIMIT_IMAGE_RETRY_MS);
	}
}

static void tell_dirty(void *image, uint64_t dirty_bytes)
{
	log_info("'%s': %" PRIu64 " MiB in the page cache are still to be written",
		(const char *)image, dirty_bytes >> 20);
}

/*
 * What is dirty has the time it needs: a guest is not started on half of it. What somebody keeps there, clean, is worth a warning: QEMU may read
 * it, and it may be old.
 */
static int empty_page_cache(
	int fd, const struct served *disk, const struct ready_terms *ready, struct problem *problem)
{
	const struct hand_over_terms terms = {
		.timeout_ms = UINT_MAX,
		.settle_ms = LIMIT_HAND_OVER_SETTLE_MS,
		.best_effort = ready->is_incoming || !cache_is_direct(disk->cache),
		.keep_image = !cache_is_direct(disk->cache),
		.progress = tell_dirty,
		.arg = disk->image,
	};
	struct hand_over_result result;
	struct problem cause;
	int r = hand_over(fd, disk->image, &terms, &result, &cause);

	if (r == -EBUSY)
		log_warn("what the guest reads through its emulated disk may be old: %s",
			cause.text);
	return r && r != -EBUSY ? complain(problem, r, disk, &cause) : 0;
}

static int make(
	int fd, const struct served *disk, const struct ready_terms *terms, struct problem *problem)
{
	struct same_blocks blocks;
	struct problem ignored;
	/* Those that cannot be looked for the wrapper has warned of. */
	bool is_found = same_blocks_find(fd, disk->image, &blocks, &ignored) == 0;
	int r = terms->is_incoming ? 0
				   : await_owner(fd, disk, is_found ? &blocks : NULL,
					     terms->until_ms, problem);

	if (is_found)
		same_blocks_close(&blocks);
	return r ? r : empty_page_cache(fd, disk, terms, problem);
}

int ready_make(const struct served *disk, const struct ready_terms *terms, struct problem *problem)
{
	int r, fd = open(disk->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return problem_set(problem, -errno, "%s: '%s' cannot be opened: %s", disk->backend,
			disk->image, strerror(errno));
	r = make(fd, disk, terms, problem);
	(void)close(fd);
	return r;
}
