#include "tests/crash/crash_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/stamp.h"

#define MAX_VIOLATIONS 1000u

static void *zeroed(size_t n, size_t size)
{
	void *memory = calloc(n ? n : 1, size);

	if (!memory) {
		(void)fputs("crash-check: no memory\n", stderr);
		exit(2);
	}
	return memory;
}

void numbers_add(struct numbers *list, uint32_t number)
{
	list->number = grow(list->number, list->n, sizeof(*list->number));
	list->number[list->n++] = number;
}

static void numbers_add_once(struct numbers *list, uint32_t number)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->number[i] == number)
			return;
	numbers_add(list, number);
}

/* Without regard to their order. */
void numbers_remove_at(struct numbers *list, size_t i)
{
	list->number[i] = list->number[--list->n];
}

static void add_candidate(struct sector *sector, uint32_t op, uint32_t value)
{
	sector->candidate =
		grow(sector->candidate, sector->nr_candidates, sizeof(*sector->candidate));
	sector->candidate[sector->nr_candidates++] = (struct candidate){op, value};
}

void model_init(struct model *m, const struct crash_log *log)
{
	*m = (struct model){.log = log};
	m->sector = zeroed(log->nr_sectors, sizeof(*m->sector));
	m->fate = zeroed(log->nr_requests, sizeof(*m->fate));
	m->course = zeroed(log->nr_ops, sizeof(*m->course));
	for (uint64_t i = 0; i < log->nr_sectors; i++)
		add_candidate(&m->sector[i], 0, STAMP_INITIAL);
	guest_connect(m);
	m->connection = 0;
}

void model_fini(struct model *m)
{
	for (uint64_t i = 0; i < m->log->nr_sectors; i++) {
		free(m->sector[i].candidate);
		free(m->sector[i].promised.number);
		free(m->sector[i].written.number);
		free(m->sector[i].discards.number);
		free(m->sector[i].ops.number);
	}
	for (size_t i = 0; i < m->log->nr_ops; i++)
		free(m->course[i].asked.number);
	for (size_t i = 0; i < m->nr_rings; i++)
		free(m->ring[i].barrier);
	free(m->sector);
	free(m->fate);
	free(m->course);
	free(m->ring);
	free(m->unpromised.number);
	free(m->unsettled.number);
	free(m->discarding.number);
	free(m->ended.number);
	free(m->violation);
}

void model_violation(struct model *m, struct violation violation)
{
	violation.tick = m->now;
	if (m->nr_violations == MAX_VIOLATIONS)
		return;
	m->violation = grow(m->violation, m->nr_violations, sizeof(*m->violation));
	m->violation[m->nr_violations++] = violation;
}

/* ---- who is older ----------------------------------------------------------------------------- */

bool request_has_data(const struct request *req)
{
	return req->nr_sectors > 0 && req->kind != REQUEST_READ && req->kind != REQUEST_DISCARD;
}

bool request_is_older(const struct model *m, uint32_t a, uint32_t b)
{
	const struct request *older = &m->log->request[a], *newer = &m->log->request[b];
	const struct fate *fa = &m->fate[a], *fb = &m->fate[b];

	if (older->answer && older->answer < newer->submit)
		return true;
	if (fa->ring != fb->ring || !older->submit || !newer->submit)
		return false;
	return fa->barriers_ahead < fb->barriers_ahead ||
	       (fa->barriers_ahead == fb->barriers_ahead && newer->kind == REQUEST_BARRIER &&
		       fa->position < fb->position);
}

/* Zeros are as new as the newest discard that may have made them. */
static bool zeros_are_older(const struct model *m, uint32_t op, uint32_t request)
{
	const struct numbers *asked = &m->course[op].asked;

	for (size_t i = 0; i < asked->n; i++)
		if (!request_is_older(m, asked->number[i], request))
			return false;
	return true;
}

/*
 * What the page cache had of a sector is dropped by a discard of it, and what the disk has then may be older, since a discard need
 * not do anything. What was promised before it was asked for is on the disk already.
 */
