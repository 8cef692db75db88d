/*
 * Loop devices and partitions for tests, by ioctl: nothing needs to be installed. Root only.
 */
#ifndef TESTS_LIB_BLOCK_DEVICES_H
#define TESTS_LIB_BLOCK_DEVICES_H

#include <stdint.h>

struct loop_device {
	int number; /* -1: none */
	int fd; /* open for reading and writing: what is written stays in the page cache until somebody syncs */
	char path[32];
};

/* A loop device over @fd, that can have partitions, and that goes when nobody has it open any more. 0 or -errno. */
int loop_attach(int fd, struct loop_device *ret_loop);
/* The same over a part of it; length 0 is up to its end. */
int loop_attach_window(
	int fd, uint64_t start_bytes, uint64_t length_bytes, struct loop_device *ret_loop);
/* May be called twice. */
void loop_detach(struct loop_device *loop);

/* A partition of it, and its node opened for reading and writing. The descriptor, or -errno. */
int loop_add_partition(
	const struct loop_device *loop, int number, uint64_t start_bytes, uint64_t length_bytes);

/* "no loop devices" or the like, or NULL if there are some to be had. */
const char *loop_missing(void);

#endif
