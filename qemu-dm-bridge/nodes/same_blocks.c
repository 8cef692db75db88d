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

/* Of sysfs. */
#define SECTOR_SIZE 512u
#define SECTORS_MAX (UINT64_MAX / SECTOR_SIZE)

/* While it lasts. */
struct search {
	struct same_blocks *blocks;
	struct loops loops;
	const char *image;
	struct problem *problem;
};

bool same_blocks_same(const struct same_blocks_id *a, const struct same_blocks_id *b)
{
	return a->device == b->device && a->inode == b->inode;
}

struct same_blocks_id same_blocks_id_of(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct same_blocks_id){st->st_rdev, 0};
	return (struct same_blocks_id){st->st_dev, st->st_ino};
}

/* ---- one more node ---- */

static struct same_blocks_node *known(struct same_blocks *blocks, const struct same_blocks_id *id)
{
	for (unsigned i = 0; i < blocks->nr_nodes; i++)
		if (same_blocks_same(&blocks->nodes[i].id, id))
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

static int add_device(struct search *s, dev_t device, const struct same_blocks_node *template)
{
	struct same_blocks_node node = *template;
	int r;

	node.id = (struct same_blocks_id){device, 0};
	node.is_device = true;
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
		found = same_blocks_id_of(&st);
		if (same_blocks_same(&found, id))
			return fd;
	}
	(void)close(fd);
	return -1;
}

static int add_file(struct search *s, const char *path, const struct same_blocks_id *id,
	const struct same_blocks_node *template)
{
	struct same_blocks_node node = *template;
	int r;

	node.id = *id;

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

/* Holders and slaves: what of them is the image's is not known. */
static int add_list(
	struct search *s, int folder, const char *name, const struct same_blocks_node *template)
{
	struct block_list list;
	dev_t device;
	int r = 0;

	block_list_open(&list, folder, name, NULL);
	while (r == 0 && block_list_next(&list, &device))
		r = add_device(s, device, template);
	block_list_close(&list);
	return r;
}

static int add_loops_over(struct search *s, const struct same_blocks_node *node)
{
	struct same_blocks_node above = {.level = node->level + 1, .look = LOOK_ABOVE};
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->loops.nr_loops; i++) {
		const struct loop *loop = &s->loops.list[i];

		if (!same_blocks_same(&loop->below, &node->id))
			continue;
		above.image = place_above(&node->image, &loop->window);
		if (!place_is_empty(&above.image))
			r = add_device(s, loop->device, &above);
	}
	return r;
}

static int add_below_loop(struct search *s, int folder, const struct same_blocks_node *node)
{
	struct same_blocks_node below = {.level = node->level - 1};
	char path[PATH_MAX];

	for (size_t i = 0; i < s->loops.nr_loops; i++) {
		const struct loop *loop = &s->loops.list[i];

		if (loop->device != node->id.device)
			continue;
		below.image = place_below(&node->image, &loop->window);
		below.look = LOOK_BELOW | LOOK_PARTITIONS;
		if (loop->below.inode == 0)
			return add_device(s, loop->below.device, &below);
		if (block_sysfs_text(folder, "loop/backing_file", path, sizeof(path)))
			(void)snprintf(path, sizeof(path), "the file below %s", node->name);
		return add_file(s, path, &loop->below, &below);
	}
	return 0;
}

/* Of a partition. One that sysfs does not tell may be anything. */
static void window_of(int folder, struct window *ret_window)
{
	uint64_t start, nr_sectors;

	*ret_window = (struct window){0, PLACE_END};
	if (block_sysfs_number(folder, "start", &start) ||
		block_sysfs_number(folder, "size", &nr_sectors) || start > SECTORS_MAX ||
		nr_sectors > SECTORS_MAX - start)
		return;
	*ret_window = (struct window){start * SECTOR_SIZE, (start + nr_sectors) * SECTOR_SIZE};
}

/* In which there is some of the image: not those beside it. */
static int add_partition(struct search *s, dev_t device, const struct same_blocks_node *disk)
{
	struct same_blocks_node partition = {.level = disk->level + 1,
		.look = LOOK_ABOVE,
		.is_cut_from_all = place_is_all(&disk->image)};
	int folder = block_sysfs_open(device);
	struct window window;

	if (folder < 0)
		return 0;
	window_of(folder, &window);
	(void)close(folder);
	partition.image = place_above(&disk->image, &window);
	return place_is_empty(&partition.image) ? 0 : add_device(s, device, &partition);
}

static int add_partitions(struct search *s, int folder, const struct same_blocks_node *disk)
{
	struct block_list list;
	dev_t device;
	int r = 0;

	block_list_open(&list, folder, ".", "partition");
	while (r == 0 && block_list_next(&list, &device))
		r = add_partition(s, device, disk);
	block_list_close(&list);
	return r;
}

static int add_disk_of_partition(struct search *s, int folder, const struct same_blocks_node *node)
{
	struct same_blocks_node below = {
		.level = node->level - 1, .look = LOOK_BELOW | LOOK_PARTITIONS};
	int disk = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct window window;
	dev_t device;
	int r;

	if (disk < 0)
		return 0;
	r = block_sysfs_device(disk, "dev", &device);
	(void)close(disk);
	if (r)
		return 0;
	window_of(folder, &window);
	below.image = place_below(&node->image, &window);
	return add_device(s, device, &below);
}

static int look_below(struct search *s, int folder, const struct same_blocks_node *node)
{
	struct same_blocks_node slave = {.level = node->level - 1,
		.image = place_unknown,
		.look = LOOK_BELOW | LOOK_PARTITIONS};
	int r = add_list(s, folder, "slaves", &slave);

	if (r == 0)
		r = add_below_loop(s, folder, node);
	if (r == 0 && faccessat(folder, "partition", F_OK, 0) == 0)
		r = add_disk_of_partition(s, folder, node);
	return r;
}

static int look_above(struct search *s, int folder, const struct same_blocks_node *node)
{
	struct same_blocks_node holder = {
		.level = node->level + 1, .image = place_unknown, .look = LOOK_ABOVE};
	int r = 0;

	if (node->look & LOOK_HOLDERS)
		r = add_list(s, folder, "holders", &holder);
	if (r == 0 && (node->look & LOOK_PARTITIONS))
		r = add_partitions(s, folder, node);
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
	r = look_above(s, folder, node);
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
	struct same_blocks_node node = {
		.fd = fd, .image = place_all, .look = LOOK_ABOVE | LOOK_BELOW};
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
	node.id = same_blocks_id_of(&st);
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
