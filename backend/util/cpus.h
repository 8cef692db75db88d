/*
 * A set of processors, by their numbers: "0-3+8". What stands between two of them is a plus, because a comma ends an option.
 *
 * Any thread.
 */
#ifndef BACKEND_UTIL_CPUS_H
#define BACKEND_UTIL_CPUS_H

#include <sched.h>
#include <stdbool.h>

/* False, and nothing set, for anything but such a list of numbers below CPU_SETSIZE, each range from low to high. */
bool cpus_parse(const char *text, cpu_set_t *ret_set) __attribute__((nonnull, warn_unused_result));

/* This process may run on one of them: it is there, online, and its cpuset's. */
bool cpus_usable(const cpu_set_t *set) __attribute__((nonnull, warn_unused_result));

#endif
