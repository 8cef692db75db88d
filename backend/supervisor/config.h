/*
 * blkbackd.conf: what is in it, and reading it. blkbackd.conf.5 describes every key.
 *
 * Main thread only. Plain data without pointers, so that a reload is an assignment. Never logs: a
 * problem names file, line and key, and what is allowed.
 */
#ifndef BACKEND_SUPERVISOR_CONFIG_H
#define BACKEND_SUPERVISOR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "backend/supervisor/restarts.h"
#include "backend/util/cache.h"
#include "backend/util/problem.h"

#define CONFIG_WORDS_MAX 8  /* words of a list */
#define CONFIG_WORD_MAX  63 /* bytes of one */
#define CONFIG_PATH_MAX  255

struct config_words {
	unsigned n;
	char word[CONFIG_WORDS_MAX][CONFIG_WORD_MAX + 1];
};

struct config {
	struct config_words kinds;   /* backend kinds that are watched */
	struct config_words scripts; /* hotplug scripts whose disks of kind vbd are ours */
	char worker[CONFIG_PATH_MAX + 1];
	char device_model[CONFIG_PATH_MAX + 1]; /* that blkback-qemu-dm becomes, or "auto" */
	bool debug;
	uint32_t max_queues;   /* of a disk; 0: the worker's default */
	uint32_t max_grants;   /* pages of guests that all workers may have mapped */
	enum cache_mode cache; /* of disks that do not say */
	struct restarts_rules restarts;
};

/* What holds for keys that are not given. */
void config_default(struct config *ret_config) __attribute__((nonnull));

/* True if @words has @word. */
bool config_has(const struct config_words *words, const char *word)
	__attribute__((nonnull, warn_unused_result));

/* Whether both have the same words, in the same order. */
bool config_same(const struct config_words *a, const struct config_words *b)
	__attribute__((nonnull));

/*
 * Read @file, which problems call @name. 0; -EINVAL for what it says; -errno from reading. On
 * failure @ret_config is as it was.
 */
int config_read(FILE *file, const char *name, struct config *ret_config,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* The same for the file @path. One that is missing is the defaults if @may_be_missing. */
int config_load(const char *path, bool may_be_missing, struct config *ret_config,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

#endif
