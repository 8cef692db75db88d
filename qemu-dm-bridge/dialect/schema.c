#include "qemu-dm-bridge/dialect/schema.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than any answer of QEMU, and no danger to the stack. */
#define DEPTH 32

struct schema {
	struct json_object *entries; /* an array */
};

/* NULL unless @object is an object that has it. */
static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object && json_object_is_type(object, json_type_object))
		(void)json_object_object_get_ex(object, key, &value);
	return value;
}

/* NULL unless it is a string. */
static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return value && json_object_is_type(value, json_type_string) ? json_object_get_string(value)
								     : NULL;
}

static bool is(struct json_object *object, const char *key, const char *text)
{
	const char *found = text_of(object, key);

	return found && text && strcmp(found, text) == 0;
}

/* The element of the array @key, or of @object itself without one, whose @name is @text. */
static struct json_object *pick(
	struct json_object *object, const char *key, const char *name, const char *text)
{
	struct json_object *array = key ? member(object, key) : object;

	if (array == NULL || !json_object_is_type(array, json_type_array))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *element = json_object_array_get_idx(array, i);

		if (is(element, name, text))
			return element;
	}
	return NULL;
}

/* The entry that @key of @object names. */
static struct json_object *follow(
	const struct schema *schema, struct json_object *object, const char *key)
{
	return pick(schema->entries, NULL, "name", text_of(object, key));
}

/* ---- finding it ---- */

/* The answer among greeting, events and other answers: {"return": [...]} that has the command. */
static struct json_object *take_answer(struct json_object *line)
{
	struct json_object *entries = member(line, "return");

	return pick(entries, NULL, "name", "blockdev-add") ? json_object_get(entries) : NULL;
}

/* QMP writes one object in each line. A line that is not JSON is passed over, as one that is not finished. */
static struct json_object *search(struct json_tokener *tokener, const char *qmp)
{
	struct json_object *found = NULL;

	while (*qmp && found == NULL) {
		size_t len = strcspn(qmp, "\n");
		struct json_object *line;

		json_tokener_reset(tokener);
		/* With its end, which also ends a number. */
		line = json_tokener_parse_ex(tokener, qmp, (int)(len + (qmp[len] != '\0')));
		found = take_answer(line);
		json_object_put(line);
		qmp += len + (qmp[len] != '\0');
	}
	return found;
}

int schema_create(const char *qmp, struct schema **ret_schema)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH);
	struct schema *schema;
	struct json_object *entries;

	if (tokener == NULL)
		return -ENOMEM;
	entries = search(tokener, qmp);
	json_tokener_free(tokener);
	if (entries == NULL)
		return -ENOENT;
	schema = malloc(sizeof(*schema));
	if (schema == NULL) {
		json_object_put(entries);
		return -ENOMEM;
	}
	schema->entries = entries;
	*ret_schema = schema;
	return 0;
}

void schema_destroy(struct schema *schema)
{
	if (schema == NULL)
		return;
	json_object_put(schema->entries);
	free(schema);
}

/* ---- asking it ---- */

/* @type is the array of words of an enumeration ("values"), or since QEMU 6.2 of objects ("members"). */
static bool has_value(struct json_object *type, const char *value)
{
	struct json_object *values = member(type, "values");

	if (pick(type, "members", "name", value))
		return true;
	if (values == NULL || !json_object_is_type(values, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(values); i++) {
		struct json_object *element = json_object_array_get_idx(values, i);

		if (element && json_object_is_type(element, json_type_string) &&
			strcmp(json_object_get_string(element), value) == 0)
			return true;
	}
	return false;
}

bool schema_has(const struct schema *schema, const struct schema_place *place)
{
	struct json_object *type =
		follow(schema, pick(schema->entries, NULL, "name", "blockdev-add"), "arg-type");
	const char *dot = strchr(place->member, '.');
	char outer[32] = "";

	if (place->driver)
		type = follow(schema, pick(type, "variants", "case", place->driver), "type");
	if (dot) {
		/* A member of ours that is longer than that is a bug that a test finds: it is never there. */
		if ((size_t)(dot - place->member) >= sizeof(outer))
			return false;
		memcpy(outer, place->member, (size_t)(dot - place->member));
		type = follow(schema, pick(type, "members", "name", outer), "type");
	}
	type = pick(type, "members", "name", dot ? dot + 1 : place->member);
	if (type == NULL)
		return false;
	return place->value == NULL || has_value(follow(schema, type, "type"), place->value);
}
