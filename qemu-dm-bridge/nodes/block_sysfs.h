/*
 * What sysfs knows of a block device: its attributes, lists of others, and the way to its node.
 *
 * Any thread; reads below /sys, and opens a device only where that is asked for; never logs. Devices come and go: one that is gone in the middle is left out.
 */
#ifndef BRIDGE_NODES_BLOCK_SYSFS_H
#define BRIDGE_NODES_BLOCK_SYSFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The folder of a device, to be closed, or -errno. */
int block_sysfs_open(dev_t device) __attribute__((warn_unused_result));

/* An attribute without its line end. 0 or -errno: -ENAMETOOLONG if there is no room for all of it. */
int block_sysfs_text(int folder, const char *name, char *ret_text, size_t size)
	__attribute__((nonnull, warn_unused_result));

/* An attribute that is a number, or a device's "major:minor". 0 or -errno: -EINVAL if it is neither. */
int block_sysfs_number(int folder, const char *name, uint64_t *ret_number)
	__attribute__((nonnull, warn_unused_result));
int block_sysfs_device(int folder, const char *name, dev_t *ret_device)
	__attribute__((nonnull, warn_unused_result));

/* The name of its node below /dev, "loop0" or "mapper/x", as the kernel made it. 0, or -ENODEV if it has none (hidden ones). */
int block_sysfs_name(int folder, char *ret_name, size_t size)
	__attribute__((nonnull, warn_unused_result));

/*
 * Open the node of a block device for reading. 0 or -errno: -ENODEV if the device is gone, or hidden (it has no node then),
 * -ENOENT if it is there and its node is not, or the node is another one's. The name is written in any case, for sentences.
 */
int block_sysfs_open_node(dev_t device, char *ret_name, size_t size, int *ret_fd)
	__attribute__((nonnull, warn_unused_result));

/* A list of devices: holders, slaves, partitions, all of the host. */
struct block_list {
	DIR *entries; /* NULL: an empty one */
	const char *attribute;
};

/* The entries of @name in @folder that have @attribute (NULL: any). One that cannot be read is an empty one. */
void block_list_open(struct block_list *ret_list, int folder, const char *name,
	const char *attribute) __attribute__((nonnull(1, 3)));
void block_list_open_all(struct block_list *ret_list, const char *attribute)
	__attribute__((nonnull(1)));
/* The next one; false at the end. */
bool block_list_next(struct block_list *list, dev_t *ret_device) __attribute__((nonnull));
void block_list_close(struct block_list *list) __attribute__((nonnull));

#endif
