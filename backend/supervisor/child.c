#include "backend/supervisor/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xenstore/node.h"
#include "xenstore/path.h"

#define SUFFIX "pid"

/* waitid() by pidfd, by its number: older headers lack the name. */
#define WAIT_PIDFD ((idtype_t)3)

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec from birth */

	return fd < 0 ? -errno : fd;
}

/* ---- names ---- */

void child_name(const struct vbd_path *path, char ret_name[CHILD_NAME_MAX])
{
	(void)snprintf(ret_name, CHILD_NAME_MAX, "%s-%u-%u", path->kind, path->domid, path->devid);
}

bool child_name_parse(const char *file, struct vbd_path *ret_path)
{
	char name[CHILD_NAME_MAX + sizeof(SUFFIX)], path[sizeof(name) + 16];
	char *part[3]; /* what follows the last three separators: domid, devid, suffix */
	int n = snprintf(name, sizeof(name), "%s", file);

	if (n < 0 || (size_t)n >= sizeof(name))
		return false;
	for (int i = 2; i >= 0; i--) {
		part[i] = strrchr(name, i == 2 ? '.' : '-');
		if (!part[i])
			return false;
		*part[i]++ = '\0';
	}
	if (strcmp(part[2], SUFFIX) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "backend/%s/%s/%s", name, part[0], part[1]);
	return vbd_path_parse(path, ret_path) == 0;
}

/* ---- a child of ours ---- */

static int set_up_actions(posix_spawn_file_actions_t *actions)
{
	int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r;
}

/* What we have blocked and ignored must not be so in the worker. */
static int set_up_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, defaults;
	int r;

	(void)sigemptyset(&none);
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &defaults);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return r;
}

static int spawn(char *const argv[], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_up_actions(&actions);
		if (r == 0)
			r = set_up_attributes(&attributes);
		if (r == 0)
			r = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int child_start(char *const argv[], struct child *ret_child, struct problem *ret_problem)
{
	pid_t pid;
	int fd, r = spawn(argv, &pid);

	if (r)
		return problem_set(
			ret_problem, r, "worker '%s' cannot be started: %s", argv[0], strerror(-r));
	fd = open_pidfd(pid);
	if (fd < 0) {
		/* We could not learn of its end. It is our child, so the number is still its. */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return problem_set(ret_problem, fd, "worker %d cannot be watched: %s", (int)pid,
			strerror(-fd));
	}
	*ret_child = (struct child){.pidfd = fd, .pid = pid};
	return 0;
}

/* ---- somebody else's ---- */

/* The pid file's descriptor if somebody holds its lock; -ENOENT when nobody does. */
static int open_held(const char *path)
{
	int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return fd;
		r = -errno;
	} else {
		r = -ENOENT;
	}
	(void)close(fd);
	return r;
}

/* The number in the file, one line. */
static int read_pid(int fd, pid_t *ret_pid)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	uint32_t pid;

	if (n < 2 || (size_t)n == sizeof(text) || text[n - 1] != '\n')
		return -ESRCH;
	text[n - 1] = '\0';
	if (!node_parse_u32(text, 1, INT32_MAX, &pid))
		return -ESRCH;
	*ret_pid = (pid_t)pid;
	return 0;
}

/* Has @pid got the file open that @file is? */
static bool holds(pid_t pid, int file)
{
	char path[32];
	struct stat ours, its;
	bool found = false;
	const struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	if (fstat(file, &ours) == 0)
		while (!found && (entry = readdir(dir)))
			found = fstatat(dirfd(dir), entry->d_name, &its, 0) == 0 &&
				its.st_ino == ours.st_ino && its.st_dev == ours.st_dev;
	(void)closedir(dir);
	return found;
}

static bool has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

/* The pidfd first, the proof after: so the proof is about the process that the pidfd means. */
static int adopt(int file, struct child *ret_child)
{
	struct child child = {.adopted = true};
	int r = read_pid(file, &child.pid);

	if (r)
		return r;
	child.pidfd = open_pidfd(child.pid);
	if (child.pidfd < 0)
		return child.pidfd;
	if (!holds(child.pid, file) || has_ended(child.pidfd)) {
		(void)close(child.pidfd);
		return -ESRCH;
	}
	*ret_child = child;
	return 0;
}

int child_adopt(const char *run_dir, const char *name, struct child *ret_child)
{
	char path[256];
	int r, file, n = snprintf(path, sizeof(path), "%s/%s." SUFFIX, run_dir, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	file = open_held(path);
	if (file < 0)
		return file;
	r = adopt(file, ret_child);
	(void)close(file);
	return r;
}

/* ---- the end ---- */

void child_leave(struct child *child)
{
	if (child->pidfd >= 0)
		(void)close(child->pidfd);
	*child = CHILD_NONE;
}

bool child_reap(struct child *child, enum child_end *ret_end, int *ret_value)
{
	siginfo_t info = {.si_pid = 0};

	if (child->adopted) {
		if (!has_ended(child->pidfd))
			return false;
		*ret_end = CHILD_UNKNOWN;
		*ret_value = 0;
	} else {
		if (waitid(WAIT_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 ||
			info.si_pid == 0)
			return false;
		*ret_end = info.si_code == CLD_EXITED ? CHILD_EXITED : CHILD_KILLED;
		*ret_value = info.si_status;
	}
	child_leave(child);
	return true;
}

int child_signal(const struct child *child, int signal)
{
	if (child->pidfd < 0)
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

bool child_has_file(const char *run_dir, const char *name)
{
	char path[256];
	int n = snprintf(path, sizeof(path), "%s/%s." SUFFIX, run_dir, name);

	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

void child_clean(const char *run_dir, const char *name)
{
	char path[256];
	struct stat ours, there;
	int fd, n = snprintf(path, sizeof(path), "%s/%s." SUFFIX, run_dir, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	/* While we hold it shared nobody takes it; who waits for it notices that the file has gone. */
	if (flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
		ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		(void)unlink(path);
	(void)close(fd);
}
