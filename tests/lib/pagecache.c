/*
 * pagecache FILE: how many pages of a file or block device the host's page cache holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/page_count.h"

static int usage(FILE *to, int code)
{
	(void)fputs("usage: pagecache [-v] [-m] FILE\n"
		    "Prints how many pages of FILE the page cache holds.\n"
		    "  -v  also of how many, and how that was found out\n"
		    "  -m  by mincore(2) even where cachestat(2) works\n",
		to);
	return code;
}

int main(int argc, char **argv)
{
	bool verbose = false, by_mincore = false;
	struct page_count a = {0};
	int c, fd, r;

	while ((c = getopt(argc, argv, "vmh")) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == '?')
			return usage(stderr, 2);
		verbose |= c == 'v';
		by_mincore |= c == 'm';
	}
	if (argc - optind != 1)
		return usage(stderr, 2);
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : page_count(fd, by_mincore, &a);
	if (r) {
		(void)fprintf(stderr, "pagecache: '%s': %s\n", argv[optind], strerror(-r));
		return 1;
	}
	(void)close(fd);
	if (verbose)
		printf("%" PRIu64 " of %" PRIu64 " pages (%s)\n", a.pages,
			(a.size_bytes + (uint64_t)sysconf(_SC_PAGESIZE) - 1) /
				(uint64_t)sysconf(_SC_PAGESIZE),
			a.method);
	else
		printf("%" PRIu64 "\n", a.pages);
	return 0;
}
