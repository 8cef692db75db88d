/*
 * hand-over [-b] [-t MS] FILE: hand the page cache of a file or block device over, and print what came of it in one line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu-dm-bridge/pagecache/hand_over.h"

static void progress(void *arg, uint64_t dirty_bytes)
{
	(void)arg;
	printf("%" PRIu64 " bytes are dirty\n", dirty_bytes);
}

static void print(const struct hand_over_result *result)
{
	printf("nodes=%u in-memory=%u unreachable=%u rounds=%u before=%" PRIu64 " dirty=%" PRIu64
	       " left=%" PRIu64 " us=%" PRIu64 "\n",
		result->nr_nodes, result->nr_in_memory, result->nr_unreachable, result->nr_rounds,
		result->pages_before, result->dirty_before, result->pages_left,
		result->duration_ns / 1000);
}

int main(int argc, char **argv)
{
	struct hand_over_terms terms = {.timeout_ms = 10000, .progress = progress};
	struct hand_over_result result;
	struct problem problem;
	int c, fd, r;

	while ((c = getopt(argc, argv, "bt:")) != -1) {
		if (c == '?')
			return 2;
		if (c == 'b')
			terms.best_effort = true;
		else
			terms.timeout_ms = (unsigned)strtoul(optarg, NULL, 10);
	}
	fd = argc - optind == 1 ? open(argv[optind], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		(void)fprintf(stderr, "usage: hand-over [-b] [-t MS] FILE\n");
		return 2;
	}
	r = hand_over(fd, argv[optind], &terms, &result, &problem);
	print(&result);
	if (r)
		(void)fprintf(stderr, "%s (%s)\n", problem.text, strerror(-r));
	(void)close(fd);
	return r ? 1 : 0;
}
