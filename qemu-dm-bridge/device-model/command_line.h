/*
 * QEMU's command line, a word at a time: what is in it and what becomes of it. QEMU takes an option with one dash or two, and for
 * most options its value is the next word.
 *
 * Pure but for memory; any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DEVICE_MODEL_COMMAND_LINE_H
#define QEMU_DM_BRIDGE_DEVICE_MODEL_COMMAND_LINE_H

#include <stdbool.h>

/* Words of its own, and a NULL behind the last one, as execv() wants them. */
struct command_line {
	char **words;
	unsigned nr, room;
};

/* Copies of @nr words. 0 or -ENOMEM. */
int command_line_init(struct command_line *line, unsigned nr, const char *const words[])
	__attribute__((nonnull, warn_unused_result));
void command_line_fini(struct command_line *line) __attribute__((nonnull));

/*
 * The next option at or behind *@at whose value is the next word, which moves behind that value: its place, or -1 at the end. Values that are free
 * text, a guest's name for example, are not taken for options. The option's name has no dashes.
 */
int command_line_next(const struct command_line *line, unsigned *at) __attribute__((nonnull));
const char *command_line_name(const struct command_line *line, unsigned option)
	__attribute__((nonnull, returns_nonnull));
const char *command_line_value(const struct command_line *line, unsigned option)
	__attribute__((nonnull, returns_nonnull));

/* The value of the last option @name; NULL without one. Until the line changes. */
const char *command_line_find(const struct command_line *line, const char *name)
	__attribute__((nonnull));

/* Put copies of @option and @value in place of what is at @at, or behind all: 0 or -ENOMEM, then nothing has changed. */
int command_line_replace(struct command_line *line, unsigned at, const char *option,
	const char *value) __attribute__((nonnull, warn_unused_result));
int command_line_append(struct command_line *line, const char *option, const char *value)
	__attribute__((nonnull, warn_unused_result));

#endif