static bool is_given_up(const struct model *m, uint32_t sector, uint32_t request)
{
	const struct numbers *discards = &m->sector[sector].discards;
	uint64_t promised = m->fate[request].promised_at;

	for (size_t i = 0; uses_page_cache(m) && i < discards->n; i++)
		if ((!promised || m->log->request[discards->number[i]].submit < promised) &&
			!request_is_older(m, discards->number[i], request))
			return true;
	return false;
}

static bool part_is_older(const struct model *m, uint32_t op, uint32_t value, uint32_t request)
{
	if (value == request)
		return false;
	if (value == STAMP_ZERO)
		return zeros_are_older(m, op, request);
	if (value == STAMP_INITIAL || value == STAMP_BAD)
		return true;
	return request_is_older(m, value, request);
}

bool candidate_is_older(
	const struct model *m, const struct candidate *c, uint32_t sector, uint32_t request)
{
	unsigned n;
	const uint32_t *part = crash_log_parts(m->log, &c->value, &n);

	if (is_given_up(m, sector, request))
		return false;
	return part_is_older(m, c->op, part[0], request) ||
	       (n > 1 && part_is_older(m, c->op, part[1], request));
}

/* ---- the media -------------------------------------------------------------------------------- */

/* A flush has failed that should have made the one durable that should be there. */
static bool is_lost(const struct model *m, uint32_t sector, uint32_t request)
{
	const struct sector *s = &m->sector[sector];

	for (size_t i = 0; i < s->nr_candidates; i++)
		if (s->candidate[i].value == request && m->course[s->candidate[i].op].lost)
			return true;
	return false;
}

/* A promise and a candidate meet, whichever of them came last. */
static void meet(struct model *m, uint32_t sector, const struct candidate *c, uint32_t request)
{
	const struct fate *fate = &m->fate[request];

	if (!candidate_is_older(m, c, sector, request))
		return;
	model_violation(m, (struct violation){
				   .rule = is_lost(m, sector, request) ? 'f' : fate->rule,
				   .sector = sector,
				   .missing = request,
				   .instead = c->value,
				   .by = fate->promised_by,
				   .op = c->op,
				   .why = "is promised, but something older may be there",
			   });
}

static void admit(struct model *m, uint32_t sector, uint32_t op, uint32_t value)
{
	struct sector *s = &m->sector[sector];
	struct candidate c = {op, value};

	add_candidate(s, op, value);
	numbers_add(&s->ops, op);
	for (size_t i = 0; i < s->promised.n; i++)
		meet(m, sector, &c, s->promised.number[i]);
}

/* What is not a request's data for this sector, or nobody asked for yet, must never reach the disk. */
static bool is_foreign(const struct model *m, uint32_t sector, uint32_t value)
{
	const struct request *req = &m->log->request[value];

	if (value == STAMP_INITIAL)
		return false;
	return value >= m->log->nr_requests || !req->submit || req->submit > m->now ||
	       !request_has_data(req) || sector < req->sector ||
	       sector - req->sector >= req->nr_sectors;
}

static bool covers(const struct request *req, uint64_t sector, uint32_t n)
{
	return req->sector <= sector && sector + n <= req->sector + req->nr_sectors;
}

/*
 * A block that was read, completed and written back has what its neighbours had: zeros, too, which are as new as they were. The page
 * cache has them as soon as the discard is under way, before the disk hears of it. False if there cannot be any.
 */
static bool inherit_zeros(struct model *m, uint32_t nr, uint32_t sector)
{
	const struct sector *s = &m->sector[sector];
	bool found = false;

	for (size_t i = 0; uses_page_cache(m) && i < m->discarding.n; i++)
		if (covers(&m->log->request[m->discarding.number[i]], sector, 1)) {
			found = true;
			numbers_add_once(&m->course[nr].asked, m->discarding.number[i]);
		}

	for (size_t i = 0; i < s->nr_candidates; i++) {
		const struct numbers *asked = &m->course[s->candidate[i].op].asked;

		if (s->candidate[i].value != STAMP_ZERO || s->candidate[i].op == nr)
			continue;
		found = true;
		for (size_t j = 0; j < asked->n; j++)
			numbers_add_once(&m->course[nr].asked, asked->number[j]);
	}
	return found;
}

