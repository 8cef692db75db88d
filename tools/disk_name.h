/*
 * What an operator may call a virtual disk, and what it is called in lists.
 *
 *   5/51712    5/xvda                       domain, and number or name of the device; any kind
 *   vbd-5-51712                             as lists, logs and files in the run directory have it
 *   backend/vbd/5/51712                     the backend directory, also below /local/domain/<domid>/
 *
 * Any thread; pure functions.
 */
#ifndef TOOLS_DISK_NAME_H
#define TOOLS_DISK_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_KIND_MAX   16 /* terminator included, as in xenstore/path.h */
#define DISK_NAME_MAX   64
#define DEVICE_NAME_MAX 16

struct disk_name {
	char kind[DISK_KIND_MAX]; /* "" when it was not said */
	uint32_t domid;
	uint32_t devid;
};

/* -EINVAL for anything but the forms above. */
int disk_name_parse(const char *text, struct disk_name *ret_name)
	__attribute__((nonnull, warn_unused_result));

/* The middle form alone, which names exactly one disk. */
int disk_name_parse_exact(const char *text, struct disk_name *ret_name)
	__attribute__((nonnull, warn_unused_result));

/* True if @wanted, whose kind may be missing, means @name. */
bool disk_name_matches(const struct disk_name *wanted, const struct disk_name *name)
	__attribute__((nonnull));

/* For sorting: by domain, device, kind. */
int disk_name_compare(const struct disk_name *a, const struct disk_name *b)
	__attribute__((nonnull));

/*
 * The number of "xvda", "xvdb3", "sda1", "hdc" or "51712", by the rules of vbd-interface(7). -EINVAL
 * when it has none.
 */
int device_parse(const char *text, uint32_t *ret_devid)
	__attribute__((nonnull, warn_unused_result));

/* The usual name of a number; the number itself when it has no name. */
void device_name(uint32_t devid, char buf[DEVICE_NAME_MAX]) __attribute__((nonnull));

#endif
