#include "backend/util/cpus.h"

#include <stdlib.h>

/* A number at *@at, which ends up behind it. -1: there is none, or it is too large. */
static int take_number(const char **at)
{
	char *end;
	unsigned long n;

	if (**at < '0' || **at > '9')
		return -1;
	n = strtoul(*at, &end, 10);
	*at = end;
	return n < CPU_SETSIZE ? (int)n : -1;
}

bool cpus_parse(const char *text, cpu_set_t *ret_set)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (const char *at = text;; at++) {
		int first = take_number(&at), last = first;

		if (*at == '-') {
			at++;
			last = take_number(&at);
		}
		if (first < 0 || last < first)
			return false;
		for (int i = first; i <= last; i++)
			CPU_SET(i, &set);
		if (*at == '\0')
			break;
		if (*at != '+')
			return false;
	}
	*ret_set = set;
	return true;
}

bool cpus_usable(const cpu_set_t *set)
{
	cpu_set_t both;

	if (sched_getaffinity(0, sizeof(both), &both))
		return false;
	CPU_AND(&both, &both, set);
	return CPU_COUNT(&both) > 0;
}
