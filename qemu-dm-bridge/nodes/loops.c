#include "loops.h"

#include <errno.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "block_sysfs.h"

/*
 * The kernel tells what stat() told it of the file below. Of a device's node that is the file system of the node, and the device's
 * number apart. That number is, of a file, 0 (Linux 6.18) or the file system again (5.10).
 */
static struct same_blocks_id below(const struct loop_info64 *info)
{
	if (info->lo_rdevice != 0 && info->lo_rdevice != info->lo_device)
		return (struct same_blocks_id){info->lo_rdevice, 0};
	return (struct same_blocks_id){info->lo_device, info->lo_inode};
}

static struct window window_of(const struct loop_info64 *info)
{
	struct window window = {info->lo_offset, PLACE_END};

	if (info->lo_sizelimit != 0 && info->lo_sizelimit < PLACE_END - info->lo_offset)
		window.end = info->lo_offset + info->lo_sizelimit;
	return window;
}

/* 0; -ENXIO if it has nothing below it, or is gone by now; or another -errno. */
static int ask(dev_t device, struct loop *ret_loop)
{
	struct loop_info64 info;
	char name[64];
	int fd, r;

	r = block_sysfs_open_node(device, name, sizeof(name), &fd);
	if (r)
		return r == -ENODEV ? -ENXIO : r;
	r = ioctl(fd, LOOP_GET_STATUS64, &info) < 0 ? -errno : 0;
	(void)close(fd);
	if (r == 0)
		*ret_loop = (struct loop){device, below(&info), window_of(&info)};
	return r;
}

static int append(struct loops *loops, const struct loop *loop)
{
	struct loop *list = reallocarray(loops->list, loops->nr_loops + 1, sizeof(loops->list[0]));

	if (!list)
		return -ENOMEM;
	loops->list = list;
	loops->list[loops->nr_loops++] = *loop;
	return 0;
}

int loops_find(struct loops *ret_loops)
{
	struct loops loops = {0};
	struct block_list all;
	struct loop loop;
	dev_t device;
	int r = 0;

	block_list_open_all(&all, "loop/backing_file");
	while (r == 0 && block_list_next(&all, &device)) {
		r = ask(device, &loop);
		if (r == 0)
			r = append(&loops, &loop);
		else if (r == -ENXIO)
			r = 0;
	}
	block_list_close(&all);
	if (r)
		loops_free(&loops);
	*ret_loops = loops;
	return r;
}

void loops_free(struct loops *loops)
{
	free(loops->list);
	*loops = (struct loops){0};
}
