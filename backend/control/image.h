/*
 * A disk's image between its two users: QEMU, which boots the guest through the host's page cache, and this worker. Before it is served it is
 * owned, and what the page cache has of it is on the storage and dropped; afterwards the same in the other direction.
 *
 * Control thread only. Logs what does not keep the disk from being served; and once a second, while it waits for dirty pages, how much is left.
 */
#ifndef BACKEND_CONTROL_IMAGE_H
#define BACKEND_CONTROL_IMAGE_H

#include <stdbool.h>

#include "backend/control/emulated.h"
#include "backend/control/image_story.h"
#include "backend/data/storage.h"
#include "backend/util/log.h"
#include "qemu-dm-bridge/ownership/ownership.h"

struct image {
	struct ownership owner;
	struct emulated emulated; /* has it, perhaps, when image_take() has failed */
	struct image_story story; /* for people */
	bool is_kept_out; /* image_take() has failed because somebody else has it, or was too slow: it may be worth another try. Who tries resets it */
	bool told_unlocked; /* that its file system knows no locks */
	bool told_ways;     /* that some who have its blocks under another name are not kept out */
	bool told_pages;    /* that some of it stays in the page cache */
	bool told_left;     /* the same, when its guest had left */
	struct log_limit limit_closed; /* lines about the device model's closing it */
};

void image_init(struct image *image) __attribute__((nonnull));

/* After image_give_up(). May be called twice. */
void image_fini(struct image *image) __attribute__((nonnull));

/* Beside whom a disk has its image. */
enum image_sharing {
	IMAGE_ALONE,
	IMAGE_SHARED, /* others write it, too (mode w!) */
	IMAGE_WATCHING, /* the guest writes it through its emulated disk, and only reads it here (E4) */
};

/*
 * @storage is ours alone, under whatever name, unless @sharing says otherwise, and for direct I/O nothing of it is in the page cache. Waits for the page
 * cache to be written. -errno with a sentence: -EBUSY is .is_kept_out; then, and after every other failure, nothing is owned.
 */
int image_take(struct image *image, const struct storage *storage, enum image_sharing sharing,
	uint64_t now_ms, struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/*
 * Whether image_take() of a writer would fail for something that does not go away by itself (O12): -EBUSY with a sentence. 0 if not, or if that cannot be
 * seen. Never logs.
 */
int image_check(const struct storage *storage, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/*
 * image_take() for the page cache alone, as far as it can be done, before QEMU opens the image: whoever has it. Whether something that somebody may have
 * been promised is lost is told, too. 0, or -errno with a sentence,
 * which is not logged.
 */
int image_prepare(const struct storage *storage, bool *ret_is_lost, struct problem *ret_problem)
	__attribute__((nonnull, warn_unused_result));

/* Nothing is with @storage any more, and all of it is durable. May be called twice. */
void image_give_up(struct image *image, const struct storage *storage) __attribute__((nonnull));

#endif
