#include "qemu-dm-bridge/ownership/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu-dm-bridge/ownership/lock_holder.h"

/* QEMU's RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE, and its numbers of what may be done. */
#define BYTE_DOES    100
#define BYTE_FORBIDS 200
/* Of no meaning to QEMU or us: with a lock of its own a descriptor tells what the kernel calls the file (lock_holder.c). */
#define BYTE_NAME    300
#define NR_RIGHTS    4u
#define RIGHT_READ   1u
#define RIGHT_WRITE  2u
#define RIGHT_RESIZE 8u

struct rights {
	unsigned does, forbids; /* bits RIGHT_* */
};

static const struct rights rights_of[] = {
	[OWNERSHIP_READ] = {RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE},
	[OWNERSHIP_WRITE] = {RIGHT_READ | RIGHT_WRITE, RIGHT_WRITE | RIGHT_RESIZE},
	[OWNERSHIP_LOOK] = {RIGHT_READ, 0},
	[OWNERSHIP_SHARED_WRITE] = {RIGHT_READ | RIGHT_WRITE, RIGHT_RESIZE},
};

/* ---- bytes ------------------------------------------------------------------------------------ */

static int lock_byte(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 1 if another description has it. */
static int is_locked(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

static int lock_rights(int fd, off_t base, unsigned rights)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < NR_RIGHTS; i++)
		if (rights & 1u << i)
			r = lock_byte(fd, base + i);
	return r;
}

/* The first of those bytes that another has; 0: none; or -errno. */
static int first_locked(int fd, int base, unsigned rights)
{
	for (unsigned i = 0; i < NR_RIGHTS; i++) {
		int r = rights & 1u << i ? is_locked(fd, base + (off_t)i) : 0;

		if (r)
			return r < 0 ? r : base + (int)i;
	}
	return 0;
}

/* ---- one owner -------------------------------------------------------------------------------- */

static const char *conflict(int byte)
{
	switch (byte) {
	case BYTE_DOES + 1:
		return "writes it";
	case BYTE_DOES + 3:
		return "changes its size";
	case BYTE_FORBIDS:
		return "lets nobody read it";
	default:
		return "lets nobody write it";
	}
}

/* All locks first, then a look at the others': of two that come at once one at least sees the other. */
static int lock_all(int fd, const struct rights *rights, struct problem *problem)
{
	struct lock_holders holders;
	int byte, r = lock_rights(fd, BYTE_DOES, rights->does);

	if (r == 0)
		r = lock_rights(fd, BYTE_FORBIDS, rights->forbids);
	byte = r == 0 ? first_locked(fd, BYTE_FORBIDS, rights->does) : r;
	if (byte == 0)
		byte = first_locked(fd, BYTE_DOES, rights->forbids);
	if (byte == -EAGAIN || byte == -EACCES)
		return problem_set(
			problem, -EBUSY, "the image is locked as a whole by another program");
	if (byte < 0)
		return problem_set(problem, -ENOLCK,
			"the image's file system has no locks (%s): nobody is kept from using it beside this disk",
			strerror(-byte));
	if (byte == 0)
		return 0;
	lock_holder_find(fd, byte, &holders);
	return problem_set(problem, -EBUSY, "the image is in use by %s, which %s", holders.text,
		conflict(byte));
}

static int claim(int image_fd, enum ownership_access access, struct problem *problem)
{
	char name[32];
	struct stat st;
	int fd, flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	if (fstat(image_fd, &st) < 0)
		return problem_set(problem, -errno, "the image: %s", strerror(errno));
	if (S_ISBLK(st.st_mode) && access == OWNERSHIP_WRITE)
		flags |= O_EXCL;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", image_fd);
	fd = open(name, flags);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return problem_set(problem, -EBUSY,
			"the device is in use: it, or a part of it, is mounted, has a volume or an array on it, or another disk writes it (lsblk shows the first three)");
	return problem_set(
		problem, -errno, "the image cannot be opened to be owned: %s", strerror(errno));
}

int ownership_take(struct ownership *owner, int image_fd, enum ownership_access access,
	struct problem *ret_problem)
{
	int r;

	owner->fd = claim(image_fd, access, ret_problem);
	if (owner->fd < 0) {
		r = owner->fd;
		owner->fd = -1;
		return r;
	}
	r = lock_all(owner->fd, &rights_of[access], ret_problem);
	if (r && r != -ENOLCK)
		ownership_give_up(owner);
	return r;
}

void ownership_give_up(struct ownership *owner)
{
	if (owner->fd >= 0)
		(void)close(owner->fd);
	owner->fd = -1;
}

/* Whoever writes first: that one matters most. */
int ownership_look(int fd, struct problem *ret_problem)
{
	static const struct {
		int base;
		unsigned rights;
		const char *text;
	} looks[] = {
		{BYTE_DOES, RIGHT_WRITE, "writes it"},
		{BYTE_DOES, RIGHT_READ | RIGHT_RESIZE, "reads it"},
		{BYTE_FORBIDS, RIGHT_READ | RIGHT_WRITE | RIGHT_RESIZE, "has it open"},
	};
	struct lock_holders holders;
	int byte = lock_byte(fd, BYTE_NAME);

	for (size_t i = 0; byte == 0 && i < sizeof(looks) / sizeof(looks[0]); i++) {
		byte = first_locked(fd, looks[i].base, looks[i].rights);
		if (byte <= 0)
			continue;
		lock_holder_find(fd, byte, &holders);
		return problem_set(
			ret_problem, -EBUSY, "%s, which %s", holders.text, looks[i].text);
	}
	if (byte == -EAGAIN || byte == -EACCES)
		return problem_set(
			ret_problem, -EBUSY, "another program, which has locked all of it");
	return byte == 0 ? 0
			 : problem_set(ret_problem, -ENOLCK,
				   "the image's file system has no locks (%s)", strerror(-byte));
}
