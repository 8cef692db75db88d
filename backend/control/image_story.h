/*
 * What became of a disk's image, for people: since when it is this worker's, or not, and what the last hand-overs of its page cache did.
 *
 * Control thread only. Plain data; logs a hand-over in which there was something to hand over, in one line.
 */
#ifndef BACKEND_CONTROL_IMAGE_STORY_H
#define BACKEND_CONTROL_IMAGE_STORY_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/log.h"
#include "backend/util/problem.h"
#include "qemu-dm-bridge/pagecache/hand_over.h"

/* To whom an image is handed over. */
enum image_heir {
	IMAGE_TO_GUEST,
	IMAGE_TO_OTHERS, /* QEMU, when the guest's firmware reads the image */
	IMAGE_HEIRS,
};

/* Times are seconds since 1970. */
struct image_story {
	bool is_ours;
	uint64_t since_s; /* that it is so */
	/* The last one to each. */
	struct image_hand_over {
		uint64_t at_s; /* its end; 0: there was none */
		struct hand_over_result result;
		struct problem problem; /* what it could not do, or an empty sentence */
	} last[IMAGE_HEIRS];
	struct log_limit limit;
};

/* It is nobody's, from now on. */
void image_story_init(struct image_story *story) __attribute__((nonnull));

void image_story_own(struct image_story *story, bool is_ours) __attribute__((nonnull));

/* A hand-over to @heir has ended with @error, hand_over()'s, and @problem its sentence, if it is not 0. Logs it unless it failed for good or is tried again. */
void image_story_hand_over(struct image_story *story, enum image_heir heir,
	const struct hand_over_result *result, int error, const struct problem *problem)
	__attribute__((nonnull));

/* "guest", "others" */
const char *image_heir_name(enum image_heir heir);

#endif
