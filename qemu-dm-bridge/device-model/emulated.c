#include "qemu-dm-bridge/device-model/emulated.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-dm-bridge/dialect/optstr.h"

/* Where the name stands, nearest to the file first: the last one there is counts for QEMU, too. */
static const char *const names[] = {"file.file.filename", "file.filename", "filename", "file"};
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

/* A name may say how it is to be opened. What else has a protocol is no image of ours. */
static char *without_protocol(char *name)
{
	static const char *const protocols[] = {"file:", "host_device:"};

	for (unsigned i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		size_t len = strlen(protocols[i]);

		if (strncmp(name, protocols[i], len) == 0) {
			memmove(name, name + len, strlen(name + len) + 1);
			break;
		}
	}
	return name;
}

/* -ENOENT, -ENOMEM */
static int path_of_options(const char *value, char **ret_path)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < NR_NAMES; i++)
		r = optstr_get(value, names[i], ret_path);
	return r;
}

/* The member "a.b" as it is written, or as b in a. */
static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value;
	const char *dot = strchr(name, '.');

	if (json_object_object_get_ex(object, name, &value))
		return value;
	if (!dot || strncmp(name, "file.", 5) != 0 ||
		!json_object_object_get_ex(object, "file", &value) ||
		!json_object_is_type(value, json_type_object))
		return NULL;
	return member(value, dot + 1);
}

static int path_of_json(const char *text, char **ret_path)
{
	struct json_object *object = json_tokener_parse(text), *name = NULL;
	int r = -ENOENT;

	if (json_object_is_type(object, json_type_object))
		for (unsigned i = 0; i < NR_NAMES && !json_object_is_type(name, json_type_string);
			i++)
			name = member(object, names[i]);
	if (json_object_is_type(name, json_type_string)) {
		*ret_path = strdup(json_object_get_string(name));
		r = *ret_path ? 0 : -ENOMEM;
	}
	json_object_put(object);
	return r;
}

/* The name in it, if the name of a -drive's file is a whole set of options. */
static int look_into_json(struct emulated *disk)
{
	static const char json[] = "json:";
	char *name = disk->path;
	int r;

	if (strncmp(name, json, sizeof(json) - 1) != 0)
		return 0;
	disk->form = EMULATED_OTHER;
	r = path_of_json(name + sizeof(json) - 1, &disk->path);
	free(name);
	return r;
}

static int path_of_word(const char *value, char **ret_path)
{
	*ret_path = strdup(value);
	return *ret_path ? 0 : -ENOMEM;
}

static bool is_hd(const char *name)
{
	return strlen(name) == 3 && name[0] == 'h' && name[1] == 'd' && name[2] >= 'a' &&
	       name[2] <= 'd';
}

static int read_disk(const char *name, const char *value, struct emulated *disk)
{
	int r;

	if (strcmp(name, "drive") == 0) {
		disk->form = EMULATED_DRIVE;
		r = path_of_options(value, &disk->path);
		return r ? r : look_into_json(disk);
	}
	if (is_hd(name)) {
		disk->form = EMULATED_HD;
		return path_of_word(value, &disk->path);
	}
	if (strcmp(name, "blockdev") == 0) {
		disk->form = EMULATED_OTHER;
		return value[0] == '{' ? path_of_json(value, &disk->path)
				       : path_of_options(value, &disk->path);
	}
	return -ENOENT;
}

int emulated_next(const struct command_line *line, unsigned *at, struct emulated *ret_disk)
{
	int option;

	while ((option = command_line_next(line, at)) >= 0) {
		struct emulated disk = {.option = (unsigned)option};
		int r = read_disk(command_line_name(line, disk.option),
			command_line_value(line, disk.option), &disk);

		if (r == -ENOENT)
			continue;
		if (r)
			return r;
		(void)without_protocol(disk.path);
		*ret_disk = disk;
		return 1;
	}
	return 0;
}

int emulated_as_drive(
	const struct command_line *line, const struct emulated *disk, char **ret_value)
{
	char letter = command_line_name(line, disk->option)[2];
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return -ENOMEM;
	(void)fputs("file=", to);
	optstr_quote(to, command_line_value(line, disk->option));
	(void)fprintf(to, ",index=%d,media=disk", letter - 'a');
	if (fclose(to)) {
		free(text);
		return -ENOMEM;
	}
	*ret_value = text;
	return 0;
}
