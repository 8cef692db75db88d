/*
 * Rule (c): what stands behind a barrier must not reach the disk before what stands ahead of it is there for good.
 */
#include "tests/crash/crash_model.h"

static unsigned connection_of(uint32_t ring)
{
	return ring / RINGS_PER_CONNECTION;
}

/* A worker that died may have done half of what it did not answer: nothing of it is owed to later connections. */
bool order_abandoned(const struct model *m, uint32_t request, uint32_t by)
{
	return !m->log->request[request].answer &&
	       connection_of(m->fate[request].ring) < connection_of(m->fate[by].ring);
}

/* The first barrier of @ring that the request stands ahead of; a barrier's data stands right behind its own. */
static uint64_t first_behind(const struct model *m, uint32_t nr, uint32_t ring)
{
	const struct fate *fate = &m->fate[nr];
	const struct request *req = &m->log->request[nr];
	bool answered = req->answer && req->answer <= m->now && req->status == 0;

	if (fate->ring == ring)
		return fate->barriers_ahead;
	if (!answered || connection_of(ring) < connection_of(fate->ring))
		return UINT64_MAX;
	if (connection_of(ring) > connection_of(fate->ring))
		return 0;
	return fate->later[ring % RINGS_PER_CONNECTION];
}

/* One that was asked for while the mode promised nothing is none. */
static bool is_barrier(const struct ring *ring, size_t at, uint32_t nr)
{
	return at < ring->nr_barriers && ring->barrier[at].request == nr;
}

/* How many barriers of @ring it stands behind. Of other rings: those whose data came to the disk before it. */
static size_t nr_ahead(const struct model *m, uint32_t nr, uint32_t ring)
{
	const struct fate *fate = &m->fate[nr];
	const struct ring *r = &m->ring[ring];
	size_t n = r->nr_begun;

	if (fate->ring == ring)
		return fate->barriers_ahead + is_barrier(r, fate->barriers_ahead, nr);
	/* One without data leaves no trace there. */
	while (n > 0 && (m->fate[r->barrier[n - 1].request].began == 0 ||
				m->fate[r->barrier[n - 1].request].began > fate->began))
		n--;
	return n;
}

/* When the data of the last of those came to the disk; 0: it has not. */
static uint64_t last_began(const struct model *m, uint32_t ring, size_t n)
{
	const struct ring *r = &m->ring[ring];
	uint32_t last = n > 0 ? r->barrier[n - 1].last_with_data : UINT32_MAX;

	return last == UINT32_MAX ? 0 : m->fate[r->barrier[last].request].began;
}

bool order_demands(const struct model *m, uint32_t before, uint32_t after)
{
	const struct fate *fate = &m->fate[before];

	if (before == after || order_abandoned(m, before, after))
		return false;
	for (uint32_t ring = connection_of(fate->ring) * RINGS_PER_CONNECTION; ring < m->nr_rings;
		ring++) {
		size_t n = m->ring[ring].nr_barriers > 0 ? nr_ahead(m, after, ring) : 0;

		if (n == 0)
			continue;
		if (first_behind(m, before, ring) < n)
			return true;
		if (fate->began && fate->began < last_began(m, ring, n))
			return true;
	}
	return false;
}

/* A write that failed may be missing, and who was never answered may have failed. */
bool order_requires(const struct model *m, uint32_t request)
{
	const struct request *req = &m->log->request[request];

	return req->answer ? req->status == 0 : !m->fate[request].failed;
}

/* The sector of a request that may hold something older; UINT64_MAX: none. */
static uint64_t hole_in(const struct model *m, uint32_t nr, struct candidate *ret_instead)
{
	const struct request *req = &m->log->request[nr];

	for (uint64_t i = req->sector; i < req->sector + req->nr_sectors; i++) {
		const struct sector *s = &m->sector[i];

		for (size_t j = 0; j < s->nr_candidates; j++)
			if (candidate_is_older(m, &s->candidate[j], (uint32_t)i, nr)) {
				*ret_instead = s->candidate[j];
				return i;
			}
	}
	return UINT64_MAX;
}

static void note_barrier(struct model *m, uint32_t nr)
{
	struct ring *ring = &m->ring[m->fate[nr].ring];

	for (size_t i = ring->nr_barriers; i > ring->nr_begun; i--)
		if (ring->barrier[i - 1].request == nr) {
			ring->nr_begun = i;
			return;
		}
}

void order_began(struct model *m, uint32_t nr)
{
	struct candidate instead;

	if (!promises_flushes(m))
		return;
	if (m->log->request[nr].kind == REQUEST_BARRIER)
		note_barrier(m, nr);
	for (size_t i = 0; i < m->unsettled.n;) {
		uint32_t before = m->unsettled.number[i];
		uint64_t sector;

		if (m->fate[before].rule || !order_requires(m, before)) {
			numbers_remove_at(&m->unsettled, i);
			continue;
		}
		if (!order_demands(m, before, nr)) {
			i++;
			continue;
		}
		sector = hole_in(m, before, &instead);
		numbers_remove_at(&m->unsettled, i);
		if (sector == UINT64_MAX)
			continue;
		model_violation(m,
			(struct violation){
				.rule = 'c',
				.sector = (uint32_t)sector,
				.missing = before,
				.instead = instead.value,
				.by = nr,
				.op = instead.op,
				.why = "stands ahead of a barrier and may be missing, while what stands behind it may be there",
			});
	}
}
