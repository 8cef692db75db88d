/*
 * Running a program for what it says: no shell, a deadline, a bound, no descriptors but its own three, and
 * nothing of it left afterwards.
 *
 * Any thread, which it blocks until the deadline at most; owns the process; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_RUN_H
#define QEMU_DM_BRIDGE_DIALECT_RUN_H

#include <stddef.h>
#include <stdint.h>

struct problem;

/* The most that fits into a pipe before anybody reads. */
#define RUN_INPUT_MAX 4096

struct run {
	const char *const *argv; /* argv[0] is looked for in PATH if it has no slash */
	const char *input;       /* at most RUN_INPUT_MAX bytes; NULL: none */
	const char *last;        /* what it says last; NULL: it ends itself */
	size_t output_max;       /* bytes of standard output and error together */
	uint64_t deadline_ms;    /* by run_clock_ms() */
};

uint64_t run_clock_ms(void);

/*
 * Run it to its end, or until it has said @last: then it is ended by SIGKILL. 0, whatever its exit status, with all
 * it said in *@ret_output, up to @last at least, ended by a NUL, for the caller to free; a NUL that it wrote itself
 * became a blank. -ENOENT when it is not there, -ETIMEDOUT, -EFBIG, -ECHILD when a signal ended it before it had
 * said @last, -ENOMEM, or what else failed; then @problem says it and nothing is left.
 */
int run_program(const struct run *run, char **ret_output, struct problem *problem)
	__attribute__((nonnull, warn_unused_result));

#endif
