/*
 * The media at a moment once more, slowly, from the definitions: all operations there were are looked at, when each became
 * durable was worked out beforehand, and one state is drawn at random.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/crash/crash_model.h"
#include "tests/crash/stamp.h"

struct oracle {
	uint64_t *durable_at;   /* by operation; UINT64_MAX: never */
	struct candidate *pick; /* by sector, valid where .picked is the current round */
	unsigned *picked;
	unsigned round;
	struct numbers sectors; /* of this round */
	struct numbers present; /* requests: on the media in this state */
	struct numbers flushes; /* operations, by their start */
};

/* A flush that starts after its end and ends well; unless one that fails has ended in between. */
static uint64_t find_durable(
	const struct oracle *oracle, const struct model *m, const struct op *op)
{
	uint64_t best = UINT64_MAX;

	if (op->kind != OP_WRITE || !op->end || op->error)
		return best;
	if (op->fua)
		return op->end;
	for (size_t i = 0; i < oracle->flushes.n; i++) {
		const struct op *flush = &m->log->op[oracle->flushes.number[i]];

		if (flush->end && !flush->error && flush->start > op->end && flush->end < best)
			best = flush->end;
	}
	for (size_t i = 0; i < oracle->flushes.n; i++) {
		const struct op *flush = &m->log->op[oracle->flushes.number[i]];

		if (flush->end && flush->error && flush->end > op->end && flush->end < best)
			return UINT64_MAX;
	}
	return best;
}

struct oracle *oracle_create(const struct model *m)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	const struct crash_log *log = m->log;

	if (!oracle)
		abort();
	oracle->durable_at = calloc(log->nr_ops + 1, sizeof(*oracle->durable_at));
	oracle->pick = calloc(log->nr_sectors + 1, sizeof(*oracle->pick));
	oracle->picked = calloc(log->nr_sectors + 1, sizeof(*oracle->picked));
	if (!oracle->durable_at || !oracle->pick || !oracle->picked)
		abort();
	for (uint32_t i = 0; i < log->nr_ops; i++)
		if (log->op[i].start && log->op[i].kind == OP_FLUSH)
			numbers_add(&oracle->flushes, i);
	for (uint32_t i = 0; i < log->nr_ops; i++)
		oracle->durable_at[i] = find_durable(oracle, m, &log->op[i]);
	return oracle;
}

void oracle_destroy(struct oracle *oracle)
{
	if (!oracle)
		return;
	free(oracle->durable_at);
	free(oracle->pick);
	free(oracle->picked);
	free(oracle->sectors.number);
	free(oracle->present.number);
	free(oracle->flushes.number);
	free(oracle);
}

/* When the last write began that is certain to be on the sector. */
static uint64_t last_certain(const struct oracle *oracle, const struct model *m, uint32_t sector)
{
	const struct numbers *ops = &m->sector[sector].ops;
	uint64_t last = 0;

	for (size_t i = 0; i < ops->n; i++) {
		uint32_t nr = ops->number[i];

		if (oracle->durable_at[nr] <= m->now && m->log->op[nr].start > last)
			last = m->log->op[nr].start;
	}
	return last;
}

static uint32_t value_of(const struct op *op, uint32_t sector)
{
	return op->kind == OP_DISCARD ? STAMP_ZERO : op->value[sector - op->sector];
}

static bool model_knows(const struct sector *s, const struct candidate *c)
{
	for (size_t i = 0; i < s->nr_candidates; i++)
		if (s->candidate[i].op == c->op && s->candidate[i].value == c->value)
			return true;
	return false;
}

static void note_present(struct oracle *oracle, const struct model *m, uint32_t value)
{
	unsigned n;
	const uint32_t *part = crash_log_parts(m->log, &value, &n);

	for (unsigned i = 0; i < n; i++)
		if (part[i] != STAMP_INITIAL && part[i] != STAMP_ZERO)
			numbers_add(&oracle->present, part[i]);
}

/* One of all that may be there, each as likely. False if the model has others, or another number of them. */
static bool pick(struct oracle *oracle, const struct model *m, uint32_t sector,
	uint64_t (*random)(void *), void *state)
{
	const struct sector *s = &m->sector[sector];
	uint64_t last = last_certain(oracle, m, sector);
	size_t n = 0;

	if (last == 0) {
		oracle->pick[sector] = (struct candidate){0, STAMP_INITIAL};
		n = 1;
	}
	for (size_t i = 0; i < s->ops.n; i++) {
		const struct op *op = &m->log->op[s->ops.number[i]];
		struct candidate c = {s->ops.number[i], value_of(op, sector)};

		if (op->end && op->end <= m->now && op->end < last)
			continue;
		if (!model_knows(s, &c))
			return false;
		n++;
		if (random(state) % n == 0)
			oracle->pick[sector] = c;
	}
	oracle->picked[sector] = oracle->round;
	numbers_add(&oracle->sectors, sector);
	note_present(oracle, m, oracle->pick[sector].value);
	return n == s->nr_candidates;
}

static bool is_missing(const struct oracle *oracle, const struct model *m, uint32_t request)
{
	const struct request *req = &m->log->request[request];

	for (uint64_t i = req->sector; i < req->sector + req->nr_sectors; i++)
		if (oracle->picked[i] == oracle->round &&
			candidate_is_older(m, &oracle->pick[i], (uint32_t)i, request))
			return true;
	return false;
}

/* What is wrong with the state that was drawn is to be among what the model has found. */
static bool is_good(const struct oracle *oracle, const struct model *m)
{
	for (size_t i = 0; i < oracle->sectors.n; i++) {
		uint32_t sector = oracle->sectors.number[i];
		const struct numbers *promised = &m->sector[sector].promised;

		for (size_t j = 0; j < promised->n; j++)
			if (candidate_is_older(
				    m, &oracle->pick[sector], sector, promised->number[j]))
				return false;
	}
	for (size_t i = 0; i < m->unsettled.n; i++) {
		uint32_t before = m->unsettled.number[i];

		if (!order_requires(m, before) || !is_missing(oracle, m, before))
			continue;
		for (size_t j = 0; j < oracle->present.n; j++)
			if (order_demands(m, before, oracle->present.number[j]))
				return false;
	}
	return true;
}

bool oracle_try(struct oracle *oracle, struct model *m, uint64_t (*random)(void *), void *state)
{
	oracle->round++;
	oracle->sectors.n = 0;
	oracle->present.n = 0;
	for (uint32_t nr = 0; nr < m->log->nr_ops; nr++) {
		const struct op *op = &m->log->op[nr];

		if (!op->start || op->start > m->now || op->kind == OP_FLUSH ||
			oracle->durable_at[nr] <= m->now)
			continue;
		for (uint32_t i = 0; i < op->nr_sectors; i++)
			if (oracle->picked[op->sector + i] != oracle->round &&
				!pick(oracle, m, (uint32_t)op->sector + i, random, state))
				return false;
	}
	return is_good(oracle, m) || m->nr_violations > 0;
}
