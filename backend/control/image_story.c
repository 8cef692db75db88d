#include "backend/control/image_story.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "backend/util/limits.h"

static uint64_t clock_now(clockid_t clock, uint64_t per_second)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * per_second +
	       (uint64_t)now.tv_nsec * per_second / UINT64_C(1000000000);
}

void image_story_init(struct image_story *story)
{
	*story = (struct image_story){.since_s = clock_now(CLOCK_REALTIME, 1)};
}

void image_story_own(struct image_story *story, bool is_ours)
{
	if (story->is_ours == is_ours)
		return;
	story->is_ours = is_ours;
	story->since_s = clock_now(CLOCK_REALTIME, 1);
}

const char *image_heir_name(enum image_heir heir)
{
	return heir == IMAGE_TO_GUEST ? "guest" : "others";
}

/* A guest may connect as often as it likes (XSA-180). */
static void tell(
	struct image_story *story, enum image_heir heir, const struct hand_over_result *result)
{
	char dirty[32] = "unknown";

	if (!log_limit_pass(&story->limit, clock_now(CLOCK_MONOTONIC, 1000), LIMIT_LOG_LIFE))
		return;
	if (result->dirty_known)
		(void)snprintf(dirty, sizeof(dirty), "%" PRIu64, result->dirty_before);
	log_info("page cache handed over: to=%s pages=%" PRIu64 " dirty=%s left=%" PRIu64
		 " nodes=%u rounds=%u duration_us=%" PRIu64,
		image_heir_name(heir), result->pages_before, dirty, result->pages_left,
		result->nr_nodes, result->nr_rounds, result->duration_ns / 1000);
}

void image_story_hand_over(struct image_story *story, enum image_heir heir,
	const struct hand_over_result *result, int error, const struct problem *problem)
{
	struct image_hand_over *last = &story->last[heir];

	last->at_s = clock_now(CLOCK_REALTIME, 1);
	last->result = *result;
	last->problem = error ? *problem : (struct problem){.text = ""};
	/* Of every other failure whoever asked for it has a line of its own. */
	if (error && error != -EBUSY)
		return;
	if (result->dirty_before > 0 || result->pages_before > result->pages_left || error)
		tell(story, heir, result);
}
