#include "tests/lib/pass.h"

#include <unistd.h>

#include "backend/data/queue_impl.h"

void pass_run(struct loop *loop)
{
	for (unsigned i = 0; i < 2 * loop->ring.nr_slots; i++)
		if (!queue_poll_once(loop->queue))
			return;
	fail_msg("the queue never comes to rest");
}

unsigned pass_take_together(struct loop *loop)
{
	unsigned before = (unsigned)queue_stats(loop->queue).in_flight;

	loop->queue->take_limit = LIMIT_TAKE_PER_PASS;
	loop_push(loop);
	assert_true(queue_poll_once(loop->queue));
	return (unsigned)queue_stats(loop->queue).in_flight - before;
}

void pass_push_together(struct loop *loop)
{
	loop->queue->take_limit = LIMIT_TAKE_PER_PASS;
	pass_push(loop);
}

void pass_push(struct loop *loop)
{
	loop_push(loop);
	pass_run(loop);
}

void pass_end(struct loop *loop, struct fake_engine *fake, enum engine_verb verb, int error)
{
	fake_engine_end(fake, verb, error);
	pass_run(loop);
}

void pass_end_all(struct loop *loop, struct fake_engine *fake)
{
	fake_engine_end_all(fake);
	pass_run(loop);
}

bool pass_step(struct loop *loop, const struct fake_engine *fake, bool *awake)
{
	struct queue *q = loop->queue;
	uint64_t count;

	*awake |= fake->nr_done > 0;
	if (read(q->wake_fd, &count, sizeof(count)) == sizeof(count)) {
		q->look = true;
		*awake = true;
	}
	if (!*awake)
		return false;
	*awake = queue_poll_once(q);
	/* Before it sleeps it looks for requests, if it may take any. */
	if (!queue_is_held_up(q) && q->waiting.n == 0 && backring_available(&q->ring) > 0)
		*awake = true;
	return true;
}

void pass_expect_rest(const struct loop *loop)
{
	struct queue_stats stats = queue_stats(loop->queue);

	assert_true(queue_is_idle(loop->queue));
	assert_int_equal(loop->queue->buffers.nr_free, LIMIT_COPY_CHUNKS);
	assert_int_equal(loop->queue->waiting.n, 0);
	assert_int_equal(stats.in_flight, 0);
	assert_int_equal(stats.reads_taken, stats.reads_answered);
	assert_int_equal(stats.writes_taken, stats.writes_answered);
}
