#include "qemu-dm-bridge/ownership/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct rights bytes_rights(enum ownership_access access)
{
	static const struct rights rights_of[] = {
		[OWNERSHIP_READ] = {RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE},
		[OWNERSHIP_WRITE] = {RIGHT_READ | RIGHT_WRITE, RIGHT_WRITE | RIGHT_RESIZE},
		[OWNERSHIP_SHARED_WRITE] = {RIGHT_READ | RIGHT_WRITE, RIGHT_RESIZE},
		[OWNERSHIP_LOOK] = {RIGHT_READ, 0},
	};

	return rights_of[access];
}

static int set(int fd, short type, int start, int length)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int bytes_lock(int fd, int byte)
{
	return set(fd, F_RDLCK, byte, 1);
}

int bytes_lock_rights(int fd, int base, unsigned rights)
{
	int r = 0;

	for (int i = 0; r == 0 && i < NR_RIGHTS; i++)
		if (rights & 1u << i)
			r = bytes_lock(fd, base + i);
	return r;
}

int bytes_unlock(int fd, int byte)
{
	return set(fd, F_UNLCK, byte, 1);
}

void bytes_unlock_all(int fd)
{
	(void)set(fd, F_UNLCK, 0, 0);
}

int bytes_is_locked(int fd, int byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

bool bytes_is_conflict(int error)
{
	return error == -EAGAIN || error == -EACCES;
}

const char *bytes_conflict(int byte)
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