static bool may_be_written(struct model *m, uint32_t nr, uint32_t sector, uint32_t value)
{
	if (value == STAMP_ZERO)
		return inherit_zeros(m, nr, sector);
	return value != STAMP_BAD && !is_foreign(m, sector, value);
}

/* The page cache is written to the disk while somebody copies something new into it: a sector may be torn then, and is written again. */
static void write_sector(struct model *m, uint32_t nr, uint32_t sector, uint32_t value)
{
	unsigned n;
	const uint32_t *part = crash_log_parts(m->log, &value, &n);
	bool good = n == 1 || uses_page_cache(m);

	for (unsigned i = 0; i < n; i++)
		good = good && may_be_written(m, nr, sector, part[i]);
	if (!good) {
		model_violation(m, (struct violation){.rule = 'd',
					   .sector = sector,
					   .instead = value,
					   .op = nr,
					   .why = "is written with what nobody asked for"});
		return;
	}
	admit(m, sector, nr, value);
	for (unsigned i = 0; i < n; i++)
		if (part[i] != STAMP_INITIAL && part[i] != STAMP_ZERO && !m->fate[part[i]].began) {
			m->fate[part[i]].began = m->now;
			order_began(m, part[i]);
		}
}

static void start_discard(struct model *m, uint32_t nr)
{
	const struct op *op = &m->log->op[nr];
	struct course *course = &m->course[nr];

	for (size_t i = 0; i < m->discarding.n; i++)
		if (covers(&m->log->request[m->discarding.number[i]], op->sector, op->nr_sectors))
			numbers_add(&course->asked, m->discarding.number[i]);
	if (course->asked.n == 0)
		model_violation(m, (struct violation){.rule = 'd',
					   .sector = (uint32_t)op->sector,
					   .instead = STAMP_ZERO,
					   .op = nr,
					   .why = "is discarded, and nobody asked for that"});
	for (uint32_t i = 0; i < op->nr_sectors; i++)
		admit(m, (uint32_t)op->sector + i, nr, STAMP_ZERO);
	/* Which of several it is for nobody can tell: then it proves nothing about their order. */
	if (course->asked.n == 1 && !m->fate[course->asked.number[0]].began) {
		m->fate[course->asked.number[0]].began = m->now;
		order_began(m, course->asked.number[0]);
	}
}

void media_op_start(struct model *m, uint32_t nr)
{
	const struct op *op = &m->log->op[nr];

	if (op->kind == OP_DISCARD)
		start_discard(m, nr);
	if (op->kind != OP_WRITE)
		return;
	m->nr_volatile++;
	for (uint32_t i = 0; i < op->nr_sectors; i++)
		write_sector(m, nr, (uint32_t)op->sector + i, op->value[i]);
}

/* What was over when it started is gone from its sectors. */
static void make_durable(struct model *m, uint32_t nr)
{
	const struct op *op = &m->log->op[nr];

	m->course[nr].durable = true;
	m->nr_volatile--;
	for (uint32_t i = 0; i < op->nr_sectors; i++) {
		struct sector *s = &m->sector[op->sector + i];
		size_t kept = 0;

		for (size_t j = 0; j < s->nr_candidates; j++) {
			const struct op *other = &m->log->op[s->candidate[j].op];
			bool gone =
				s->candidate[j].op == 0 || (other->end && other->end < op->start);

			if (!gone)
				s->candidate[kept++] = s->candidate[j];
		}
		s->nr_candidates = kept;
	}
}

