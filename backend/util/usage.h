/*
 * Complaints about a command line: one line on standard error that names the word which is wrong and
 * where help is. All programs complain alike.
 *
 * Main thread, before anything runs; never logs.
 */
#ifndef BACKEND_UTIL_USAGE_H
#define BACKEND_UTIL_USAGE_H

/* "@program: @complaint@object; see @program --help" */
void usage_complain(const char *program, const char *complaint, const char *object)
	__attribute__((nonnull));

/*
 * getopt_long() has just returned @refused, '?' or ':', for a word of @argv. Its option string has to
 * begin with ':' and opterr to be 0, else it complains too.
 */
void usage_refuse(const char *program, int refused, char **argv) __attribute__((nonnull));

#endif
