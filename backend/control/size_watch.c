#include "backend/control/size_watch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/control/uevent.h"
#include "backend/data/storage.h"

/* What the kernel sends goes to this group; udev's own messages go to another. */
#define GROUP_KERNEL 1

/* Messages taken at one time. Whatever is left makes the descriptor readable again. */
#define MESSAGES_MAX 64

int size_watch_init(struct size_watch *watch)
{
	*watch = (struct size_watch){.source_fd = -1};
	watch->fd = epoll_create1(EPOLL_CLOEXEC);
	return watch->fd < 0 ? -errno : 0;
}

void size_watch_clear(struct size_watch *watch)
{
	/* Closed, it leaves the epoll. */
	if (watch->source_fd >= 0)
		(void)close(watch->source_fd);
	watch->source_fd = -1;
}

void size_watch_fini(struct size_watch *watch)
{
	size_watch_clear(watch);
	if (watch->fd >= 0)
		(void)close(watch->fd);
	watch->fd = -1;
}

/* ---- a regular file ---- */

/*
 * An instance of its own for each connected disk, of which a user has few (fs.inotify.max_user_instances). The file
 * is named by our descriptor: so it is the one that is open, whatever has become of its name.
 */
static int watch_file(struct size_watch *watch, const struct storage *storage)
{
	char name[32];

	watch->source_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->source_fd < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", storage->fd);
	/* Not IN_MODIFY: whoever writes would wake us with every write, the queue too if a kernel tells of its. */
	return inotify_add_watch(watch->source_fd, name, IN_CLOSE_WRITE) < 0 ? -errno : 0;
}

static bool heed_file(const struct size_watch *watch)
{
	char events[4096] __attribute__((aligned(8)));

	/* They all say the same. */
	return read(watch->source_fd, events, sizeof(events)) > 0;
}

/* ---- a block device ---- */

/*
 * Lets in what begins with "change@/". Not for safety but for peace: a guest whose network card comes and goes makes
 * the kernel tell of that too, and each message would wake the workers of all block devices. Without it we only hear
 * more.
 */
static void let_in_changes(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x6368616e, 0, 3), /* "chan" */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x6765402f, 0, 1), /* "ge@/" */
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int watch_device(struct size_watch *watch, const struct storage *storage)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL};

	watch->major = major(storage->identity.number);
	watch->minor = minor(storage->identity.number);
	watch->source_fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (watch->source_fd < 0)
		return -errno;
	let_in_changes(watch->source_fd);
	return bind(watch->source_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno
											: 0;
}

/* Only the kernel has the port 0, and only it may send to its group. */
static bool is_from_kernel(const struct msghdr *header, const struct sockaddr_nl *sender)
{
	return header->msg_namelen == sizeof(*sender) && sender->nl_family == AF_NETLINK &&
	       sender->nl_pid == 0 && sender->nl_groups == GROUP_KERNEL;
}

/* One message. False when there is none; @ret_is_news if it is about us. */
static bool take_message(const struct size_watch *watch, bool *ret_is_news)
{
	char message[UEVENT_MAX];
	struct sockaddr_nl sender = {.nl_pid = UINT32_MAX};
	struct iovec part = {.iov_base = message, .iov_len = sizeof(message)};
	struct msghdr header = {.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &part,
		.msg_iovlen = 1};
	ssize_t n = recvmsg(watch->source_fd, &header, 0);

	/* Some were lost: one of them may have been ours. */
	*ret_is_news = n < 0 && errno == ENOBUFS;
	if (n < 0)
		return *ret_is_news;
	if (is_from_kernel(&header, &sender) && !(header.msg_flags & MSG_TRUNC))
		*ret_is_news = uevent_is_change(message, (size_t)n, watch->major, watch->minor);
	return true;
}

static bool heed_device(const struct size_watch *watch)
{
	bool may_have_changed = false;
	bool is_news;

	for (unsigned i = 0; i < MESSAGES_MAX && take_message(watch, &is_news); i++)
		may_have_changed |= is_news;
	return may_have_changed;
}

/* ---- either ---- */

static int refuse(struct size_watch *watch, int error, struct problem *ret_problem)
{
	size_watch_clear(watch);
	return problem_set(ret_problem, error,
		"a new size of the %s is not heard of, but found every 30 seconds while the guest uses it, or by blkbackctl resize: %s%s",
		watch->is_block_device ? "block device" : "image", strerror(-error),
		error == -EMFILE ? ": raise sysctl fs.inotify.max_user_instances" : "");
}

int size_watch_set(
	struct size_watch *watch, const struct storage *storage, struct problem *ret_problem)
{
	struct epoll_event event = {.events = EPOLLIN};
	int r;

	size_watch_clear(watch);
	watch->is_block_device = storage_is_block_device(storage);
	r = storage_is_block_device(storage) ? watch_device(watch, storage)
					     : watch_file(watch, storage);
	if (r == 0 && epoll_ctl(watch->fd, EPOLL_CTL_ADD, watch->source_fd, &event) < 0)
		r = -errno;
	return r ? refuse(watch, r, ret_problem) : 0;
}

bool size_watch_heed(struct size_watch *watch)
{
	if (watch->source_fd < 0)
		return false;
	return watch->is_block_device ? heed_device(watch) : heed_file(watch);
}
