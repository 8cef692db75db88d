/*
 * Plays a random script (guest_script.h) on a connected blkfront, as many requests in flight as there is room for, and holds
 * everything that comes back against a model (guest_model.h): that each request is answered once (blkfront sees to it), its
 * status, what was read byte by byte, and of every page of every request the bytes outside the segments.
 *
 * One thread at a time. Requests that touch the same sectors, unless both read, wait for each other, so there is one right
 * answer. Allocates in guest_player_create() only. Does not log: what is wrong is a sentence in guest_player_trouble().
 */
#ifndef TESTS_LIB_GUEST_PLAYER_H
#define TESTS_LIB_GUEST_PLAYER_H

#include <stdio.h>

#include "frontend-shim/blkfront/blkfront.h"
#include "tests/lib/guest_model.h"
#include "tests/lib/guest_script.h"

struct guest_player;

/* What else is known of the disk and its backend. */
struct guest_rules {
	unsigned depth;         /* most requests in flight */
	unsigned align;         /* see struct guest_disk */
	unsigned discard_align; /* ... */
	bool discards_zero; /* whole units are zeros afterwards, the rest stays; otherwise all that is discarded may be either */
	bool for_qdisk; /* bad requests may have any status, and padding any value: who compares will see */
};

/* How a request was answered. */
struct guest_answer {
	enum guest_kind kind;
	uint8_t op;
	int16_t status;
	uint64_t sector, nr_sectors;
	uint64_t hash; /* of what was read */
};

/* The @seed is the script's, and everything else's that is left to chance. -ENOMEM. */
int guest_player_create(const struct guest_rules *rules, uint64_t seed, struct guest_model *model,
	struct guest_player **ret_player) __attribute__((nonnull, warn_unused_result));
void guest_player_destroy(struct guest_player *player);

/*
 * Play on, @answers' room for @n requests, until all are answered. The script goes on where the last call left it, and begins
 * with one of each kind. -EPROTO: something was wrong; else what blkfront says. Blocks.
 */
int guest_player_run(struct guest_player *player, struct blkfront *front, uint64_t n,
	struct guest_answer *answers) __attribute__((nonnull, warn_unused_result));

/* Never NULL. */
const char *guest_player_trouble(const struct guest_player *player) __attribute__((nonnull));

#endif
