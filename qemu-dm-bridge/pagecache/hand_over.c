#include "hand_over.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cached.h"
#include "qemu-dm-bridge/nodes/holders.h"
#include "qemu-dm-bridge/nodes/same_blocks.h"
#include "write_back.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Between two rounds: at first, and at most. */
#define PAUSE_MIN_MS 1u
#define PAUSE_MAX_MS 200u

/* Of those who keep pages, so many are named. */
#define NAMED_HOLDERS 4u

/* While it lasts. */
struct work {
	const char *name;
	const struct hand_over_terms *terms;
	struct hand_over_result *result;
	struct problem *problem;
	const struct same_blocks *blocks;
	uint64_t begun_ns, deadline_ns, told_ns;
	uint64_t settle_ns; /* 0: not one round is over */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool is_late(const struct work *w)
{
	return !w->terms->best_effort && now_ns() >= w->deadline_ns;
}

/* Of pages that stay though they are written. */
static bool is_settled(struct work *w)
{
	if (w->settle_ns == 0)
		w->settle_ns = w->terms->settle_ms ? now_ns() + w->terms->settle_ms * NS_PER_MS
						   : w->deadline_ns;
	return is_late(w) || now_ns() >= w->settle_ns;
}

/* Those that cannot be reached have the name of one below; in memory there is nothing to hand over. */
static bool concerns(const struct same_blocks_node *node)
{
	return node->fd >= 0 && !cached_is_storage(node->fd);
}

/* ---- counting ---- */

/* All nodes together, and the first of them that has any. */
static int count(struct work *w, struct cached *ret_sum, const struct same_blocks_node **ret_first)
{
	struct cached sum = {.dirty_known = true};

	*ret_first = NULL;
	for (unsigned i = 0; i < w->blocks->nr_nodes; i++) {
		const struct same_blocks_node *node = &w->blocks->nodes[i];
		struct cached cached;
		int r;

		if (!concerns(node))
			continue;
		r = cached_count(node->fd, &cached);
		if (r)
			return problem_set(w->problem, r,
				"'%s': the kernel does not tell what the page cache holds of '%s': %s",
				w->name, node->name, strerror(-r));
		if (cached.pages > 0 && !*ret_first)
			*ret_first = node;
		sum.pages += cached.pages;
		sum.dirty += cached.dirty;
		sum.dirty_known &= cached.dirty_known;
	}
	*ret_sum = sum;
	return 0;
}

static int begin(struct work *w)
{
	const struct same_blocks_node *first;
	struct cached sum;
	int r;

	w->result->nr_nodes = w->blocks->nr_nodes;
	for (unsigned i = 0; i < w->blocks->nr_nodes; i++) {
		if (w->blocks->nodes[i].fd < 0)
			w->result->nr_unreachable++;
		else if (cached_is_storage(w->blocks->nodes[i].fd))
			w->result->nr_in_memory++;
	}
	r = count(w, &sum, &first);
	if (r)
		return r;
	w->result->pages_before = w->result->pages_left = sum.pages;
	w->result->dirty_before = sum.dirty;
	w->result->dirty_known = sum.dirty_known;
	return 0;
}

/* ---- one round ---- */

/* None of those that a storage has. */
#define STEP_IS_LATE (-ECANCELED)

static int step(void *arg)
{
	struct work *w = arg;
	const struct same_blocks_node *first;
	uint64_t now = now_ns();
	struct cached sum;

	if (is_late(w))
		return STEP_IS_LATE;
	if (!w->terms->progress || now - w->told_ns < NS_PER_S)
		return 0;
	w->told_ns = now;
	if (count(w, &sum, &first) == 0 && sum.dirty_known)
		w->terms->progress(w->terms->arg, sum.dirty * (uint64_t)sysconf(_SC_PAGESIZE));
	return 0;
}

static int too_slow(struct work *w, const struct same_blocks_node *node)
{
	const struct same_blocks_node *first;
	struct cached sum = {0};

	if (count(w, &sum, &first))
		sum = (struct cached){0};
	w->result->pages_left = sum.pages;
	return problem_set(w->problem, -ETIMEDOUT,
		"'%s': after %u ms %" PRIu64
		" MiB in the page cache are still to be written through '%s': see whether its storage is in order, and give it more time",
		w->name, w->terms->timeout_ms, sum.dirty * (uint64_t)sysconf(_SC_PAGESIZE) >> 20,
		node->name);
}

static bool is_kept(const struct work *w, const struct same_blocks_node *node)
{
	return w->terms->keep_image && node->fd == w->blocks->image_fd;
}

/* Nothing to be written, nor to be dropped: no fdatasync, which costs even if there is nothing to do. */
static bool is_clean(const struct work *w, const struct same_blocks_node *node)
{
	struct cached cached;

	if (cached_count(node->fd, &cached))
		return false;
	return cached.pages == 0 || (is_kept(w, node) && cached.dirty_known && cached.dirty == 0);
}

static int hand_over_node(struct work *w, const struct same_blocks_node *node)
{
	int r = write_back(node->fd, step, w);

	if (r == STEP_IS_LATE)
		return too_slow(w, node);
	w->result->is_lost |= r != 0;
	if (r)
		return problem_set(w->problem, r,
			"'%s': what the page cache holds of '%s' cannot be written: %s: see the kernel's log, and check the guest's file systems",
			w->name, node->name, strerror(-r));
	r = is_kept(w, node) ? 0 : write_back_drop(node->fd);
	if (r)
		return problem_set(w->problem, r,
			"'%s': the page cache of '%s' cannot be dropped: %s", w->name, node->name,
			strerror(-r));
	return 0;
}

/* From above to below: what is written through a loop device gets into the cache of the file below it. */
static int one_round(struct work *w)
{
	int r = 0;

	w->result->nr_rounds++;
	for (unsigned i = 0; r == 0 && i < w->blocks->nr_nodes; i++) {
		const struct same_blocks_node *node = &w->blocks->nodes[i];

		if (concerns(node) && !is_clean(w, node))
			r = hand_over_node(w, node);
	}
	return r;
}

/* ---- until nothing is left ---- */

static int stays(struct work *w, const struct same_blocks_node *node)
{
	struct holder holders[NAMED_HOLDERS];
	char text[220];
	unsigned n = 0;

	if (holders_find(node->fd, holders, NAMED_HOLDERS, &n))
		n = 0;
	holders_text(holders, n, text, sizeof(text));
	return problem_set(w->problem, -EBUSY,
		"'%s': after %" PRIu64 " ms %" PRIu64
		" pages stay in the page cache, of '%.80s' first: in use by %s: end, unmount or detach it",
		w->name, (now_ns() - w->begun_ns) / NS_PER_MS, w->result->pages_left, node->name,
		n > 0 ? text : "nobody that can be seen, perhaps I/O that still runs");
}

/*
 * Writing is waited for in each round. Nothing tells when somebody unmaps a page, unpins it or stops reading anew: so this looks again,
 * soon at first.
 */
static void pause_between(const struct work *w, unsigned *pause_ms)
{
	uint64_t now = now_ns();
	uint64_t left_ms = now < w->deadline_ns ? (w->deadline_ns - now) / NS_PER_MS + 1 : 0;

	(void)poll(NULL, 0, (int)(*pause_ms < left_ms ? *pause_ms : left_ms));
	*pause_ms = *pause_ms * 2 < PAUSE_MAX_MS ? *pause_ms * 2 : PAUSE_MAX_MS;
}

static int until_empty(struct work *w)
{
	const struct same_blocks_node *first;
	unsigned pause_ms = PAUSE_MIN_MS;
	struct cached sum;
	int r;

	for (;;) {
		r = one_round(w);
		if (r == 0)
			r = count(w, &sum, &first);
		if (r)
			return r;
		w->result->pages_left = sum.pages;
		if (!first || w->terms->best_effort)
			return 0;
		if (is_settled(w))
			return stays(w, first);
		pause_between(w, &pause_ms);
	}
}

int hand_over_blocks(const struct same_blocks *blocks, const char *name,
	const struct hand_over_terms *terms, struct hand_over_result *ret_result,
	struct problem *ret_problem)
{
	struct work w = {.name = name,
		.terms = terms,
		.result = ret_result,
		.problem = ret_problem,
		.blocks = blocks};
	int r;

