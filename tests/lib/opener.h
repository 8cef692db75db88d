/*
 * A QEMU that has an image open as the emulated disk of a guest does: cache=writeback, through the host's page cache. Either qemu-io, or
 * a PC of qemu-system whose IDE disk it is, told what to read and write over QMP.
 *
 * One thread, which waits for each answer, with a deadline. Owns a child process. On failure a line on standard error says what it said.
 */
#ifndef TESTS_LIB_OPENER_H
#define TESTS_LIB_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum opener_kind {
	OPENER_QEMU_IO,
	OPENER_QEMU_SYSTEM,
};

struct opener {
	enum opener_kind kind;
	pid_t pid;
	int to, from;
	char *answer; /* to the last command: a string */
	size_t length, room;
};

/* It has @path open on return. False: it does not start; nothing is left of it. */
bool opener_start(struct opener *opener, enum opener_kind kind, const char *path)
	__attribute__((nonnull, warn_unused_result));

/* What lies at @offset. False: it failed. */
bool opener_read(struct opener *opener, uint64_t offset, unsigned size_bytes, unsigned char *data)
	__attribute__((nonnull, warn_unused_result));
/* The first @size_bytes of the file @data_path, which has exactly those. */
bool opener_write(struct opener *opener, uint64_t offset, unsigned size_bytes,
	const char *data_path) __attribute__((nonnull, warn_unused_result));
bool opener_flush(struct opener *opener) __attribute__((nonnull, warn_unused_result));

/* It closes the image as it does, or is killed. True if it ended as it should. */
bool opener_end(struct opener *opener, bool is_killed) __attribute__((nonnull));

#endif
