/*
 * Every other way to the blocks of an open image: the nodes whose page caches may hold some of its blocks, too.
 *
 * Any thread; opens nodes for reading only, which changes nothing and has udev do nothing; owns their descriptors until
 * same_blocks_close(). Never logs. Looks at this moment: who attaches a loop device a moment later is not seen. To find loop devices and
 * open nodes takes root.
 *
 *      file <- loop <- its partitions <- dm, md, loop over those ...         above the image: cut from its blocks, all of them
 *      partition -> whole disk -> ..., dm -> slaves, loop -> its file        below it: they contain its blocks
 *
 * What is above something below the image is taken only where it can have the same blocks: loop devices and partitions that overlap them, by
 * their offsets and sizes, and what is above those. Volumes cut from the same disk as the image are not: they are other disks, in use by others. Where
 * in a slave a volume lies is not known: all partitions of a slave are taken. Not found are: the other paths of a multipath device
 * if the image is one of its paths (name the multipath device); the device that a file system lies on.
 *
 * On overlayfs a file is known by the overlay's inode: loop devices over the file below it are not found.
 */
#ifndef BRIDGE_NODES_SAME_BLOCKS_H
#define BRIDGE_NODES_SAME_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/nodes/place.h"

/* Nodes of one image; a disk may have 256 partitions, but an image that has is a mistake. */
#define SAME_BLOCKS_MAX 64u

/* A file by its file system and inode, a device by its number and inode 0: whatever its names are. */
struct same_blocks_id {
	uint64_t device;
	uint64_t inode;
};

struct stat;
struct same_blocks_id same_blocks_id_of(const struct stat *st) __attribute__((nonnull));
bool same_blocks_same(const struct same_blocks_id *a, const struct same_blocks_id *b)
	__attribute__((nonnull));

struct same_blocks_node {
	struct same_blocks_id id;
	int fd;               /* -1: cannot be reached, see below */
	int level;            /* 0: as the image; above it 1 and more; below it -1 and less */
	struct place image;   /* where the image's blocks are in it */
	bool is_device;       /* else a regular file */
	bool is_cut_from_all; /* a partition of a node that has the image's blocks and no others */
	uint8_t look;         /* where more was looked for */
	char name[128];       /* for sentences to people; cut */
};

/* From the highest level to the lowest. The image itself is among them, with the descriptor that was given. */
struct same_blocks {
	unsigned nr_nodes;
	int image_fd;
	struct same_blocks_node nodes[SAME_BLOCKS_MAX];
};

/*
 * The nodes over the blocks of @fd, which is called @name in sentences. A file below a loop device whose name is gone, or
 * means another one in our mount namespace, stays in the list with descriptor -1; all loop devices over it share its cache. 0, or -errno with a
 * sentence: -EINVAL (neither file nor block device), -E2BIG (more than SAME_BLOCKS_MAX), -EACCES (not root), -ENOENT (no node
 * below /dev), -ENOMEM. Nothing is open after a failure.
 */
int same_blocks_find(int fd, const char *name, struct same_blocks *ret_blocks,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* Close all but the image. May be called twice. */
void same_blocks_close(struct same_blocks *blocks) __attribute__((nonnull));

#endif
