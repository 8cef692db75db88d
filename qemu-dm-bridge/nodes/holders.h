/*
 * Who has a file or block device open, mapped, mounted or below a device of his: for the sentence that says why its pages stay.
 *
 * Any thread; the caller's memory; never logs. A look at this moment, as far as our rights go: all of it as root. Processes that end
 * meanwhile are left out, and so is our own.
 *
 * It must not wait for somebody else's dead storage: descriptors are compared by the inode number in /proc/PID/fdinfo (Linux 5.14),
 * which asks no file system. Only where that is the same the file is looked at through /proc/PID/fd, without asking a server
 * (AT_STATX_DONT_SYNC). Before 5.14 every open file is looked at so. A block device open by another node than ours is known by
 * its number if that node is below /dev, else not seen. Mappings are lines of /proc/PID/maps: reading them waits for a process that is
 * just changing its own. Mounts are those of our own mount namespace.
 */
#ifndef BRIDGE_NODES_HOLDERS_H
#define BRIDGE_NODES_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

enum {
	HOLDER_READS = 1,
	HOLDER_WRITES = 2,
	HOLDER_MAPS = 4,
	HOLDER_MOUNTS = 8,  /* a file system: pid is 0, the name is where */
	HOLDER_STACKS = 16, /* a device over it: pid is 0, the name is the device's */
};

struct holder {
	pid_t pid;
	unsigned how;
	char name[64]; /* of a process, its comm; cut */
};

/* Those of @fd, @max at most, those that map it first. 0 or -errno; processes that cannot be looked at are no error. */
int holders_find(int fd, struct holder *ret_holders, unsigned max, unsigned *ret_n)
	__attribute__((nonnull, warn_unused_result));

/*
 * How process @pid, and it alone, has the file or device of @fd open: HOLDER_READS and HOLDER_WRITES; 0: not at all, or there is no such process. 0;
 * or -errno, when it cannot be looked at.
 */
int holders_of_process(int fd, pid_t pid, unsigned *ret_how)
	__attribute__((nonnull, warn_unused_result));

/* Only those whom the kernel lets have a device for themselves: mounts and devices stacked on it, none of them a process. */
int holders_find_claims(int fd, struct holder *ret_holders, unsigned max, unsigned *ret_n)
	__attribute__((nonnull, warn_unused_result));

/* "qemu-system-i38 (pid 12, has it mapped), /mnt (mounted)": as many as there is room for. "" if there are none. */
void holders_text(const struct holder *holders, unsigned n, char *ret_text, size_t size)
	__attribute__((nonnull));

#endif
