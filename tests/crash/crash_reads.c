#include "tests/crash/crash_reads.h"

#include "tests/crash/stamp.h"

/* A write that was submitted after @answer and answered before @submit; 0: there is none. */
static uint32_t written_between(
	const struct model *m, const struct sector *s, uint64_t answer, uint64_t submit)
{
	for (size_t i = s->written.n; i > 0; i--) {
		const struct request *req = &m->log->request[s->written.number[i - 1]];

		if (answer && req->answer < answer)
			break;
		if (req->answer < submit && req->submit > answer)
			return s->written.number[i - 1];
	}
	return 0;
}

/* Whatever discard may have made the zeros that were found: one that is not too old is enough. */
static uint32_t missed_by_discards(
	const struct model *m, const struct sector *s, const struct request *read)
{
	uint32_t missed = STAMP_BAD;

	for (size_t i = s->discards.n; i > 0; i--) {
		const struct request *req = &m->log->request[s->discards.number[i - 1]];
		uint64_t answer = req->answer ? req->answer : UINT64_MAX;

		if (answer >= read->submit)
			return 0;
		missed = written_between(m, s, answer, read->submit);
		if (missed == 0)
			return 0;
	}
	return missed;
}

static uint32_t missed_by(const struct model *m, const struct sector *s, uint64_t sector,
	uint32_t value, const struct request *read)
{
	const struct request *req;
	uint64_t answer;

	if (value == STAMP_ZERO)
		return missed_by_discards(m, s, read);
	if (value == STAMP_INITIAL)
		return written_between(m, s, 0, read->submit);
	if (value >= m->log->nr_requests)
		return STAMP_BAD;
	req = &m->log->request[value];
	if (!req->submit || req->submit > m->now || !request_has_data(req) ||
		sector < req->sector || sector - req->sector >= req->nr_sectors)
		return STAMP_BAD;
	answer = req->answer && req->answer < m->now ? req->answer : UINT64_MAX;
	return answer >= read->submit ? 0 : written_between(m, s, answer, read->submit);
}

static bool is_beside(const struct request *req, const struct request *read)
{
	return !req->answer || req->answer > read->submit;
}

/* A discard makes zeros, too. */
static bool is_just_made(
	const struct model *m, const struct sector *s, uint32_t value, const struct request *read)
{
	if (value < m->log->nr_requests)
		return value != STAMP_INITIAL && is_beside(&m->log->request[value], read);
	for (size_t i = 0; i < s->discards.n; i++)
		if (is_beside(&m->log->request[s->discards.number[i]], read))
			return true;
	return false;
}

/*
 * The page cache copies to a reader what a writer is just copying into it: such a read may find a sector that is torn. A read of the
 * disk itself never does.
 */
static uint32_t missed_by_parts(const struct model *m, const struct sector *s, uint64_t sector,
	uint32_t value, const struct request *read)
{
	unsigned n;
	const uint32_t *part = crash_log_parts(m->log, &value, &n);
	uint32_t missed = missed_by(m, s, sector, part[0], read);

	if (n == 1 || missed != 0)
		return missed;
	if (!uses_page_cache(m) ||
		(!is_just_made(m, s, part[0], read) && !is_just_made(m, s, part[1], read)))
		return STAMP_BAD;
	return missed_by(m, s, sector, part[1], read);
}

void reads_check(struct model *m, uint32_t request)
{
	const struct request *read = &m->log->request[request];

	for (uint32_t i = 0; i < read->nr_sectors; i++) {
		uint64_t sector = read->sector + i;
		uint32_t missed =
			missed_by_parts(m, &m->sector[sector], sector, read->value[i], read);

		if (missed == 0)
			continue;
		model_violation(m,
			(struct violation){
				.rule = 'r',
				.sector = (uint32_t)sector,
				.missing = missed == STAMP_BAD ? 0 : missed,
				.instead = read->value[i],
				.by = request,
				.why = "was answered before the read was submitted, which found something else",
			});
		return;
	}
}
