#include "same_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block_sysfs.h"
#include "loops.h"

/* Where there may be more of the same blocks, seen from a node. Loop devices over it are looked for in any case. */
enum {
	LOOK_HOLDERS = 1,
	LOOK_PARTITIONS = 2,
	LOOK_BELOW = 4,
};

#define LOOK_ABOVE (LOOK_HOLDERS | LOOK_PARTITIONS)

/* While it lasts. */
struct search {
	struct same_blocks *blocks;
	struct loops loops;
	const char *image;
	struct problem *problem;
};

static bool same(const struct same_blocks_id *a, const struct same_blocks_id *b)
{
	return a->device == b->device && a->inode == b->inode;
}

static struct same_blocks_id id_of(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct same_blocks_id){st->st_rdev, 0};
	return (struct same_blocks_id){st->st_dev, st->st_ino};
}

/* ---- one more node ---- */

static struct same_blocks_node *known(struct same_blocks *blocks, const struct same_blocks_id *id)
{
	for (unsigned i = 0; i < blocks->nr_nodes; i++)
		if (same(&blocks->nodes[i].id, id))
			return &blocks->nodes[i];
	return NULL;
}

static int check_room(const struct search *s)
{
	if (s->blocks->nr_nodes < SAME_BLOCKS_MAX)
		return 0;
	return problem_set(s->problem, -E2BIG,
		"'%s': more than %u devices lie over its blocks: detach what is not needed of its loop devices, partitions and volumes",
		s->image, SAME_BLOCKS_MAX);
}

/* A device that is gone by now, or that nobody is to open, has no pages. */
static bool is_gone(int r)
{
	return r == -ENXIO || r == -ENODEV || r == -ENOMEDIUM;
}

static int add_device(struct search *s, dev_t device, int level, unsigned look)
{
	struct same_blocks_node node = {
		{device, 0}, .level = level, .is_device = true, .look = (uint8_t)look};
	int r;

	if (known(s->blocks, &node.id))
		return 0;
	r = check_room(s);
	if (r)
		return r;
	r = block_sysfs_open_node(device, node.name, sizeof(node.name), &node.fd);
	if (is_gone(r))
		return 0;
	if (r)
		return problem_set(s->problem, r,
			"'%s': %s is over the same blocks and cannot be opened: %s", s->image,
			node.name, strerror(-r));
	s->blocks->nodes[s->blocks->nr_nodes++] = node;
	return 0;
}

/* Open the file below a loop device by the name it had. -1 if that means nothing now, or something else. */
static int open_named(const char *path, const struct same_blocks_id *id)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct same_blocks_id found;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0) {
		found = id_of(&st);
		if (same(&found, id))
			return fd;
	}
	(void)close(fd);
	return -1;
}

static int add_file(struct search *s, const char *path, const struct same_blocks_id *id, int level)
{
	struct same_blocks_node node = {*id, .level = level};
	int r;

	if (known(s->blocks, id))
		return 0;
	r = check_room(s);
	if (r)
		return r;
	(void)snprintf(node.name, sizeof(node.name), "%.127s", path);
	node.fd = open_named(path, id);
	s->blocks->nodes[s->blocks->nr_nodes++] = node;
	return 0;
}

/* ---- from one node to others ---- */

static int add_list(struct search *s, int folder, const char *name, const char *attribute,
	int level, unsigned look)
{
	struct block_list list;
	dev_t device;
	int r = 0;

	block_list_open(&list, folder, name, attribute);
	while (r == 0 && block_list_next(&list, &device))
		r = add_device(s, device, level, look);
	block_list_close(&list);
	return r;
}

static int add_loops_over(struct search *s, const struct same_blocks_node *node)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->loops.nr_loops; i++)
		if (same(&s->loops.list[i].below, &node->id))
			r = add_device(s, s->loops.list[i].device, node->level + 1, LOOK_ABOVE);
	return r;
}

static int add_below_loop(struct search *s, int folder, const struct same_blocks_node *node)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < s->loops.nr_loops; i++) {
		const struct loop *loop = &s->loops.list[i];

		if (loop->device != node->id.device)
			continue;
		if (loop->below.inode == 0)
			return add_device(s, loop->below.device, node->level - 1,
				LOOK_BELOW | LOOK_PARTITIONS);
		if (block_sysfs_text(folder, "loop/backing_file", path, sizeof(path)))
			(void)snprintf(path, sizeof(path), "the file below %s", node->name);
		return add_file(s, path, &loop->below, node->level - 1);
	}
	return 0;
}

struct extent {
	uint64_t start;
	uint64_t nr_sectors;
};

static bool extent_of(int folder, struct extent *ret_extent)
{
	return block_sysfs_number(folder, "start", &ret_extent->start) == 0 &&
	       block_sysfs_number(folder, "size", &ret_extent->nr_sectors) == 0;
}

