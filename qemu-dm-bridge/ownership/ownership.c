#include "qemu-dm-bridge/ownership/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "qemu-dm-bridge/nodes/block_sysfs.h"
#include "qemu-dm-bridge/ownership/beside.h"
#include "qemu-dm-bridge/ownership/bytes.h"
#include "qemu-dm-bridge/ownership/claims.h"
#include "qemu-dm-bridge/ownership/lock_holder.h"

/* The first of those bytes that another has; 0: none; or -errno. */
static int first_locked(int fd, int base, unsigned rights)
{
	for (int i = 0; i < NR_RIGHTS; i++) {
		int r = rights & 1u << i ? bytes_is_locked(fd, base + i) : 0;

		if (r)
			return r < 0 ? r : base + i;
	}
	return 0;
}

/* All locks first, then a look at the others': of two that come at once one at least sees the other. */
static int lock_all(int fd, const struct rights *rights, struct problem *problem)
{
	struct lock_holders holders;
	int byte, r = bytes_lock_rights(fd, BYTE_DOES, rights->does);

	if (r == 0)
		r = bytes_lock_rights(fd, BYTE_FORBIDS, rights->forbids);
	byte = r == 0 ? first_locked(fd, BYTE_FORBIDS, rights->does) : r;
	if (byte == 0)
		byte = first_locked(fd, BYTE_DOES, rights->forbids);
	if (bytes_is_conflict(byte))
		return problem_set(
			problem, -EBUSY, "the image is locked as a whole by another program");
	if (byte < 0)
		return problem_set(problem, -ENOLCK,
			"the image's file system has no locks (%s): nobody is kept from using it beside this disk",
			strerror(-byte));
	if (byte == 0)
		return 0;
	(void)lock_holder_find(fd, byte, -1, &holders);
	return problem_set(problem, -EBUSY, "the image is in use by %s, which %s", holders.text,
		bytes_conflict(byte));
}

/* ---- a description to lock on ------------------------------------------------------------------ */

/* Of what @fd is open on, exclusive if it is a block device and @exclusive. */
static int open_again(int fd, bool exclusive)
{
	int again, flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char name[32];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (exclusive && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	again = open(name, flags);
	return again < 0 ? -errno : again;
}

int ownership_take(struct ownership *owner, int image_fd, enum ownership_access access,
	struct problem *ret_problem)
{
	struct rights rights = bytes_rights(access);
	int r = open_again(image_fd, access == OWNERSHIP_WRITE);

	owner->fd = -1;
	owner->nr_beside = 0;
	if (r == -EBUSY)
		return claims_problem(image_fd, "the device", ret_problem);
	if (r < 0)
		return problem_set(
			ret_problem, r, "the image cannot be opened to be owned: %s", strerror(-r));
	owner->fd = r;
	r = lock_all(owner->fd, &rights, ret_problem);
	if (r && r != -ENOLCK)
		ownership_give_up(owner);
	return r;
}

/* ---- the other nodes ---------------------------------------------------------------------------- */

/*
 * Who mounts or stacks something on a node that has nothing but the image's blocks writes the image. A node that has others is claimed by
 * their users, and the kernel claims a partition with its disk.
 */
static bool is_to_be_claimed(const struct same_blocks_node *node, enum ownership_access access)
{
	return access == OWNERSHIP_WRITE && place_is_all(&node->image) && !node->is_cut_from_all;
}

static int cannot_open(const char *name, int error, struct problem *problem)
{
	return problem_set(problem, -ENOLCK,
		"'%.128s', which has blocks of the image, cannot be opened (%s): nobody is kept from using it beside this disk",
		name, strerror(-error));
}

/* How sentences call it. */
struct subject {
	char text[192];
};

static struct subject subject_of(const struct same_blocks_node *node)
{
	struct subject subject;

	(void)snprintf(subject.text, sizeof(subject.text),
		"the device '%.127s', which has the image's blocks,", node->name);
	return subject;
}

static int take_node(struct ownership *owner, const struct same_blocks_node *node,
	enum ownership_access access, struct problem *problem)
{
	struct subject subject = subject_of(node);
	int fd;

	if (node->fd < 0)
		return problem_set(problem, -ENOLCK,
			"'%.128s', which has blocks of the image, cannot be reached by that name: nobody is kept from using it beside this disk",
			node->name);
	fd = open_again(node->fd, is_to_be_claimed(node, access));
	if (fd == -EBUSY)
		return claims_problem(node->fd, subject.text, problem);
	if (fd < 0)
		return cannot_open(node->name, fd, problem);
	owner->beside[owner->nr_beside++] = fd;
	return beside_take(fd, node->name, access, problem);
}

/*
 * Locks are the node's in /dev and not the device's. One that was made elsewhere is another one than that which everybody knows.
 */
static int take_known_node(
	struct ownership *owner, enum ownership_access access, struct problem *problem)
{
	struct same_blocks_node node = {.image = place_all, .is_cut_from_all = true};
	struct stat image, known;
	int r;

	if (fstat(owner->fd, &image) < 0 || !S_ISBLK(image.st_mode))
		return 0;
	r = block_sysfs_open_node(image.st_rdev, node.name, sizeof(node.name), &node.fd);
	if (r == -ENODEV)
		return 0;
	if (r)
		return cannot_open(node.name, r, problem);
	r = fstat(node.fd, &known) < 0 ? -errno : 0;
	if (r == 0 && (known.st_dev != image.st_dev || known.st_ino != image.st_ino))
		r = take_node(owner, &node, access, problem);
	(void)close(node.fd);
	return r;
}

/* Locks are the overlay's inode's; the file of the layer below is another one, and cannot be found from here. */
static int warn_of_layers(int fd, struct problem *problem)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return 0;
	return problem_set(problem, -ENOLCK,
		"the image lies on overlayfs: nobody is kept from using its file in the layer below");
}

