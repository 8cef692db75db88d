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

void image_fini(struct image *image)
{
	emulated_fini(&image->emulated);
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

/* Of a part of ownership that has been tried. What it lacks is told once. */
static int judge_ownership(struct image *image, int r, const struct problem *cause, bool *told,
	struct problem *problem)
{
	image->is_kept_out = r == -EBUSY;
	if (image->is_kept_out)
		return problem_set(problem, r,
			"%s: end that one first, then have the guest's driver connect anew (detach and attach the disk)",
			cause->text);
	if (r && r != -ENOLCK)
		return problem_set(problem, r, "%s", cause->text);
	if (r && !*told)
		log_warn("%s", cause->text);
	*told |= r != 0;
	return 0;
}

/* At most once a second (B4). */
static void tell_dirty(void *path, uint64_t dirty_bytes)
{
	log_info("'%s': %" PRIu64 " MiB in the page cache are still to be written",
		(const char *)path, dirty_bytes >> 20);
}

static void name_of(const struct storage *storage, char path[PATH_MAX])
{
	char name[32];
	ssize_t n;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", storage->fd);
	n = readlink(name, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
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
static struct hand_over_terms terms_of(
	const struct storage *storage, enum moment moment, char *path)
{
	return (struct hand_over_terms){
		.timeout_ms = moment == GIVEN_UP ? UINT_MAX : LIMIT_HAND_OVER_MS,
		.settle_ms = LIMIT_HAND_OVER_SETTLE_MS,
		.best_effort = moment == BEFORE_QEMU || storage->read_only ||
			       !cache_is_direct(storage->cache),
		.keep_image = !cache_is_direct(storage->cache),
		.progress = tell_dirty,
		.arg = path,
	};
}

static int empty_page_cache(const struct storage *storage, enum moment moment,
	struct hand_over_result *result, struct problem *problem)
{
	char path[PATH_MAX];
	struct hand_over_terms terms = terms_of(storage, moment, path);

	name_of(storage, path);
	return hand_over(storage->fd, path, &terms, result, problem);
}

static int take_over(struct image *image, const struct storage *storage,
	const struct same_blocks *blocks, char *path, struct problem *problem)
{
	struct hand_over_terms terms = terms_of(storage, TAKEN, path);
	struct hand_over_result result;
	struct problem cause;
	int r = hand_over_blocks(blocks, path, &terms, &result, &cause);

	image_story_hand_over(&image->story, IMAGE_TO_GUEST, &result, r, &cause);
	if (r == 0)
		return 0;
	image->is_kept_out = r == -ETIMEDOUT && !result.is_lost;
	if (image->is_kept_out || result.is_lost)
		return problem_set(problem, image->is_kept_out ? -EBUSY : r, "%s", cause.text);
	if (!image->told_pages)
		log_warn("what others read there may be older than what the guest writes: %s",
			cause.text);
	image->told_pages = true;
	return 0;
}

static int own(struct image *image, const struct storage *storage, enum image_sharing sharing,
	struct problem *problem)
{
	struct problem cause;
	int r = ownership_take(&image->owner, storage->fd, access_of(storage, sharing), &cause);

	return judge_ownership(image, r, &cause, &image->told_unlocked, problem);
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
		if (log_limit_pass(&image->limit_closed, now_ms, LIMIT_LOG_LIFE))
			log_info(
				"the device model, process %d, has closed the image for the guest's PV driver",
				(int)image->emulated.model);
		if (!emulated_look(&image->emulated, storage->fd, storage->read_only))
			return own(image, storage, sharing, problem);
	}
	image->is_kept_out = true;
	return emulated_complain(&image->emulated, problem);
}

/* Why other nodes are not looked for: another try finds no others (O11). */
static bool is_for_good(int error)
{
	return error == -EACCES || error == -EPERM || error == -E2BIG || error == -ENOENT;
}

/* By whatever way others may come to its blocks. */
static int take_all_ways(struct image *image, const struct storage *storage,
	enum ownership_access access, struct problem *problem)
{
	struct same_blocks blocks;
	struct problem cause;
	char path[PATH_MAX];
	int r;

	name_of(storage, path);
	r = same_blocks_find(storage->fd, path, &blocks, &cause);
	if (r && !is_for_good(r)) {
		image->is_kept_out = true;
		return problem_set(problem, -EBUSY,
			"other ways to the image cannot be looked for just now: %s", cause.text);
	}
	if (r) {
		if (!image->told_ways)
			log_warn(
				"nobody is kept from other ways to the image: what they read there may be older than what the guest writes, and what they have written and not synced may come to lie above it: %s",
				cause.text);
		image->told_ways = true;
		return 0;
	}
	r = ownership_take_beside(&image->owner, &blocks, access, &cause);
	r = judge_ownership(image, r, &cause, &image->told_ways, problem);
	if (r == 0)
		r = take_over(image, storage, &blocks, path, problem);
	same_blocks_close(&blocks);
	return r;
}

int image_take(struct image *image, const struct storage *storage, enum image_sharing sharing,
	uint64_t now_ms, struct problem *ret_problem)
{
	int r;

	image->emulated.has_image = false;
	if (!concerns(storage))
		return 0;
	r = own_after_emulated(image, storage, sharing, now_ms, ret_problem);
	if (r == 0)
		r = take_all_ways(image, storage, access_of(storage, sharing), ret_problem);
	if (r)
		ownership_give_up(&image->owner);
	image_story_own(&image->story, r == 0);
	return r;
}

int image_check(const struct storage *storage, struct problem *ret_problem)
{
	struct same_blocks blocks;
	struct problem cause;
	int r;

	if (!concerns(storage) || same_blocks_find(storage->fd, "image", &blocks, &cause))
		return 0;
	r = ownership_check(&blocks, &cause);
	same_blocks_close(&blocks);
	if (r)
		return problem_set(ret_problem, r,
			"%s: unmount or stop that first, or attach the disk read-only", cause.text);
	return 0;
}

int image_prepare(const struct storage *storage, bool *ret_is_lost, struct problem *ret_problem)
{
	struct hand_over_result result = {0};
	int r = concerns(storage) ? empty_page_cache(storage, BEFORE_QEMU, &result, ret_problem)
				  : 0;

	*ret_is_lost = result.is_lost;
	return r;
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
	if (result.is_lost)
		log_err("what others had written to the image is lost: %s", problem.text);
	else if (r && !image->told_left)
		log_warn("when the guest's firmware reads the image it may find something old: %s",
			problem.text);
	image->told_left |= r != 0;
	ownership_give_up(&image->owner);
	image_story_own(&image->story, false);
}
