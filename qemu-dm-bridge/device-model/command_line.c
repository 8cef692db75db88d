#include "qemu-dm-bridge/device-model/command_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct command_line *line, const char *word)
{
	if (line->nr + 1 >= line->room) {
		unsigned room = line->room ? line->room * 2 : 64;
		char **words = reallocarray(line->words, room, sizeof(*words));

		if (!words)
			return -ENOMEM;
		line->words = words;
		line->room = room;
	}
	line->words[line->nr] = strdup(word);
	if (!line->words[line->nr])
		return -ENOMEM;
	line->words[++line->nr] = NULL;
	return 0;
}

int command_line_init(struct command_line *line, unsigned nr, const char *const words[])
{
	int r = 0;

	*line = (struct command_line){0};
	for (unsigned i = 0; r == 0 && i < nr; i++)
		r = add(line, words[i]);
	if (r)
		command_line_fini(line);
	return r;
}

void command_line_fini(struct command_line *line)
{
	for (unsigned i = 0; i < line->nr; i++)
		free(line->words[i]);
	free(line->words);
	*line = (struct command_line){0};
}

const char *command_line_name(const struct command_line *line, unsigned option)
{
	const char *word = line->words[option];

	return word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
}

const char *command_line_value(const struct command_line *line, unsigned option)
{
	return line->words[option + 1];
}

/* Their values are whatever a person has written, even with a dash in front. */
static bool has_free_text(const char *name)
{
	static const char *const options[] = {"name", "append", "kernel", "initrd"};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(name, options[i]) == 0)
			return true;
	return false;
}

static bool is_option(const struct command_line *line, unsigned at)
{
	return line->words[at][0] == '-' && *command_line_name(line, at) != '\0';
}

int command_line_next(const struct command_line *line, unsigned *at)
{
	while (*at + 1 < line->nr) {
		unsigned option = (*at)++;

		if (!is_option(line, option))
			continue;
		if (!has_free_text(command_line_name(line, option)) && is_option(line, *at))
			continue;
		(*at)++;
		return (int)option;
	}
	return -1;
}

const char *command_line_find(const struct command_line *line, const char *name)
{
	const char *found = NULL;
	unsigned at = 0;
	int option;

	while ((option = command_line_next(line, &at)) >= 0)
		if (strcmp(command_line_name(line, (unsigned)option), name) == 0)
			found = command_line_value(line, (unsigned)option);
	return found;
}

int command_line_replace(
	struct command_line *line, unsigned at, const char *option, const char *value)
{
	char *first = strdup(option), *second = strdup(value);

	if (!first || !second) {
		free(first);
		free(second);
		return -ENOMEM;
	}
	free(line->words[at]);
	free(line->words[at + 1]);
	line->words[at] = first;
	line->words[at + 1] = second;
	return 0;
}

int command_line_append(struct command_line *line, const char *option, const char *value)
{
	int r = add(line, option);

	if (r)
		return r;
	r = add(line, value);
	if (r) {
		free(line->words[--line->nr]);
		line->words[line->nr] = NULL;
	}
	return r;
}
