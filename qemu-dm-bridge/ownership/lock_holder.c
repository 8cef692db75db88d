#include "qemu-dm-bridge/ownership/lock_holder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_NAMED 3u
/* "fe:00:10955037" */
#define FILE_NAME_MAX 48

/* What a line "lock: 1: OFDLCK ADVISORY READ -1 fe:00:10955037 100 101" says. */
struct lock_line {
	char file[FILE_NAME_MAX];
	long long first, last; /* -1: up to the end */
};

enum word {
	WORD_LOCK,
	WORD_KIND = 2,
	WORD_FILE = 6,
	WORD_FIRST,
	WORD_LAST,
	WORD_COUNT,
};

static bool parse(char *line, struct lock_line *ret)
{
	char *word[WORD_COUNT], *next;
	unsigned n = 0;

	while (n < WORD_COUNT && (next = strsep(&line, " \t\n")))
		if (*next)
			word[n++] = next;
	if (n < WORD_COUNT || strcmp(word[WORD_LOCK], "lock:") != 0 ||
		strcmp(word[WORD_KIND], "OFDLCK") != 0)
		return false;
	(void)snprintf(ret->file, sizeof(ret->file), "%s", word[WORD_FILE]);
	ret->first = strtoll(word[WORD_FIRST], NULL, 10);
	ret->last = strcmp(word[WORD_LAST], "EOF") == 0 ? -1 : strtoll(word[WORD_LAST], NULL, 10);
	return true;
}

static bool has_byte(const struct lock_line *lock, int byte)
{
	return lock->first <= byte && (lock->last < 0 || byte <= lock->last);
}

/* What the kernel calls the file: the numbers that stat() has may be others, as on btrfs. */
static bool name_of_file(int fd, char name[FILE_NAME_MAX])
{
	char path[48], line[160];
	struct lock_line lock;
	bool found = false;
	FILE *info;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (!found && fgets(line, sizeof(line), info))
		found = parse(line, &lock);
	(void)fclose(info);
	if (found)
		memcpy(name, lock.file, FILE_NAME_MAX);
	return found;
}

/* What is looked for. */
struct wanted {
	char file[FILE_NAME_MAX];
	int byte, but_byte;
};

static bool descriptor_holds(const char *path, const struct wanted *wanted)
{
	char line[160];
	struct lock_line lock;
	bool found = false, excepted = false;
	FILE *info = fopen(path, "re");

	if (!info)
		return false;
	while (fgets(line, sizeof(line), info)) {
		if (!parse(line, &lock) || strcmp(lock.file, wanted->file) != 0)
			continue;
		found |= has_byte(&lock, wanted->byte);
		excepted |= wanted->but_byte >= 0 && has_byte(&lock, wanted->but_byte);
	}
	(void)fclose(info);
	return found && !excepted;
}

/* By any descriptor, but of ours not by @but. */
static bool process_holds(const char *pid, const struct wanted *wanted, const char *but)
{
	char path[600];
	struct dirent *entry;
	bool found = false;
	bool is_self = strtol(pid, NULL, 10) == getpid();
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (is_self && strcmp(entry->d_name, but) == 0))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, entry->d_name);
		found = descriptor_holds(path, wanted);
	}
	(void)closedir(dir);
	return found;
}

static void add(struct lock_holders *holders, const char *pid)
{
	char path[300], name[32] = "";
	size_t used = strlen(holders->text);
	FILE *comm;

	(void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	comm = fopen(path, "re");
	if (comm) {
		if (fgets(name, sizeof(name), comm))
			name[strcspn(name, "\n")] = '\0';
		(void)fclose(comm);
	}
	(void)snprintf(holders->text + used, sizeof(holders->text) - used, "%sprocess %s (%s)",
		used ? " and " : "", pid, name);
}

unsigned lock_holder_find(int fd, int byte, int but_byte, struct lock_holders *ret_holders)
{
	struct wanted wanted = {.byte = byte, .but_byte = but_byte};
	char but[16];
	struct dirent *entry;
	unsigned n = 0;
	DIR *proc = opendir("/proc");

	(void)snprintf(but, sizeof(but), "%d", fd);
	ret_holders->text[0] = '\0';
	if (proc && name_of_file(fd, wanted.file))
		while (n < NR_NAMED && (entry = readdir(proc)))
			if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
				process_holds(entry->d_name, &wanted, but)) {
				add(ret_holders, entry->d_name);
				n++;
			}
	if (proc)
		(void)closedir(proc);
	if (n == 0)
		(void)snprintf(ret_holders->text, sizeof(ret_holders->text),
			"another program, which cannot be seen from here");
	return n;
}