static bool overlaps(dev_t partition, const struct extent *own)
{
	struct extent other;
	int folder = block_sysfs_open(partition);
	bool known_extent = folder >= 0 && extent_of(folder, &other);

	if (folder >= 0)
		(void)close(folder);
	return known_extent && other.start < own->start + own->nr_sectors &&
	       own->start < other.start + other.nr_sectors;
}

/* Other partitions that have some of a partition's blocks: an extended one and those in it, or a mistake. */
static int add_overlapping(
	struct search *s, int folder, int disk, const struct same_blocks_node *node)
{
	struct block_list list;
	struct extent own;
	dev_t device;
	int r = 0;

	if (!extent_of(folder, &own))
		return 0;
	block_list_open(&list, disk, ".", "partition");
	while (r == 0 && block_list_next(&list, &device))
		if (overlaps(device, &own))
			r = add_device(s, device, node->level, LOOK_ABOVE);
	block_list_close(&list);
	return r;
}

static int add_disk_of_partition(struct search *s, int folder, const struct same_blocks_node *node)
{
	int disk = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dev_t device;
	int r;

	if (disk < 0)
		return 0;
	r = block_sysfs_device(disk, "dev", &device);
	r = r ? 0 : add_device(s, device, node->level - 1, LOOK_BELOW);
	if (r == 0)
		r = add_overlapping(s, folder, disk, node);
	(void)close(disk);
	return r;
}

static int look_below(struct search *s, int folder, const struct same_blocks_node *node)
{
	int r = add_list(s, folder, "slaves", NULL, node->level - 1, LOOK_BELOW | LOOK_PARTITIONS);

	if (r == 0)
		r = add_below_loop(s, folder, node);
	if (r == 0 && faccessat(folder, "partition", F_OK, 0) == 0)
		r = add_disk_of_partition(s, folder, node);
	return r;
}

static int look_around(struct search *s, const struct same_blocks_node *node)
{
	int r = add_loops_over(s, node);
	int folder;

	if (r || !node->is_device)
		return r;
	folder = block_sysfs_open((dev_t)node->id.device);
	if (folder < 0)
		return 0;
	if (node->look & LOOK_HOLDERS)
		r = add_list(s, folder, "holders", NULL, node->level + 1, LOOK_ABOVE);
	if (r == 0 && (node->look & LOOK_PARTITIONS))
		r = add_list(s, folder, ".", "partition", node->level + 1, LOOK_ABOVE);
	if (r == 0 && (node->look & LOOK_BELOW))
		r = look_below(s, folder, node);
	(void)close(folder);
	return r;
}

/* ---- all ---- */

static int by_level(const void *a, const void *b)
{
	const struct same_blocks_node *left = a, *right = b;

	return (right->level > left->level) - (right->level < left->level);
}

static int begin(struct search *s, int fd)
{
	struct same_blocks_node node = {.fd = fd, .look = LOOK_ABOVE | LOOK_BELOW};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return problem_set(s->problem, -errno, "'%s': %s", s->image, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return problem_set(s->problem, -EINVAL,
			"'%s' is neither a regular file nor a block device", s->image);
	r = loops_find(&s->loops);
	if (r)
		return problem_set(s->problem, r,
			"'%s': the loop devices of this host cannot be looked at: %s%s", s->image,
			strerror(-r), r == -EACCES ? ": this takes root" : "");
	node.id = id_of(&st);
	node.is_device = S_ISBLK(st.st_mode);
	(void)snprintf(node.name, sizeof(node.name), "%.127s", s->image);
	s->blocks->nodes[s->blocks->nr_nodes++] = node;
	return 0;
}

int same_blocks_find(
	int fd, const char *name, struct same_blocks *ret_blocks, struct problem *ret_problem)
{
	struct search s = {.blocks = ret_blocks, .image = name, .problem = ret_problem};
	int r;

	ret_blocks->nr_nodes = 0;
	ret_blocks->image_fd = fd;
	r = begin(&s, fd);
	/* The list is the queue, too: each node is in it once, so this ends. */
	for (unsigned i = 0; r == 0 && i < ret_blocks->nr_nodes; i++)
		r = look_around(&s, &ret_blocks->nodes[i]);
	loops_free(&s.loops);
	if (r) {
		same_blocks_close(ret_blocks);
		return r;
	}
	qsort(ret_blocks->nodes, ret_blocks->nr_nodes, sizeof(ret_blocks->nodes[0]), by_level);
	return 0;
}

void same_blocks_close(struct same_blocks *blocks)
{
	for (unsigned i = 0; i < blocks->nr_nodes; i++)
		if (blocks->nodes[i].fd >= 0 && blocks->nodes[i].fd != blocks->image_fd)
			(void)close(blocks->nodes[i].fd);
	blocks->nr_nodes = 0;
}
