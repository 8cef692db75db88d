/*
 * The syntax of the value of QEMU's -drive, -device and the like: "file=a,,b,if=ide,snapshot" has a file
 * "a,b", an interface and a flag that is on. A flag "nosnapshot" is off. If a name comes twice the last one
 * counts.
 *
 * Pure; any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_OPTSTR_H
#define QEMU_DM_BRIDGE_DIALECT_OPTSTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One option, as it stands in the text. */
struct optstr {
	const char *start;
	size_t len;      /* without the comma behind it */
	size_t name_len; /* up to the '=', or all of it */
};

/* The option at *@at, which moves behind it and its comma. False at the end. */
bool optstr_next(const char **at, struct optstr *ret_option)
	__attribute__((nonnull, warn_unused_result));

/* True if the option is called @name, whatever its value. */
bool optstr_is(const struct optstr *option, const char *name) __attribute__((nonnull));

/* True if its value is @value, which has no comma. */
bool optstr_has_value(const struct optstr *option, const char *value) __attribute__((nonnull));

/*
 * The value of the last option @name in @text, with single commas again, for the caller to free.
 * -ENOENT without one, or when it is a flag; -ENOMEM.
 */
int optstr_get(const char *text, const char *name, char **ret_value)
	__attribute__((nonnull, warn_unused_result));

/* Write @value as the value of an option: its commas twice. */
void optstr_quote(FILE *to, const char *value) __attribute__((nonnull));

#endif
