#include "tests/bridge/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/dialect.h"

char *texts_load(const char *name)
{
	char path[256], *line = NULL, *text = NULL;
	size_t size = 0, text_size = 0;
	FILE *file, *to;

	if (name == NULL)
		return NULL;
	(void)snprintf(path, sizeof(path), "tests/bridge/help/%s.txt", name);
	file = fopen(path, "re");
	assert_non_null(file);
	to = open_memstream(&text, &text_size);
	assert_non_null(to);
	while (getline(&line, &size, file) > 0)
		if (line[0] != '#')
			(void)fputs(line, to);
	free(line);
	(void)fclose(file);
	assert_int_equal(fclose(to), 0);
	return text;
}

void texts_read(const char *help, const char *devices, const char *qmp, struct dialect *ret_dialect)
{
	char *loaded[] = {texts_load(help), texts_load(devices), texts_load(qmp)};
	struct dialect_texts texts = {loaded[0], loaded[1], loaded[2]};
	struct problem problem;

	assert_int_equal(dialect_read(&texts, ret_dialect, &problem), 0);
	for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++)
		free(loaded[i]);
}
