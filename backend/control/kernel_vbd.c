#include "backend/control/kernel_vbd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/util/problem.h"
#include "xenstore/path.h"

#define BUS       "/sys/bus/xen-backend"
#define DRIVER    BUS "/drivers/vbd"
#define UNBIND    DRIVER "/unbind"
#define AUTOPROBE BUS "/drivers_autoprobe"

/* "vbd-5-51712", as the kernel calls the disk. */
#define NAME_MAX_LEN 32

bool kernel_vbd_is_rival(const struct vbd_path *id)
{
	return strcmp(id->kind, "vbd") == 0;
}

static void name_of(const struct vbd_path *id, char ret_name[NAME_MAX_LEN])
{
	(void)snprintf(ret_name, NAME_MAX_LEN, "vbd-%u-%u", id->domid, id->devid);
}

static bool is_there(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

bool kernel_vbd_is_bound(const struct vbd_path *id)
{
	char name[NAME_MAX_LEN], path[128];

	if (!kernel_vbd_is_rival(id))
		return false;
	name_of(id, name);
	(void)snprintf(path, sizeof(path), BUS "/devices/%s/driver", name);
	return is_there(path);
}

bool kernel_vbd_is_coming(const struct vbd_path *id)
{
	char probes = '1';
	int fd;

	if (!kernel_vbd_is_rival(id) || !is_there(DRIVER))
		return false;
	fd = open(AUTOPROBE, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!read(fd, &probes, 1);
		(void)close(fd);
	}
	return probes != '0';
}

/*
 * The file is not there while the module is being loaded. By stdio: of a file of sysfs that is as
 * good, and the simulator can play the kernel behind it.
 */
static int write_unbind(const char *name)
{
	FILE *file;
	int r = 0;

	if (!is_there(UNBIND))
		return -EAGAIN;
	file = fopen(UNBIND, "we");
	if (!file)
		return -errno;
	if (fputs(name, file) < 0)
		r = -errno;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

int kernel_vbd_unbind(const struct vbd_path *id, struct problem *ret_problem)
{
	char name[NAME_MAX_LEN];
	int r;

	name_of(id, name);
	r = write_unbind(name);
	/* Somebody else's hand may have been faster: then there is nothing to complain about. */
	if (!kernel_vbd_is_bound(id))
		return 0;
	return problem_set(ret_problem, r ? r : -EBUSY,
		"the kernel's xen-blkback has this disk and does not let go of it ('%s' written to " UNBIND
		": %s): detach the disk, unload the module (modprobe -r xen-blkback), keep it from being loaded (blkback-modprobe.conf in /etc/modprobe.d), and attach the disk again",
		name,
		r == -EAGAIN ? "no such file"
		: r          ? strerror(-r)
			     : "without effect");
}
