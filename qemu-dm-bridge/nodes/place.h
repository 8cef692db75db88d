/*
 * Where the blocks of an image lie in another node, in bytes from that one's beginning.
 *
 *      disk       |      image      |               {start, end} in the disk
 *      partition         |------ window ------|     of the disk: what the partition shows
 *                        |  image   |               {0, end - window's start} in the partition
 *
 * Plain values; any thread.
 */
#ifndef BRIDGE_NODES_PLACE_H
#define BRIDGE_NODES_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* An end that is the node's own, however large it becomes. */
#define PLACE_END UINT64_MAX

/* What a loop device or partition shows of the node below it. */
struct window {
	uint64_t start, end;
};

struct place {
	uint64_t start, end;
	bool is_exact; /* else somewhere within, perhaps in pieces, as in the disks of a volume */
};

extern const struct place place_all; /* the image itself, and what has its blocks and no others */
extern const struct place place_unknown; /* anywhere */

/* In that which shows @window of the node. Empty if it shows other blocks. */
struct place place_above(const struct place *place, const struct window *window)
	__attribute__((nonnull));
/* In the node of which @window is shown. */
struct place place_below(const struct place *place, const struct window *window)
	__attribute__((nonnull));

bool place_is_empty(const struct place *place) __attribute__((nonnull));
/* The node has the image's blocks and no others. */
bool place_is_all(const struct place *place) __attribute__((nonnull));

#endif
