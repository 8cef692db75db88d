/*
 * hand-over [-b] [-t MS] FILE: hand the page cache of a file or block device over, and print what came of it in one line.
 * hand-over -p FILE: plain fdatasync and fadvise instead, to compare.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "qemu-dm-bridge/pagecache/cached.h"
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

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int plainly(int fd, struct hand_over_result *result, struct problem *problem)
{
	uint64_t begun_ns = now_ns();
	struct cached cached = {0};
	int r = cached_count(fd, &cached);

	if (r == 0) {
		result->pages_before = cached.pages;
		result->dirty_before = cached.dirty;
		r = fdatasync(fd) < 0 ? -errno : -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	if (r == 0)
		r = cached_count(fd, &cached);
	result->nr_nodes = result->nr_rounds = 1;
	result->pages_left = cached.pages;
	result->duration_ns = now_ns() - begun_ns;
	return r ? problem_set(problem, r, "cannot be written and dropped") : 0;
}

int main(int argc, char **argv)
{
	struct hand_over_terms terms = {.timeout_ms = 10000, .progress = progress};
	struct hand_over_result result = {0};
	struct problem problem;
	bool is_plain = false;
	int c, fd, r;

	while ((c = getopt(argc, argv, "bpt:")) != -1) {
		if (c == '?')
			return 2;
		if (c == 'b')
			terms.best_effort = true;
		else if (c == 'p')
			is_plain = true;
		else
			terms.timeout_ms = (unsigned)strtoul(optarg, NULL, 10);
	}
	fd = argc - optind == 1 ? open(argv[optind], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		(void)fprintf(stderr, "usage: hand-over [-b | -p] [-t MS] FILE\n");
		return 2;
	}
	r = is_plain ? plainly(fd, &result, &problem)
		     : hand_over(fd, argv[optind], &terms, &result, &problem);
	print(&result);
	if (r)
		(void)fprintf(stderr, "%s (%s)\n", problem.text, strerror(-r));
	(void)close(fd);
	return r ? 1 : 0;
}
