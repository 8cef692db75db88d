#include "qemu-dm-bridge/qmp/medium.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "qemu-dm-bridge/qmp/client.h"

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		(void)json_object_object_get_ex(object, name, &value);
	return value;
}

/* "" unless it is a text. */
static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = member(object, name);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* Names that QEMU made itself begin with '#', and nothing can be done with them. */
static void take_name(char name[128], struct json_object *object, const char *key)
{
	const char *text = text_of(object, key);

	(void)snprintf(name, 128, "%s", strlen(text) < 128 && text[0] != '#' ? text : "");
}

static bool is_image(struct json_object *node, const struct medium_names *names)
{
	const char *file = text_of(node, "file");

	return *file && (strcmp(file, names->given) == 0 || strcmp(file, names->resolved) == 0);
}

static size_t length_of(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

/* ---- what a QEMU can tell ---- */

static bool has_member(struct json_object *entry, const char *name)
{
	struct json_object *members = member(entry, "members");

	for (size_t i = 0; i < length_of(members); i++)
		if (strcmp(text_of(json_object_array_get_idx(members, i), "name"), name) == 0)
			return true;
	return false;
}

/* query-block tells which device uses a drive (qdev) since QEMU 2.10. Without that all would look unplugged. */
static int tells_devices(struct qmp *qmp, bool *ret_tells, struct problem *problem)
{
	struct json_object *schema;
	int r = qmp_run(qmp, "query-qmp-schema", NULL, &schema, problem);

	*ret_tells = false;
	if (r)
		return r == -EREMOTEIO ? 0 : r;
	for (size_t i = 0; i < length_of(schema) && !*ret_tells; i++) {
		struct json_object *entry = json_object_array_get_idx(schema, i);

		*ret_tells = has_member(entry, "inserted") && has_member(entry, "io-status") &&
			     has_member(entry, "qdev");
	}
	json_object_put(schema);
	return 0;
}

/* ---- what it has ---- */

static int look_at_drives(struct qmp *qmp, const struct medium_names *names, struct medium *found,
	struct problem *problem)
{
	struct json_object *drives;
	int r = qmp_run(qmp, "query-block", NULL, &drives, problem);

	if (r)
		return r;
	for (size_t i = 0; i < length_of(drives) && found->use != MEDIUM_PLUGGED; i++) {
		struct json_object *drive = json_object_array_get_idx(drives, i);
		struct json_object *inserted = member(drive, "inserted");

		if (!is_image(inserted, names))
			continue;
		found->use = *text_of(drive, "qdev") ? MEDIUM_PLUGGED : MEDIUM_LEFT;
		take_name(found->drive, drive, "device");
		take_name(found->node, inserted, "node-name");
	}
	json_object_put(drives);
	return 0;
}

/* Nodes that no drive has. */
static int look_at_nodes(struct qmp *qmp, const struct medium_names *names, struct medium *found,
	struct problem *problem)
{
	struct json_object *nodes;
	int r = qmp_run(qmp, "query-named-block-nodes", NULL, &nodes, problem);

	if (r)
		return r == -EREMOTEIO ? 0 : r;
	for (size_t i = 0; i < length_of(nodes); i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);

		if (!is_image(node, names))
			continue;
		found->use = MEDIUM_LEFT;
		if (!*found->node)
			take_name(found->node, node, "node-name");
	}
	json_object_put(nodes);
	return 0;
}

int medium_look(struct qmp *qmp, const struct medium_names *names, struct medium *ret_medium,
	struct problem *problem)
{
	bool tells;
	int r;

	*ret_medium = (struct medium){.use = MEDIUM_NONE};
	r = look_at_drives(qmp, names, ret_medium, problem);
	if (r == 0 && ret_medium->use == MEDIUM_NONE)
		r = look_at_nodes(qmp, names, ret_medium, problem);
	if (r || ret_medium->use != MEDIUM_LEFT)
		return r;
	r = tells_devices(qmp, &tells, problem);
	if (r == 0 && !tells)
		ret_medium->use = MEDIUM_UNKNOWN;
	return r;
}

/* ---- closing ---- */

static struct json_object *argument(const char *name, const char *value)
{
	struct json_object *object = json_object_new_object();
	struct json_object *text = json_object_new_string(value);

	if (object && text && json_object_object_add(object, name, text) == 0)
		return object;
	json_object_put(text);
	json_object_put(object);
	return NULL;
}

static int run(struct qmp *qmp, const char *command, const char *name, const char *value,
	struct problem *problem)
{
	struct json_object *arguments = argument(name, value), *said;
	struct qmp_text text;
	int r;

	if (!arguments)
		return problem_set(problem, -ENOMEM, "no memory");
	r = qmp_run(qmp, command, arguments, &said, problem);
	if (r)
		return r;
	/* The monitor for people tells what is wrong in words. */
	if (json_object_is_type(said, json_type_string) && *json_object_get_string(said)) {
		qmp_text(json_object_get_string(said), &text);
		r = problem_set(problem, -EREMOTEIO, "the device model says: %s", text.text);
	}
	json_object_put(said);
	return r;
}

/* A drive's name is a word of a line for people: one that is none in there is refused. */
static bool is_word(const char *name)
{
	return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789_.-")] == '\0';
}

/* drive_del is for those of -drive, blockdev-del for all others: by experiment, QEMU 7.2. */
int medium_close(struct qmp *qmp, const struct medium *medium, struct problem *problem)
{
	char line[160];

	if (is_word(medium->drive)) {
		(void)snprintf(line, sizeof(line), "drive_del %s", medium->drive);
		return run(qmp, "human-monitor-command", "command-line", line, problem);
	}
	if (*medium->node)
		return run(qmp, "blockdev-del", "node-name", medium->node, problem);
	return problem_set(problem, -ENOENT, "the device model has no name for what it has open");
}
