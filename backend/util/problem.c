#include "backend/util/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(struct problem *problem, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(problem->text, sizeof(problem->text), fmt, args);
	va_end(args);
	return error;
}
