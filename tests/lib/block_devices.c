#include "tests/lib/block_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int configure(int number, int fd, uint64_t start_bytes, uint64_t length_bytes,
	struct loop_device *ret_loop)
{
	/* It goes when it is closed: by a test that fails, too. */
	struct loop_config config = {.fd = (unsigned)fd,
		.info.lo_flags = LO_FLAGS_PARTSCAN | LO_FLAGS_AUTOCLEAR,
		.info.lo_offset = start_bytes,
		.info.lo_sizelimit = length_bytes};
	struct loop_device loop = {.number = number};
	int r;

	(void)snprintf(loop.path, sizeof(loop.path), "/dev/loop%d", number);
	loop.fd = open(loop.path, O_RDWR | O_CLOEXEC);
	if (loop.fd < 0)
		return -errno;
	if (ioctl(loop.fd, LOOP_CONFIGURE, &config) == 0) {
		*ret_loop = loop;
		return 0;
	}
	r = -errno;
	(void)close(loop.fd);
	return r;
}

int loop_attach_window(
	int fd, uint64_t start_bytes, uint64_t length_bytes, struct loop_device *ret_loop)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int r = control < 0 ? -errno : -EBUSY;

	*ret_loop = (struct loop_device){.number = -1, .fd = -1};
	/* A free one may be another test's by now. */
	for (unsigned i = 0; i < 100 && r == -EBUSY; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		r = number < 0 ? -errno
			       : configure(number, fd, start_bytes, length_bytes, ret_loop);
	}
	if (control >= 0)
		(void)close(control);
	return r;
}

int loop_attach(int fd, struct loop_device *ret_loop)
{
	return loop_attach_window(fd, 0, 0, ret_loop);
}

void loop_detach(struct loop_device *loop)
{
	if (loop->fd >= 0)
		(void)close(loop->fd);
	loop->fd = -1;
}

int loop_add_partition(
	const struct loop_device *loop, int number, uint64_t start_bytes, uint64_t length_bytes)
{
	struct blkpg_partition partition = {
		.start = (long long)start_bytes, .length = (long long)length_bytes, .pno = number};
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(partition), .data = &partition};
	char path[48];
	int fd;

	if (ioctl(loop->fd, BLKPG, &arg) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "%sp%d", loop->path, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const char *loop_missing(void)
{
	struct loop_device loop;
	int fd, r;

	if (geteuid() != 0)
		return "only root can set up loop devices";
	fd = memfd_create("loop", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 1 << 20) < 0)
		return "no memory file";
	r = loop_attach(fd, &loop);
	(void)close(fd);
	loop_detach(&loop);
	return r ? "no loop device to be had" : NULL;
}
