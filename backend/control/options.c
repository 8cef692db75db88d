#include "backend/control/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/cpus.h"
#include "backend/util/limits.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

/* Longer than a list of all features there are. */
#define FEATURES_OFF_MAX 256
/* Longer than a sensible list of processors. */
#define CPUS_MAX 256

static int wrong(const struct node_dir *dir, const char *name, enum node_result result,
	const char *rule, struct problem *problem)
{
	if (result == NODE_ERROR)
		return problem_set(problem, dir->error, "node '%s/%s' cannot be read: %s",
			dir->path, name, strerror(-dir->error));
	return problem_set(
		problem, -EINVAL, "node '%s/%s' is malformed: %s", dir->path, name, rule);
}

/* D6 */
static int read_cache_mode(
	struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	char *text = NULL;
	enum node_result result =
		node_string(dir, "cache-mode", OPTIONS_CACHE_MAX - 1, NULL, &text);
	int r = 0;

	if (result == NODE_ABSENT)
		return 0;
	if (result != NODE_VALUE || !cache_mode_parse(text, &options->cache))
		r = wrong(dir, "cache-mode", result,
			"it is none, directsync, writethrough, writeback or unsafe", problem);
	else
		(void)snprintf(options->cache_text, sizeof(options->cache_text), "%s", text);
	free(text);
	return r;
}

/* One word of the list: what it names is off. */
static bool turn_off(struct disk_options *options, const char *feature)
{
	const struct {
		const char *name;
		bool *offered;
	} known[] = {
		{"persistent", &options->persistent},
		{"flush-cache", &options->flush},
		{"barrier", &options->barrier},
		{"multi-queue", &options->multi_queue},
		{"indirect", &options->indirect},
		{"discard", &options->discard},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, feature) != 0)
			continue;
		*known[i].offered = false;
		return true;
	}
	return false;
}

static int read_features_off(
	struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	char *list = NULL, *rest, *feature;
	enum node_result result = node_string(dir, "features-off", FEATURES_OFF_MAX, NULL, &list);
	int r = 0;

	if (result == NODE_ABSENT)
		return 0;
	if (result == NODE_VALUE) {
		rest = *list ? list : NULL;
		while (r == 0 && (feature = strsep(&rest, "+")) != NULL)
			if (!turn_off(options, feature))
				r = -EINVAL;
	}
	if (result != NODE_VALUE || r)
		r = wrong(dir, "features-off", result,
			"it names persistent, flush-cache, barrier, multi-queue, indirect or discard, several with + between them",
			problem);
	free(list);
	return r;
}

/* Where all is copied it is no use to offer that pages may stay mapped. */
static int read_transfer(
	struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	static const char *const ways[] = {
		[TRANSFER_AUTO] = "auto", [TRANSFER_MAP] = "map", [TRANSFER_COPY] = "copy"};
	unsigned way = TRANSFER_AUTO;
	enum node_result result = node_enum(dir, "transfer", ways, 3, &way);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "transfer", result, "it is auto, map or copy", problem);
	options->transfer = (enum disk_transfer)way;
	if (options->transfer == TRANSFER_COPY)
		options->persistent = false;
	return 0;
}

static int read_engine(struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	static const char *const engines[] = {[DISK_ENGINE_AUTO] = "auto",
		[DISK_ENGINE_AIO] = "aio",
		[DISK_ENGINE_URING] = "io_uring"};
	unsigned engine = DISK_ENGINE_AUTO;
	enum node_result result = node_enum(dir, "engine", engines, 3, &engine);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "engine", result, "it is auto, aio or io_uring", problem);
	options->engine = (enum disk_engine)engine;
	return 0;
}

/* libxl's, from no-discard in the disk's configuration (blkif.h). */
static int read_discard_enable(
	struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	bool enable = true;
	enum node_result result = node_bool(dir, "discard-enable", &enable);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "discard-enable", result, "it is 0 or 1", problem);
	options->discard = options->discard && enable;
	return 0;
}

/* Which processors the queues run on: all of a NUMA node, perhaps. */
static int read_cpus(struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	char *list = NULL;
	enum node_result result = node_string(dir, "cpus", CPUS_MAX, NULL, &list);
	int r = 0;

	if (result == NODE_ABSENT)
		return 0;
	options->pinned = true;
	if (result != NODE_VALUE || !cpus_parse(list, &options->cpus))
		r = wrong(dir, "cpus", result,
			"it is numbers of processors and ranges of them, several with + between them, as in 0-3+8",
			problem);
	else if (!cpus_usable(&options->cpus))
		r = problem_set(problem, -EINVAL,
			"node '%s/cpus': none of the processors %s is there and online: /proc/self/status has those that may be used (Cpus_allowed_list)",
			dir->path, list);
	free(list);
	return r;
}

