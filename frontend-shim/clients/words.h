/*
 * The words of one blkfront-io command and what they stand for.
 *
 * One thread. Points into the caller's text. Parsers return 0, or -EINVAL after telling standard error
 * what is wrong: they serve a program for people.
 */
#ifndef FRONTEND_SHIM_CLIENTS_WORDS_H
#define FRONTEND_SHIM_CLIENTS_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend-shim/clients/pattern.h"
#include "ring/request.h"

#define BLKFRONT_WORDS_MAX 16

struct blkfront_words {
	const char *verb; /* NULL: an empty line or a comment */
	unsigned nr;
	char *word[BLKFRONT_WORDS_MAX];
};

/* Cut @text into words. "async" before the verb is taken out. */
int blkfront_words_split(struct blkfront_words *words, char *text, bool *ret_async)
	__attribute__((nonnull, warn_unused_result));

/* Say what is wrong with the command and return -EINVAL. */
int blkfront_words_bad(const struct blkfront_words *words, const char *format, ...)
	__attribute__((nonnull, format(printf, 2, 3)));

/* The value of "key=value" among the words behind the first @nr_plain, or NULL. */
const char *blkfront_words_option(const struct blkfront_words *words, unsigned nr_plain,
	const char *key) __attribute__((nonnull));

/* There are @nr_plain words, and behind them only options with one of @keys (NULL at the end). */
int blkfront_words_check(const struct blkfront_words *words, unsigned nr_plain,
	const char *const *keys) __attribute__((nonnull, warn_unused_result));

/* A number up to @max, decimal or 0x; "-1" counts back from 2^64. */
int blkfront_words_number(const struct blkfront_words *words, const char *text, uint64_t max,
	uint64_t *ret_value) __attribute__((nonnull, warn_unused_result));

/* A slot's bytes in hex; those not given are zero. */
int blkfront_words_slot(const struct blkfront_words *words, const char *text,
	struct wire_slot *ret_slot) __attribute__((nonnull, warn_unused_result));

/* "0-7,3-3": at most eleven pairs of first and last, of any values up to 255. */
int blkfront_words_segments(const struct blkfront_words *words, const char *text,
	struct blk_segment *ret_seg, unsigned *ret_n) __attribute__((nonnull, warn_unused_result));

/*
 * A made-up request of the options op, indirect, nr_segments, sector, id, segs, gref and descriptor: every field may have
 * any value. Its grants are @data_gref and, for what an indirect one keeps its segments in, @descriptor_gref, unless
 * there are others given.
 */
int blkfront_words_request(const struct blkfront_words *words, uint32_t data_gref,
	uint32_t descriptor_gref, struct blk_request *ret_req) __attribute__((nonnull));

/* A byte, or "seed:N". */
int blkfront_words_pattern(const struct blkfront_words *words, const char *text,
	struct blkfront_pattern *ret_pattern) __attribute__((nonnull, warn_unused_result));

/* The number that is the only word behind the verb. -EINVAL when it is not. */
int blkfront_words_only_number(const struct blkfront_words *words, uint64_t max,
	uint64_t *ret_value) __attribute__((nonnull, warn_unused_result));

/* A status as a number on the wire, or "any". */
#define BLKFRONT_STATUS_ANY INT32_MAX
int blkfront_words_status(const struct blkfront_words *words, const char *text, int32_t *ret_status)
	__attribute__((nonnull, warn_unused_result));

#endif
