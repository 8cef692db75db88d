#include "qemu-dm-bridge/dialect/optstr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the value at @value: up to a comma that is not followed by another one. */
static size_t value_len(const char *value)
{
	size_t len = 0;

	while (value[len] && (value[len] != ',' || value[len + 1] == ','))
		len += value[len] == ',' ? 2 : 1;
	return len;
}

bool optstr_next(const char **at, struct optstr *ret_option)
{
	struct optstr option = {.start = *at};

	if (**at == '\0')
		return false;
	/* In a name, and so in a flag, a comma is the end, doubled or not. */
	option.name_len = option.len = strcspn(*at, "=,");
	if (option.start[option.len] == '=')
		option.len += 1 + value_len(option.start + option.len + 1);
	*at += option.len + (option.start[option.len] == ',');
	*ret_option = option;
	return true;
}

bool optstr_is(const struct optstr *option, const char *name)
{
	return option->name_len == strlen(name) &&
	       memcmp(option->start, name, option->name_len) == 0;
}

bool optstr_has_value(const struct optstr *option, const char *value)
{
	return option->len == option->name_len + 1 + strlen(value) &&
	       memcmp(option->start + option->name_len + 1, value, strlen(value)) == 0;
}

static char *unquote(const struct optstr *option)
{
	const char *from = option->start + option->name_len + 1;
	const char *end = option->start + option->len;
	char *value = malloc((size_t)(end - from) + 1);
	char *to = value;

	if (value == NULL)
		return NULL;
	for (; from < end; from++) {
		*to++ = *from;
		if (*from == ',')
			from++;
	}
	*to = '\0';
	return value;
}

int optstr_get(const char *text, const char *name, char **ret_value)
{
	struct optstr option, found = {0};

	while (optstr_next(&text, &option))
		if (optstr_is(&option, name))
			found = option;
	if (found.start == NULL || found.len == found.name_len)
		return -ENOENT;
	*ret_value = unquote(&found);
	return *ret_value ? 0 : -ENOMEM;
}

void optstr_quote(FILE *to, const char *value)
{
	for (; *value; value++) {
		(void)fputc(*value, to);
		if (*value == ',')
			(void)fputc(',', to);
	}
}