static void end_flush(struct model *m, const struct op *flush)
{
	size_t i = 0;

	m->latched |= flush->error != 0;
	while (i < m->ended.n) {
		uint32_t nr = m->ended.number[i];
		const struct op *op = &m->log->op[nr];

		if (!flush->error && op->end > flush->start) {
			i++;
			continue;
		}
		numbers_remove_at(&m->ended, i);
		if (flush->error)
			m->course[nr].lost = true;
		else
			make_durable(m, nr);
	}
}

static void fail_writers(struct model *m, const struct op *op)
{
	for (uint32_t i = 0; i < op->nr_sectors; i++) {
		unsigned n;
		const uint32_t *part = crash_log_parts(m->log, &op->value[i], &n);

		for (unsigned j = 0; j < n; j++)
			if (part[j] && part[j] < m->log->nr_requests)
				m->fate[part[j]].failed = true;
	}
}

void media_op_end(struct model *m, uint32_t nr)
{
	const struct op *op = &m->log->op[nr];

	if (op->kind == OP_FLUSH) {
		end_flush(m, op);
	} else if (op->kind == OP_WRITE && op->error) {
		/* From the page cache: what the guest was answered long ago is lost, of which the next flush tells. */
		m->latched |= uses_page_cache(m);
		fail_writers(m, op);
	} else if (op->kind == OP_WRITE && op->fua) {
		make_durable(m, nr);
	} else if (op->kind == OP_WRITE) {
		numbers_add(&m->ended, nr);
	}
}

/* ---- promises --------------------------------------------------------------------------------- */

static void promise(struct model *m, uint32_t request, char rule, uint32_t by)
{
	const struct request *req = &m->log->request[request];

	m->fate[request].rule = rule;
	m->fate[request].promised_by = by;
	m->fate[request].promised_at = m->now;
	for (uint64_t i = req->sector; i < req->sector + req->nr_sectors; i++) {
		struct sector *s = &m->sector[i];
		bool newer = false;

		for (size_t j = 0; j < s->promised.n;) {
			if (request_is_older(m, s->promised.number[j], request))
				numbers_remove_at(&s->promised, j);
			else
				newer |= request_is_older(m, request, s->promised.number[j++]);
		}
		if (newer)
			continue;
		numbers_add(&s->promised, request);
		for (size_t j = 0; j < s->nr_candidates; j++)
			meet(m, (uint32_t)i, &s->candidate[j], request);
	}
}

bool promises_flushes(const struct model *m)
{
	return m->mode != MODE_UNSAFE && m->next_mode != MODE_UNSAFE;
}

bool uses_page_cache(const struct model *m)
{
	return (m->mode != MODE_NONE && m->mode != MODE_DIRECTSYNC) ||
	       (m->next_mode != MODE_NONE && m->next_mode != MODE_DIRECTSYNC);
}

bool writes_through(const struct model *m)
{
	return (m->mode == MODE_DIRECTSYNC || m->mode == MODE_WRITETHROUGH) &&
	       (m->next_mode == MODE_DIRECTSYNC || m->next_mode == MODE_WRITETHROUGH);
}

static bool is_covered(const struct model *m, uint32_t request, uint32_t by)
{
	const struct request *req = &m->log->request[request], *flush = &m->log->request[by];
	const struct fate *fate = &m->fate[request], *fate_by = &m->fate[by];

	if (req->answer && req->answer < flush->submit)
		return req->status == 0;
	if (flush->kind != REQUEST_BARRIER)
		return false;
	if (request == by)
		return true;
	if (!order_requires(m, request) || order_abandoned(m, request, by))
		return false;
	return (fate->ring == fate_by->ring && fate->position < fate_by->position) ||
	       (fate->began && fate->began < fate_by->began);
}

/* Everything a flush or a barrier covers; @by 0: everything that was answered. */
static void promise_covered(struct model *m, char rule, uint32_t by)
{
	size_t i = 0;

	while (i < m->unpromised.n) {
		uint32_t request = m->unpromised.number[i];
		const struct request *req = &m->log->request[request];
		bool answered = req->answer && req->answer <= m->now;

		if (answered && req->status != 0) {
			numbers_remove_at(&m->unpromised, i);
		} else if (by ? is_covered(m, request, by) : answered) {
			numbers_remove_at(&m->unpromised, i);
			promise(m, request, rule, by);
		} else {
			i++;
		}
	}
}

