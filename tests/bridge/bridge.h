/*
 * What the tests of the page cache share: a folder whose files have a page cache and direct I/O as on a host, files and their
 * pages, and a process that holds something.
 */
#ifndef TESTS_BRIDGE_BRIDGE_H
#define TESTS_BRIDGE_BRIDGE_H

#include <stdint.h>
#include <sys/types.h>

#include "qemu-dm-bridge/pagecache/cached.h"

#define BLOCK 4096u
#define MIB   (1u << 20)

/* 0, or -1 if there is no such folder: then the test is skipped. */
int scratch_make(void);
void scratch_remove(void);
/* The path of a file in it; a few of them are good at a time. */
const char *in_scratch(const char *name);
/* A new file of holes, open for reading and writing. */
int scratch_file(const char *name, uint64_t size_bytes);

/* Fill with @byte, through the page cache. */
void fill(int fd, uint64_t offset, uint64_t length, int byte);
/* The same until the kernel, which may write at any time, has left all of it dirty. */
void fill_dirty(int fd, uint64_t offset, uint64_t length, int byte);
/* Bring all of it into the page cache. */
void read_all(int fd);
/* The byte that a block is full of as direct I/O on @path sees it; -1 if it is not full of one. */
int byte_on_medium(const char *path, uint64_t offset);
/* What the page cache holds. */
struct cached cached_now(int fd);

/* A process of its own called "holder-of-it", that has run @prepare and lives until it is told to end. */
struct child {
	pid_t pid;
	int to;
};
struct child child_hold(void (*prepare)(void *arg), void *arg);
void child_end(struct child *child);
/* For @prepare: map what is called @path, and touch its first pages. */
void map_path(void *path);

#endif
