#include "backend/util/json.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

bool json_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

bool json_set_null(struct json_object *object, const char *key)
{
	return object && json_object_object_add(object, key, NULL) == 0;
}

/* Bytes of the character at @s, or 0 when it is not UTF-8 (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, surrogates, beyond the last character. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

struct json_object *json_text(const char *bytes)
{
	const unsigned char *s = (const unsigned char *)bytes;
	struct json_object *text;
	char *copy = malloc(strlen(bytes) * strlen(REPLACEMENT) + 1);
	char *to = copy;

	if (copy == NULL)
		return NULL;
	while (*s) {
		size_t n = utf8_length(s);

		if (n > 0)
			to = mempcpy(to, s, n);
		else
			to = mempcpy(to, REPLACEMENT, strlen(REPLACEMENT));
		s += n > 0 ? n : 1;
	}
	*to = '\0';
	text = json_object_new_string(copy);
	free(copy);
	return text;
}

struct json_object *json_error(const char *fmt, ...)
{
	struct json_object *object = json_object_new_object();
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (json_set(object, "error", json_text(text)))
		return object;
	json_object_put(object);
	return NULL;
}
