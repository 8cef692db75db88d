#include "backend/data/filesystem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The id of the mount that @fd lies on, followed by a blank, as lines of mountinfo begin. */
static bool mount_id(int fd, char *ret_id, size_t size)
{
	char path[40], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *info;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	while (info && !found && getline(&line, &room, info) > 0) {
		found = strncmp(line, "mnt_id:\t", 8) == 0;
		if (found)
			(void)snprintf(
				ret_id, size, "%.*s ", (int)strcspn(line + 8, "\n"), line + 8);
	}
	if (info)
		(void)fclose(info);
	free(line);
	return found;
}

/* The type mountinfo has for @fd: "21 1 0:20 / /mnt rw - TYPE source options". */
static bool mounted_type(int fd, char ret_type[FILESYSTEM_NAME_MAX])
{
	char id[16], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *mounts;

	if (!mount_id(fd, id, sizeof(id)))
		return false;
	mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts && !found && getline(&line, &room, mounts) > 0) {
		const char *type = strstr(line, " - ");

		found = type && strncmp(line, id, strlen(id)) == 0;
		if (found)
			(void)snprintf(ret_type, FILESYSTEM_NAME_MAX, "%.*s",
				(int)strcspn(type + 3, " "), type + 3);
	}
	if (mounts)
		(void)fclose(mounts);
	free(line);
	return found;
}

void filesystem_name(int fd, char ret_name[FILESYSTEM_NAME_MAX])
{
	if (fd < 0 || !mounted_type(fd, ret_name))
		(void)snprintf(ret_name, FILESYSTEM_NAME_MAX, "its file system");
}
