#include "qemu-dm-bridge/device-model/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/util/limits.h"
#include "backend/util/log.h"
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

/* The end of a lock is no event: the worker of a guest that has just gone may still be at work. */
static int await_owner(
	int fd, const struct served *disk, uint64_t until_ms, struct problem *problem)
{
	for (;;) {
		struct ownership owner = {.fd = -1};
		struct problem cause;
		int r = ownership_take(&owner, fd, disk->access, &cause);

		ownership_give_up(&owner);
		if (r == 0 || r == -ENOLCK)
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

int ready_make(const struct served *disk, const struct ready_terms *terms, struct problem *problem)
{
	int r = 0, fd = open(disk->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return problem_set(problem, -errno, "%s: '%s' cannot be opened: %s", disk->backend,
			disk->image, strerror(errno));
	if (!terms->is_incoming)
		r = await_owner(fd, disk, terms->until_ms, problem);
	if (r == 0)
		r = empty_page_cache(fd, disk, terms, problem);
	(void)close(fd);
	return r;
}