/* Looking for work before sleeping: a word, or how long. */
static int read_poll(struct node_dir *dir, struct poll_terms *poll, struct problem *problem)
{
	static const char *const words[] = {[POLL_AUTO] = "auto", [POLL_OFF] = "off"};
	unsigned word = POLL_AUTO;
	enum node_result result = node_enum(dir, "poll", words, 2, &word);

	poll->mode = (enum poll_mode)word;
	if (result == NODE_MALFORMED) {
		result = node_u32(dir, "poll", 1, POLL_MAX_US, &poll->fixed_us);
		poll->mode = POLL_FIXED;
	}
	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "poll", result,
			"it is auto, off or a number of microseconds, 1 to 10000", problem);
	return 0;
}

static int read_poll_budget(struct node_dir *dir, struct poll_terms *poll, struct problem *problem)
{
	enum node_result result =
		node_u32(dir, "poll-budget", 1, POLL_BUDGET_MAX, &poll->budget_percent);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "poll-budget", result,
			"it is a number of percent of a processor, 1 to 800", problem);
	return 0;
}

/* D9 */
static int read_policy(
	struct node_dir *dir, const char *name, bool *ret_stop, struct problem *problem)
{
	static const char *const policies[] = {"report", "stop"};
	unsigned policy = 0;
	enum node_result result = node_enum(dir, name, policies, 2, &policy);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, name, result, "it is report or stop", problem);
	*ret_stop = policy == 1;
	return 0;
}

/* E4 */
static int read_emulated(
	struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	static const char *const words[] = {"refuse", "read-only", "close"};
	unsigned word = EMULATED_REFUSE;
	enum node_result result = node_enum(dir, "emulated", words, 3, &word);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(dir, "emulated", result, "it is refuse, read-only or close", problem);
	options->emulated = (enum disk_emulated)word;
	return 0;
}

static int read_timeout(struct node_dir *dir, struct disk_options *options, struct problem *problem)
{
	uint32_t seconds = LIMIT_TIMEOUT_S;
	enum node_result result = node_u32(dir, "timeout", 0, LIMIT_TIMEOUT_MAX_S, &seconds);

	if (result != NODE_VALUE && result != NODE_ABSENT)
		return wrong(
			dir, "timeout", result, "it is a number of seconds, 0 to 86400", problem);
	options->timeout_s = seconds;
	return 0;
}

int options_read_multi_queue(struct store *store, const char *backend, bool *ret_multi_queue)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	struct disk_options options = {.multi_queue = true};
	struct problem ignored;
	int r = read_features_off(&dir, &options, &ignored);

	if (r == 0)
		*ret_multi_queue = options.multi_queue;
	return r;
}

int options_read(struct store *store, const char *backend, enum cache_mode default_cache,
	struct disk_options *ret_options, struct problem *ret_problem)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = backend};
	struct disk_options options = {.cache = default_cache,
		.persistent = true,
		.flush = true,
		.barrier = true,
		.multi_queue = true,
		.indirect = true,
		.discard = true,
		.poll = {.budget_percent = POLL_BUDGET}};
	int r = read_cache_mode(&dir, &options, ret_problem);

	if (r == 0)
		r = read_features_off(&dir, &options, ret_problem);
	if (r == 0)
		r = read_transfer(&dir, &options, ret_problem);
	if (r == 0)
		r = read_discard_enable(&dir, &options, ret_problem);
	if (r == 0)
		r = read_engine(&dir, &options, ret_problem);
	if (r == 0)
		r = read_cpus(&dir, &options, ret_problem);
	if (r == 0)
		r = read_poll(&dir, &options.poll, ret_problem);
	if (r == 0)
		r = read_poll_budget(&dir, &options.poll, ret_problem);
	if (r == 0)
		r = read_policy(&dir, "on-error", &options.stop_on_error, ret_problem);
	if (r == 0)
		r = read_policy(&dir, "on-enospc", &options.stop_on_enospc, ret_problem);
	if (r == 0)
		r = read_emulated(&dir, &options, ret_problem);
	if (r == 0)
		r = read_timeout(&dir, &options, ret_problem);
	if (r)
		return r;
	/* D4: a disk without a write cache offers no flush. Who finds none takes every answered write for durable (R22). */
	if (cache_writes_through(options.cache))
		options.flush = options.barrier = false;
	else if (!options.flush && !options.barrier && cache_flushes(options.cache))
		options.cache = cache_mode_writing_through(options.cache);
	*ret_options = options;
	return 0;
}
