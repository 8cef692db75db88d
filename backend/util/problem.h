/*
 * One sentence for a person: what failed, on which object, what to do. Filled in where the failure
 * is understood, written to the log and to hotplug-error by whoever decides what becomes of it.
 *
 * Any thread; the caller's memory; never logs.
 */
#ifndef BACKEND_UTIL_PROBLEM_H
#define BACKEND_UTIL_PROBLEM_H

struct problem {
	char text[512];
};

/* Replace the text. Too long is cut. Returns @error, so that a failure is one statement. */
int problem_set(struct problem *problem, int error, const char *fmt, ...)
	__attribute__((nonnull, format(printf, 3, 4)));

#endif