	*ret_result = (struct hand_over_result){0};
	w.begun_ns = w.told_ns = now_ns();
	w.deadline_ns = w.begun_ns + terms->timeout_ms * NS_PER_MS;
	r = begin(&w);
	if (r == 0)
		r = until_empty(&w);
	ret_result->duration_ns = now_ns() - w.begun_ns;
	return r;
}

int hand_over(int fd, const char *name, const struct hand_over_terms *terms,
	struct hand_over_result *ret_result, struct problem *ret_problem)
{
	struct same_blocks blocks;
	int r;

	*ret_result = (struct hand_over_result){0};
	r = same_blocks_find(fd, name, &blocks, ret_problem);
	if (r)
		return r;
	r = hand_over_blocks(&blocks, name, terms, ret_result, ret_problem);
	same_blocks_close(&blocks);
	return r;
}

int hand_over_look(
	int fd, const char *name, struct hand_over_result *ret_result, struct problem *ret_problem)
{
	struct same_blocks blocks;
	struct work w = {
		.name = name, .result = ret_result, .problem = ret_problem, .blocks = &blocks};
	int r = same_blocks_find(fd, name, &blocks, ret_problem);

	*ret_result = (struct hand_over_result){0};
	if (r)
		return r;
	r = begin(&w);
	same_blocks_close(&blocks);
	return r;
}
