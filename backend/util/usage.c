#include "backend/util/usage.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

void usage_complain(const char *program, const char *complaint, const char *object)
{
	(void)fprintf(stderr, "%s: %s%s; see %s --help\n", program, complaint, object, program);
}

/* A letter may be one of several in its word, so the word would not say which. */
void usage_refuse(const char *program, int refused, char **argv)
{
	const char letter[] = {'-', (char)optopt, '\0'};
	bool is_letter = optopt > 0 && optopt < 128;

	usage_complain(program,
		refused == ':' ? "an argument is missing after "
			       : "not an option, or not with that argument: ",
		is_letter ? letter : argv[optind - 1]);
}