int ownership_take_beside(struct ownership *owner, const struct same_blocks *blocks,
	enum ownership_access access, struct problem *ret_problem)
{
	struct problem problem;
	int r, missed = take_known_node(owner, access, ret_problem);

	if (missed == 0)
		missed = warn_of_layers(owner->fd, ret_problem);
	if (missed && missed != -ENOLCK)
		return missed;
	for (unsigned i = 0; i < blocks->nr_nodes; i++) {
		if (blocks->nodes[i].fd == blocks->image_fd)
			continue;
		r = take_node(owner, &blocks->nodes[i], access, &problem);
		if (r && (r != -ENOLCK || !missed))
			*ret_problem = problem;
		if (r && r != -ENOLCK)
			return r;
		missed = r ? r : missed;
	}
	return missed;
}

int ownership_check(const struct same_blocks *blocks, struct problem *ret_problem)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < blocks->nr_nodes; i++) {
		const struct same_blocks_node *node = &blocks->nodes[i];
		bool is_image = node->fd == blocks->image_fd;
		struct subject subject = subject_of(node);

		if (node->fd >= 0 && place_is_all(&node->image))
			r = claims_check(
				node->fd, is_image ? "the device" : subject.text, ret_problem);
	}
	return r;
}

void ownership_give_up(struct ownership *owner)
{
	while (owner->nr_beside > 0)
		(void)close(owner->beside[--owner->nr_beside]);
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
	int byte = bytes_lock(fd, BYTE_LOOKS);

	for (size_t i = 0; byte == 0 && i < sizeof(looks) / sizeof(looks[0]); i++) {
		byte = first_locked(fd, looks[i].base, looks[i].rights);
		if (byte <= 0)
			continue;
		(void)lock_holder_find(fd, byte, -1, &holders);
		return problem_set(
			ret_problem, -EBUSY, "%s, which %s", holders.text, looks[i].text);
	}
	if (bytes_is_conflict(byte))
		return problem_set(
			ret_problem, -EBUSY, "another program, which has locked all of it");
	return byte == 0 ? 0
			 : problem_set(ret_problem, -ENOLCK,
				   "the image's file system has no locks (%s)", strerror(-byte));
}
