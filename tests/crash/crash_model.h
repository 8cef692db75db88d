/*
 * What a disk's media may hold at a moment, and what its guests have been promised by then. crash-check walks along
 * the events and tells the model of each.
 *
 * Media, at each moment, sector by sector: a write may be there from its start on. It is durable when a flush ends well that has started
 * after the write's end, or with its own end if it is a FUA. It has to be gone from a sector when another one is durable
 * there that started after its end. So what a sector may hold is a list of candidates, each of which may be the one, alone
 * or with any other volatile ones: sectors are torn apart at will, and whatever is concurrent comes in any order. A
 * discard is never durable: old data may come back. A flush that fails takes with it what it was to cover: that never
 * becomes durable.
 *
 * Promises: per sector, the requests of which one, or something not older, has to be there. It holds at every moment if it holds whenever a
 * candidate or a promise is added, because candidates only go otherwise.
 *
 * Requests: one is older than another if it was answered before the other one was submitted, or if a barrier of their
 * ring is between them.
 *
 * Plain data; the caller's thread.
 */
#ifndef TESTS_CRASH_CRASH_MODEL_H
#define TESTS_CRASH_CRASH_MODEL_H

#include "tests/crash/crash_log.h"

#define RINGS_PER_CONNECTION 8u

/* Who may be on a sector: an operation, which carried that stamp. Operation 0 is the disk as delivered. */
struct candidate {
	uint32_t op, value;
};

struct numbers {
	uint32_t *number;
	size_t n;
};

struct sector {
	struct candidate *candidate;
	size_t nr_candidates;
	struct numbers promised; /* requests, none of which is older than another */
	struct numbers written;  /* requests answered well, in the order of their answers */
	struct numbers discards; /* requests, in the order they were submitted */
	struct numbers ops;      /* all of them that there were */
};

/* What is known of a request beyond the log. */
struct fate {
	uint64_t began;       /* tick: something of it came to the disk; 0: nothing has */
	uint64_t promised_at; /* tick; 0: not yet */
	uint32_t ring, position;
	uint32_t barriers_ahead; /* in its ring */
	uint32_t later
		[RINGS_PER_CONNECTION]; /* in each ring, the first barrier submitted after its answer */
	uint32_t promised_by;           /* a request; 0: an event of another kind */
	char rule;                      /* it is promised by; 0: not yet */
	bool failed;                    /* at the disk */
};

struct barrier {
	uint64_t submit;
	uint32_t request;
	uint32_t
		last_with_data; /* it or the last one before it that has any; UINT32_MAX: none has */
};

struct ring {
	struct barrier *barrier;
	size_t nr_barriers;
	size_t nr_begun; /* the last whose data came to the disk, and those ahead of it */
	uint32_t nr_requests;
};

/* What is known of an operation beyond the log. */
struct course {
	struct numbers asked; /* of a discard: the requests it may be for */
	bool lost;            /* a flush that was to cover it has failed */
	bool durable;
};

struct violation {
	char rule;
	uint64_t tick;
	uint32_t sector;
	uint32_t missing, instead,
		by; /* requests: what should be there, what is found or has overtaken it, who promised */
	uint32_t op;
	const char *why;
};

struct model {
	const struct crash_log *log;
	struct sector *sector;
	struct fate *fate;
	struct course *course;
	struct ring *ring;
	size_t nr_rings;
	unsigned connection;
	unsigned mode, next_mode; /* different while it changes */
	bool latched; /* data was lost since the disk was attached, as a flush has told or is going to */
	uint64_t now;

	struct numbers unpromised; /* requests with data that are promised by nothing yet */
	struct numbers
		unsettled; /* ... that may not be there, but should before what follows a barrier */
	struct numbers discarding; /* discards that are not answered */
	struct numbers ended;      /* operations that are over, but not durable */
	uint64_t nr_volatile;      /* writes that have begun and are not durable */

	struct violation *violation;
	size_t nr_violations;
};

void model_init(struct model *m, const struct crash_log *log) __attribute__((nonnull));
void model_fini(struct model *m) __attribute__((nonnull));

/* The media. */
void media_op_start(struct model *m, uint32_t op) __attribute__((nonnull));
void media_op_end(struct model *m, uint32_t op) __attribute__((nonnull));

/* The guests. */
void guest_submit(struct model *m, uint32_t request) __attribute__((nonnull));
void guest_answer(struct model *m, uint32_t request) __attribute__((nonnull));
void guest_mode(struct model *m, unsigned mode, bool is_done) __attribute__((nonnull));
void guest_attach(struct model *m) __attribute__((nonnull));
void guest_connect(struct model *m) __attribute__((nonnull));
void guest_close(struct model *m) __attribute__((nonnull));

/* Whether the mode promises anything of the kind now. */
bool promises_flushes(const struct model *m) __attribute__((nonnull));
bool writes_through(const struct model *m) __attribute__((nonnull));
bool uses_page_cache(const struct model *m) __attribute__((nonnull));

/* Something of a request came to the disk just now. */
void order_began(struct model *m, uint32_t request) __attribute__((nonnull));

/* Whether it has to be there before that of which something came to the disk. */
bool order_demands(const struct model *m, uint32_t before, uint32_t after) __attribute__((nonnull));

/* A request of which all sectors hold it or something not older is needed there by rule (c). */
bool order_requires(const struct model *m, uint32_t request) __attribute__((nonnull));

bool order_abandoned(const struct model *m, uint32_t request, uint32_t by) __attribute__((nonnull));

bool request_is_older(const struct model *m, uint32_t a, uint32_t b) __attribute__((nonnull));
bool candidate_is_older(const struct model *m, const struct candidate *c, uint32_t sector,
	uint32_t request) __attribute__((nonnull));
bool request_has_data(const struct request *req) __attribute__((nonnull));

void numbers_add(struct numbers *list, uint32_t number) __attribute__((nonnull));
void numbers_remove_at(struct numbers *list, size_t i) __attribute__((nonnull));

void model_violation(struct model *m, struct violation violation) __attribute__((nonnull));

/*
 * The same once more from the definitions, for a random state of the media at the end of the log or before: what
 * incremental bookkeeping may get wrong. False if the two disagree about what there may be.
 */
struct oracle;
struct oracle *oracle_create(const struct model *m) __attribute__((nonnull));
bool oracle_try(struct oracle *oracle, struct model *m, uint64_t (*random)(void *), void *state)
	__attribute__((nonnull(1, 2, 3)));
void oracle_destroy(struct oracle *oracle);

#endif
