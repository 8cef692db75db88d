/*
 * Going into the background: the process that was started waits until its child is ready, so that
 * whoever started it sees early errors and knows when the work has begun.
 *
 * Main thread only; never logs.
 */
#ifndef BACKEND_UTIL_BACKGROUND_H
#define BACKEND_UTIL_BACKGROUND_H

#include <stdbool.h>

/*
 * Fork before anything is open: Xen's libraries must not be used across a fork. Returns in the
 * child, with a descriptor for background_ready(), or -errno. The parent does not return: it exits
 * with 0 once the child is ready, else with the child's exit code; with 1 if a signal killed it,
 * which it says for @program on standard error.
 */
int background_enter(const char *program) __attribute__((nonnull, warn_unused_result));

/*
 * Standard input and output become /dev/null, standard error too unless @keep_stderr: nothing of
 * whoever started us is held any longer, by what we start neither.
 */
void background_detach(bool keep_stderr);

/* The child is ready: its parent exits. Sets @ready_fd to -1; nothing when it is that already. */
void background_ready(int *ready_fd) __attribute__((nonnull));

#endif
