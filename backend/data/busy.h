/*
 * Whether the host's processors are all wanted: by what the kernel says runs or waits to run now, in /proc/loadavg.
 *
 * Any thread asks, after busy_open(); a read of some bytes, which does not wait.
 */
#ifndef BACKEND_DATA_BUSY_H
#define BACKEND_DATA_BUSY_H

#include <stdbool.h>

struct busy {
	int fd; /* owned; -1: it cannot be known */
	unsigned nr_processors;
};

void busy_open(struct busy *busy) __attribute__((nonnull));
void busy_close(struct busy *busy) __attribute__((nonnull));

/* More threads want a processor than there are. True where it cannot be known. */
bool busy_now(const struct busy *busy) __attribute__((nonnull));

/* The same of what /proc/loadavg says: "0.20 0.18 0.12 1/80 11206", as proc(5) has it. */
bool busy_by(const char *loadavg, unsigned nr_processors) __attribute__((nonnull));

#endif