/* ---- the guests ------------------------------------------------------------------------------- */

void guest_submit(struct model *m, uint32_t nr)
{
	const struct request *req = &m->log->request[nr];
	struct fate *fate = &m->fate[nr];
	struct ring *ring;

	fate->ring = m->connection * RINGS_PER_CONNECTION + req->queue;
	ring = &m->ring[fate->ring];
	fate->position = ring->nr_requests++;
	fate->barriers_ahead = (uint32_t)ring->nr_barriers;
	if (req->kind == REQUEST_BARRIER && promises_flushes(m)) {
		struct barrier b = {req->submit, nr, (uint32_t)ring->nr_barriers};

		if (req->nr_sectors == 0)
			b.last_with_data =
				ring->nr_barriers > 0
					? ring->barrier[ring->nr_barriers - 1].last_with_data
					: UINT32_MAX;
		ring->barrier = grow(ring->barrier, ring->nr_barriers, sizeof(*ring->barrier));
		ring->barrier[ring->nr_barriers++] = b;
	}
	if (req->kind == REQUEST_DISCARD) {
		numbers_add(&m->discarding, nr);
		for (uint64_t i = req->sector; i < req->sector + req->nr_sectors; i++)
			numbers_add(&m->sector[i].discards, nr);
	}
	if (!request_has_data(req))
		return;
	numbers_add(&m->unpromised, nr);
	if (promises_flushes(m))
		numbers_add(&m->unsettled, nr);
}

static void remove_number(struct numbers *list, uint32_t number)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->number[i] == number) {
			numbers_remove_at(list, i);
			return;
		}
}

void guest_answer(struct model *m, uint32_t nr)
{
	const struct request *req = &m->log->request[nr];
	struct fate *fate = &m->fate[nr];
	unsigned first = m->connection * RINGS_PER_CONNECTION;

	for (unsigned i = 0; i < RINGS_PER_CONNECTION; i++)
		fate->later[i] = (uint32_t)m->ring[first + i].nr_barriers;
	if (req->kind == REQUEST_DISCARD)
		remove_number(&m->discarding, nr);
	if (req->status != 0)
		return;
	for (uint64_t i = 0; request_has_data(req) && i < req->nr_sectors; i++)
		numbers_add(&m->sector[req->sector + i].written, nr);
	if (writes_through(m) && request_has_data(req) && !fate->rule) {
		remove_number(&m->unpromised, nr);
		promise(m, nr, 'b', nr);
	}
	if (req->kind == REQUEST_BARRIER && promises_flushes(m))
		promise_covered(m, 'c', nr);
	else if (req->kind == REQUEST_FLUSH && promises_flushes(m))
		promise_covered(m, 'a', nr);
}

/* A disk that begins to write through has everything that was answered. */
void guest_mode(struct model *m, unsigned mode, bool is_done)
{
	m->next_mode = mode;
	if (is_done)
		m->mode = mode;
	if (!promises_flushes(m))
		m->unsettled.n = 0;
	if (is_done && writes_through(m))
		promise_covered(m, 'b', 0);
}

/* What a failed flush has lost the toolstack was told of: the new disk vouches for what comes. */
void guest_attach(struct model *m)
{
	if (m->latched) {
		m->unpromised.n = 0;
		m->unsettled.n = 0;
	}
	m->latched = false;
}

void guest_connect(struct model *m)
{
	size_t n = m->nr_rings + RINGS_PER_CONNECTION;

	m->ring = realloc(m->ring, n * sizeof(*m->ring));
	if (!m->ring)
		abort();
	memset(m->ring + m->nr_rings, 0, RINGS_PER_CONNECTION * sizeof(*m->ring));
	m->nr_rings = n;
	m->connection++;
}

void guest_close(struct model *m)
{
	if (!m->latched)
		promise_covered(m, 'e', 0);
}
