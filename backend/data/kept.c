/*
 * Requests that the storage could not do, kept unanswered until an operator has made room, or whatever it takes (D9). Queue
 * thread only.
 *
 * The first one stops the disk: no queue takes anything more, until control lets it go on. Then each is done again, as if it had
 * just been started; what is behind a barrier has waited for it all the time. A queue that is to end tries once more, and
 * answers what it gets.
 */
#include <errno.h>

#include "backend/data/queue_impl.h"

static bool stops(const struct queue *q, int error)
{
	if (atomic_load(&q->stop) || atomic_load(&q->keeps_no_more))
		return false;
	return error == -ENOSPC || error == -EDQUOT ? q->cfg.stop_on_enospc : q->cfg.stop_on_error;
}

/* What it did was to write: not to read what its block has beside its data. */
static bool is_write(const struct slot *slot)
{
	return slot->req.op != BLKIF_OP_READ && slot->edge == EDGE_NONE;
}

bool kept_take(struct queue *q, const struct engine_done *done)
{
	struct slot *slot = &q->slot[done->tag];

	/* Several at once are done again one by one first. A discard promises nothing. On a latched disk every write fails (D5). */
	if (!done->error || !stops(q, done->error) || (is_write(slot) && q->order.faulty) ||
		slot->next != SLOT_NONE || slot->req.op == BLKIF_OP_DISCARD ||
		(is_write(slot) && io_loses_writes(q, done)))
		return false;
	slot->state = SLOT_KEPT;
	q->kept.slot[q->kept.n++] = (uint16_t)done->tag;
	stat_set(&q->stats.kept, q->kept.n);
	stat_set(&q->stats.last_kept_error, (uint64_t)-done->error);
	disk_stop(q->disk, q->cfg.index);
	queue_report(q);
	return true;
}

bool kept_may_go(const struct queue *q, uint32_t gate)
{
	/* Nor while the storage is control's (D7): a read that is kept has not kept this queue from being quiet. */
	return q->kept.n > 0 && !(gate & ORDER_GATE_QUIET) && !q->order.quiet &&
	       (!(gate & ORDER_GATE_STOPPED) || atomic_load(&q->stop));
}

void kept_go(struct queue *q)
{
	unsigned n = q->kept.n;

	q->kept.n = 0;
	stat_set(&q->stats.kept, 0);
	/* They end later than this, so the list does not grow meanwhile. */
	for (unsigned i = 0; i < n; i++) {
		unsigned s = q->kept.slot[i];

		if (q->order.faulty && q->slot[s].req.op != BLKIF_OP_READ)
			io_give_up(q, s);
		else
			io_start_again(q, s);
	}
}
