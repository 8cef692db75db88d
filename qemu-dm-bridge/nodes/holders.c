#include "holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block_sysfs.h"

/* What is looked for, and what was found. */
struct search {
	struct stat target;
	struct holder *list;
	unsigned max, n;
};

static bool is_device(const struct search *s)
{
	return S_ISBLK(s->target.st_mode);
}

static bool keeps_pages(const struct holder *holder)
{
	return holder->how & (HOLDER_MAPS | HOLDER_MOUNTS);
}

/* Whoever only has it open comes after those, and gives way to them where the list is full. */
static void found(struct search *s, const struct holder *holder)
{
	unsigned i = 0;

	while (i < s->n && (keeps_pages(&s->list[i]) || !keeps_pages(holder)))
		i++;
	if (i == s->max)
		return;
	if (s->n < s->max)
		s->n++;
	memmove(&s->list[i + 1], &s->list[i], (s->n - i - 1) * sizeof(s->list[0]));
	s->list[i] = *holder;
}

/* ---- one process ---- */

/* What a link below /proc/PID leads to, as the kernel has it in memory. */
static bool leads_to_target(const struct search *s, int process, const char *link)
{
	struct statx stx;

	if (syscall(SYS_statx, process, link, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &stx) < 0)
		return false;
	if (is_device(s))
		return S_ISBLK(stx.stx_mode) &&
		       makedev(stx.stx_rdev_major, stx.stx_rdev_minor) == s->target.st_rdev;
	return S_ISREG(stx.stx_mode) && stx.stx_ino == s->target.st_ino &&
	       makedev(stx.stx_dev_major, stx.stx_dev_minor) == s->target.st_dev;
}

/* As much of a file below /proc/PID as there is room for. */
static bool read_head(int process, const char *name, char *ret_text, size_t size)
{
	int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n < 0)
		return false;
	ret_text[n] = '\0';
	return true;
}

static bool field(const char *text, const char *key, int base, uint64_t *ret_number)
{
	const char *at = strstr(text, key);
	char *end;

	if (!at || (at != text && at[-1] != '\n'))
		return false;
	*ret_number = strtoull(at + strlen(key), &end, base);
	return *end == '\n';
}

/* Whether it is worth to look through the descriptor: that may ask a file system. */
static bool may_be_target(const struct search *s, int process, const char *link, const char *info)
{
	char name[16];
	uint64_t inode;
	ssize_t n;

	if (field(info, "ino:\t", 10, &inode) && inode == s->target.st_ino)
		return true;
	n = readlinkat(process, link, name, sizeof(name));
	if (is_device(s))
		return n >= 5 && memcmp(name, "/dev/", 5) == 0;
	return !strstr(info, "\nino:\t") && n >= 1 && name[0] == '/';
}

static unsigned how_open(const struct search *s, int process, const char *descriptor)
{
	char link[NAME_MAX + 16], info[512];
	uint64_t flags;

	(void)snprintf(link, sizeof(link), "fdinfo/%s", descriptor);
	if (!read_head(process, link, info, sizeof(info)))
		return 0;
	(void)snprintf(link, sizeof(link), "fd/%s", descriptor);
	/* O_PATH is no way to the data. */
	if (!field(info, "flags:\t", 8, &flags) || flags & O_PATH)
		return 0;
	if (!may_be_target(s, process, link, info) || !leads_to_target(s, process, link))
		return 0;
	return (flags & O_ACCMODE) == O_RDONLY ? HOLDER_READS : HOLDER_WRITES;
}

