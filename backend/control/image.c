#include "backend/control/image.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/util/limits.h"
#include "backend/util/log.h"
#include "qemu-dm-bridge/pagecache/hand_over.h"

void image_init(struct image *image)
{
	*image = (struct image){.owner.fd = -1};
	image_story_init(&image->story);
}

/* There is nothing behind a bench's storage that anybody else could have. */
static bool concerns(const struct storage *storage)
{
	return storage->kind != &storage_null;
}

static enum ownership_access access_of(const struct storage *storage, enum image_sharing sharing)
{
	switch (sharing) {
	case IMAGE_WATCHING:
		return OWNERSHIP_LOOK;
	case IMAGE_SHARED:
		return OWNERSHIP_SHARED_WRITE;
	case IMAGE_ALONE:
		break;
	}
	return storage->read_only ? OWNERSHIP_READ : OWNERSHIP_WRITE;
}

static int own(struct image *image, const struct storage *storage, enum image_sharing sharing,
	struct problem *problem)
{
	enum ownership_access access = access_of(storage, sharing);
	struct problem cause;
	int r = ownership_take(&image->owner, storage->fd, access, &cause);

	image->is_kept_out = r == -EBUSY;
	if (image->is_kept_out)
		return problem_set(problem, r,
			"%s: end that one first, then have the guest's driver connect anew (detach and attach the disk)",
			cause.text);
	if (r && r != -ENOLCK)
		return problem_set(problem, r, "%s", cause.text);
	if (r && !image->told_unlocked)
		log_warn("%s", cause.text);
	image->told_unlocked |= r != 0;
	return 0;
}

bool image_is_loss(int error)
{
	return error == -EIO || error == -ENOSPC || error == -EDQUOT;
}

/* At most once a second (B4). */
static void tell_dirty(void *path, uint64_t dirty_bytes)
{
	log_info("'%s': %" PRIu64 " MiB in the page cache are still to be written",
		(const char *)path, dirty_bytes >> 20);
}

enum moment {
	BEFORE_QEMU,
	TAKEN,
	GIVEN_UP,
};

/*
 * Those that use the page cache themselves, and those that only read, have no harm of pages that stay. When a guest has left nobody waits:
 * what is dirty has the time it needs. But pages that stay then are QEMU's next: also such as somebody was just reading.
 */
static int empty_page_cache(const struct storage *storage, enum moment moment,
	struct hand_over_result *result, struct problem *problem)
{
	char name[32], path[PATH_MAX];
	struct hand_over_terms terms = {
		.timeout_ms = moment == GIVEN_UP ? UINT_MAX : LIMIT_HAND_OVER_MS,
		.settle_ms = LIMIT_HAND_OVER_SETTLE_MS,
		.best_effort = moment == BEFORE_QEMU || storage->read_only ||
			       !cache_is_direct(storage->cache),
		.keep_image = !cache_is_direct(storage->cache),
		.progress = tell_dirty,
		.arg = path,
	};
	ssize_t n;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", storage->fd);
	n = readlink(name, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return hand_over(storage->fd, path, &terms, result, problem);
}

static int take_over(struct image *image, const struct storage *storage, struct problem *problem)
{
	struct hand_over_result result;
	struct problem cause;
	int r = empty_page_cache(storage, TAKEN, &result, &cause);

	image_story_hand_over(&image->story, IMAGE_TO_GUEST, &result, r, &cause);
	if (r == 0)
		return 0;
	image->is_kept_out = r == -ETIMEDOUT;
	if (image->is_kept_out || image_is_loss(r))
		return problem_set(problem, image->is_kept_out ? -EBUSY : r, "%s", cause.text);
	if (!image->told_pages)
		log_warn("what others read there may be older than what the guest writes: %s",
			cause.text);
	image->told_pages = true;
	return 0;
}

/* E1, E2: nobody else has it, nor has the guest's own emulated disk, even where a lock does not say so. */
static int own_after_emulated(struct image *image, const struct storage *storage,
	enum image_sharing sharing, uint64_t now_ms, struct problem *problem)
{
	int r = own(image, storage, sharing, problem);

	if ((r && !image->is_kept_out) || sharing != IMAGE_ALONE ||
		!emulated_look(&image->emulated, storage->fd, storage->read_only))
		return r;
	ownership_give_up(&image->owner);
	if (emulated_close(&image->emulated, storage->fd, now_ms)) {
		log_info(
			"the device model, process %d, has closed the image for the guest's PV driver",
			(int)image->emulated.model);
		if (!emulated_look(&image->emulated, storage->fd, storage->read_only))
			return own(image, storage, sharing, problem);
	}
	image->is_kept_out = true;
	return emulated_complain(&image->emulated, problem);
}

int image_take(struct image *image, const struct storage *storage, enum image_sharing sharing,
	uint64_t now_ms, struct problem *ret_problem)
{
	int r;

	image->emulated.has_image = false;
	if (!concerns(storage))
		return 0;
	r = own_after_emulated(image, storage, sharing, now_ms, ret_problem);
	if (r)
		return r;
	r = take_over(image, storage, ret_problem);
	if (r)
		ownership_give_up(&image->owner);
	image_story_own(&image->story, r == 0);
	return r;
}

int image_prepare(const struct storage *storage, struct problem *ret_problem)
{
	struct hand_over_result ignored;

	return concerns(storage) ? empty_page_cache(storage, BEFORE_QEMU, &ignored, ret_problem)
				 : 0;
}

void image_give_up(struct image *image, const struct storage *storage)
{
	struct hand_over_result result;
	struct problem problem;
	int r;

	if (image->owner.fd < 0)
		return;
	r = empty_page_cache(storage, GIVEN_UP, &result, &problem);
	image_story_hand_over(&image->story, IMAGE_TO_OTHERS, &result, r, &problem);
	if (r && !image->told_left)
		log_warn("when the guest's firmware reads the image it may find something old: %s",
			problem.text);
	image->told_left |= r != 0;
	ownership_give_up(&image->owner);
	image_story_own(&image->story, false);
}
