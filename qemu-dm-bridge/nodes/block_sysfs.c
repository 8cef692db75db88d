#include "block_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int block_sysfs_open(dev_t device)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(device), minor(device));
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int block_sysfs_text(int folder, const char *name, char *ret_text, size_t size)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret_text, size);
	if (n < 0)
		n = -errno;
	(void)close(fd);
	if (n < 0)
		return (int)n;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	ret_text[n] = '\0';
	if (n > 0 && ret_text[n - 1] == '\n')
		ret_text[n - 1] = '\0';
	return 0;
}

/* A number at @text up to @end, which is moved behind it. */
static int parse(const char *text, const char **ret_end, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	*ret_end = end;
	*ret_number = number;
	return 0;
}

int block_sysfs_number(int folder, const char *name, uint64_t *ret_number)
{
	const char *end = "";
	uint64_t number = 0;
	char text[32];
	int r = block_sysfs_text(folder, name, text, sizeof(text));

	if (r == 0)
		r = parse(text, &end, &number);
	if (r == 0 && *end)
		r = -EINVAL;
	if (r == 0)
		*ret_number = number;
	return r;
}

int block_sysfs_device(int folder, const char *name, dev_t *ret_device)
{
	uint64_t major_number = 0, minor_number = 0;
	const char *end = "";
	char text[32];
	int r = block_sysfs_text(folder, name, text, sizeof(text));

	if (r == 0)
		r = parse(text, &end, &major_number);
	if (r == 0)
		r = *end == ':' ? parse(end + 1, &end, &minor_number) : -EINVAL;
	if (r == 0 && (*end || major_number > UINT_MAX || minor_number > UINT_MAX))
		r = -EINVAL;
	if (r == 0)
		*ret_device = makedev((unsigned)major_number, (unsigned)minor_number);
	return r;
}

int block_sysfs_name(int folder, char *ret_name, size_t size)
{
	static const char key[] = "DEVNAME=";
	char text[1024], *name;
	int r = block_sysfs_text(folder, "uevent", text, sizeof(text));

	if (r)
		return r;
	for (name = text; name && strncmp(name, key, sizeof(key) - 1) != 0;) {
		name = strchr(name, '\n');
		name = name ? name + 1 : NULL;
	}
	if (!name)
		return -ENODEV;
	name += sizeof(key) - 1;
	name[strcspn(name, "\n")] = '\0';
	return snprintf(ret_name, size, "%s", name) < (int)size ? 0 : -ENAMETOOLONG;
}

static int name_of(dev_t device, char *ret_name, size_t size)
{
	char name[NAME_MAX + 1];
	int folder = block_sysfs_open(device);
	int r;

	(void)snprintf(ret_name, size, "block device %u:%u", major(device), minor(device));
	if (folder < 0)
		return -ENODEV;
	r = block_sysfs_name(folder, name, sizeof(name));
	(void)close(folder);
	if (r == 0)
		(void)snprintf(ret_name, size, "/dev/%s", name);
	return r == -ENOENT ? -ENODEV : r;
}

static int open_checked(dev_t device, const char *name, int *ret_fd)
{
	/* A drive without a medium would be waited for. */
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != device) {
		(void)close(fd);
		return -ENOENT;
	}
	*ret_fd = fd;
	return 0;
}

int block_sysfs_open_node(dev_t device, char *ret_name, size_t size, int *ret_fd)
{
	int r = name_of(device, ret_name, size);
	int folder;

	if (r == 0)
		r = open_checked(device, ret_name, ret_fd);
	if (r != -ENOENT)
		return r;
	/* The node goes with its device. */
	folder = block_sysfs_open(device);
	if (folder < 0)
		return -ENODEV;
	(void)close(folder);
	return -ENOENT;
}

/* ---- lists ---- */

void block_list_open(
	struct block_list *ret_list, int folder, const char *name, const char *attribute)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_list = (struct block_list){.attribute = attribute};
	if (fd < 0)
		return;
	ret_list->entries = fdopendir(fd);
	if (!ret_list->entries)
		(void)close(fd);
}

void block_list_open_all(struct block_list *ret_list, const char *attribute)
{
	block_list_open(ret_list, AT_FDCWD, "/sys/block", attribute);
}

/* Of an entry: all that is no device has no "dev". */
static bool is_listed(const struct block_list *list, const char *name, dev_t *ret_device)
{
	int folder = openat(dirfd(list->entries), name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool listed;

	if (folder < 0)
		return false;
	listed = (!list->attribute || faccessat(folder, list->attribute, F_OK, 0) == 0) &&
		 block_sysfs_device(folder, "dev", ret_device) == 0;
	(void)close(folder);
	return listed;
}

bool block_list_next(struct block_list *list, dev_t *ret_device)
{
	struct dirent *entry;

	if (!list->entries)
		return false;
	while ((entry = readdir(list->entries)))
		if (entry->d_name[0] != '.' && is_listed(list, entry->d_name, ret_device))
			return true;
	return false;
}

void block_list_close(struct block_list *list)
{
	if (list->entries)
		(void)closedir(list->entries);
	list->entries = NULL;
}