static unsigned look_at_descriptors(const struct search *s, int process)
{
	int fd = openat(process, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *descriptors = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned how = 0;

	if (!descriptors) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	while ((entry = readdir(descriptors)))
		if (entry->d_name[0] != '.')
			how |= how_open(s, process, entry->d_name);
	(void)closedir(descriptors);
	return how;
}

/* "start-end perms offset major:minor inode path" */
static bool line_maps_target(const struct search *s, int process, const char *line)
{
	const char *at = line;
	uint64_t major_number, minor_number;
	char *end, link[64];

	for (unsigned i = 0; i < 3; i++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	major_number = strtoull(at, &end, 16);
	if (*end != ':')
		return false;
	minor_number = strtoull(end + 1, &end, 16);
	if (*end != ' ' || strtoull(end, &end, 10) != s->target.st_ino)
		return false;
	if (makedev((unsigned)major_number, (unsigned)minor_number) == s->target.st_dev)
		return true;
	/* File systems that show other device numbers than stat() are told by the mapping itself: btrfs. */
	(void)snprintf(link, sizeof(link), "map_files/%.*s", (int)strcspn(line, " "), line);
	return leads_to_target(s, process, link);
}

static bool maps_target(const struct search *s, int process)
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;
	bool maps_it = false;

	if (!maps) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (!maps_it && getline(&line, &room, maps) > 0)
		maps_it = line_maps_target(s, process, line);
	free(line);
	(void)fclose(maps);
	return maps_it;
}

static void look_at_process(struct search *s, int proc, const char *pid)
{
	struct holder holder = {.pid = (pid_t)strtol(pid, NULL, 10)};
	int process;

	if (holder.pid == getpid())
		return;
	process = openat(proc, pid, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return;
	holder.how = look_at_descriptors(s, process);
	if (maps_target(s, process))
		holder.how |= HOLDER_MAPS;
	if (holder.how && read_head(process, "comm", holder.name, sizeof(holder.name))) {
		holder.name[strcspn(holder.name, "\n")] = '\0';
		found(s, &holder);
	}
	(void)close(process);
}

static int look_at_processes(struct search *s)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			look_at_process(s, dirfd(proc), entry->d_name);
	(void)closedir(proc);
	return 0;
}

/* ---- the kernel ---- */

static void look_at_stack(struct search *s)
{
	int folder = block_sysfs_open(s->target.st_rdev);
	struct block_list list;
	dev_t device;

	if (folder < 0)
		return;
	block_list_open(&list, folder, "holders", NULL);
	while (block_list_next(&list, &device)) {
		struct holder holder = {.how = HOLDER_STACKS};
		int above = block_sysfs_open(device);

		if (above >= 0 && block_sysfs_name(above, holder.name, sizeof(holder.name)) == 0)
			found(s, &holder);
		if (above >= 0)
			(void)close(above);
	}
	block_list_close(&list);
	(void)close(folder);
}

/* "21 1 8:1 / /mnt rw ..." */
static void look_at_mounts(struct search *s)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, number[32];
	size_t room = 0;

	(void)snprintf(number, sizeof(number), "%u:%u ", major(s->target.st_rdev),
		minor(s->target.st_rdev));
	while (mounts && getline(&line, &room, mounts) > 0) {
		struct holder holder = {.how = HOLDER_MOUNTS};
		const char *at = line;

		for (unsigned i = 0; i < 2; i++) {
			at += strcspn(at, " ");
			at += strspn(at, " ");
		}
		if (strncmp(at, number, strlen(number)) != 0)
			continue;
		at += strlen(number);
		at += strcspn(at, " ");
		at += strspn(at, " ");
		(void)snprintf(
			holder.name, sizeof(holder.name), "%.*s", (int)strcspn(at, " \n"), at);
		found(s, &holder);
	}
	free(line);
	if (mounts)
		(void)fclose(mounts);
}

static int find_claims(struct search *s, int fd)
{
	if (fstat(fd, &s->target) < 0)
		return -errno;
	if (is_device(s)) {
		look_at_mounts(s);
		look_at_stack(s);
	}
	return 0;
}

int holders_find_claims(int fd, struct holder *ret_holders, unsigned max, unsigned *ret_n)
{
	struct search s = {.list = ret_holders, .max = max};
	int r = find_claims(&s, fd);

	if (r == 0)
		*ret_n = s.n;
	return r;
}

int holders_find(int fd, struct holder *ret_holders, unsigned max, unsigned *ret_n)
{
	struct search s = {.list = ret_holders, .max = max};
	int r = find_claims(&s, fd);

	if (r == 0)
		r = look_at_processes(&s);
	if (r == 0)
		*ret_n = s.n;
	return r;
}

int holders_of_process(int fd, pid_t pid, unsigned *ret_how)
{
	struct search s = {.n = 0};
	char path[32];
	int r, process;

	*ret_how = 0;
	if (fstat(fd, &s.target) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return errno == ENOENT ? 0 : -errno;
	r = faccessat(process, "fdinfo", R_OK | X_OK, 0) ? -errno : 0;
	if (r == 0)
		*ret_how = look_at_descriptors(&s, process);
	(void)close(process);
	return r == -ENOENT || r == -ESRCH ? 0 : r;
}

/* ---- for people ---- */

static const char *in_words(unsigned how)
{
	if (how & HOLDER_MAPS)
		return "has it mapped";
	if (how & HOLDER_WRITES)
		return "has it open for writing";
	if (how & HOLDER_READS)
		return "has it open for reading";
	return how & HOLDER_MOUNTS ? "mounted" : "lies on it";
}

void holders_text(const struct holder *holders, unsigned n, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		const struct holder *h = &holders[i];
		char one[160], pid[24] = "";

		if (h->pid)
			(void)snprintf(pid, sizeof(pid), "pid %d, ", (int)h->pid);
		(void)snprintf(one, sizeof(one), "%s%s (%s%s)", i ? ", " : "", h->name, pid,
			in_words(h->how));
		if (used + strlen(one) >= size)
			return;
		(void)snprintf(ret_text + used, size - used, "%s", one);
		used += strlen(one);
	}
}
