/*
 * One pass of a queue, driven by hand: what it takes, submits, pushes and notifies; on an engine that
 * finishes what and when the test says. Chosen orders of events that no real storage can be asked for.
 */
#include "tests/lib/loop.h"

#include <errno.h>
#include <string.h>

#include "backend/data/queue_impl.h"

/* ---- an engine that does nothing by itself ----------------------------------------------------- */

struct fake {
	struct engine base;
	struct engine *real;
	unsigned nr_puts, nr_commits, nr_writes, nr_reads, nr_syncs;
	unsigned nr_flying;
	uint32_t flying[LIMIT_SLOTS + 1]; /* tags, oldest first */
	enum engine_verb verb[LIMIT_SLOTS + 1];
	unsigned nr_done;
	struct engine_done done[LIMIT_SLOTS + 1];
};

static void fake_put(struct engine *e, const struct engine_io *io)
{
	struct fake *fake = (struct fake *)e;

	assert_in_range(fake->nr_flying, 0, LIMIT_SLOTS);
	fake->flying[fake->nr_flying] = io->tag;
	fake->verb[fake->nr_flying++] = io->verb;
	fake->nr_puts++;
	fake->nr_writes += io->verb == ENGINE_WRITE;
	fake->nr_reads += io->verb == ENGINE_READ;
	fake->nr_syncs += io->verb == ENGINE_SYNC;
}

static void fake_commit(struct engine *e)
{
	((struct fake *)e)->nr_commits++;
}

static unsigned fake_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	struct fake *fake = (struct fake *)e;
	unsigned n = fake->nr_done;

	assert_in_range(n, 0, max);
	memcpy(done, fake->done, n * sizeof(*done));
	fake->nr_done = 0;
	return n;
}

static int fake_fd(const struct engine *e)
{
	const struct fake *fake = (const struct fake *)e;

	return fake->real->ops->fd(fake->real);
}

static unsigned fake_in_flight(const struct engine *e)
{
	const struct fake *fake = (const struct fake *)e;

	return fake->nr_flying + fake->nr_done;
}

static void fake_destroy(struct engine *e)
{
	struct fake *fake = (struct fake *)e;

	fake->real->ops->destroy(fake->real);
}

static const struct engine_ops fake_ops = {
	fake_put, fake_commit, fake_reap, fake_fd, fake_in_flight, fake_destroy};

/* The oldest of that verb ends. */
static void end_one(struct fake *fake, enum engine_verb verb, int error)
{
	for (unsigned i = 0; i < fake->nr_flying; i++) {
		if (fake->verb[i] != verb)
			continue;
		fake->done[fake->nr_done++] =
			(struct engine_done){.tag = fake->flying[i], .error = error};
		fake->nr_flying--;
		memmove(&fake->flying[i], &fake->flying[i + 1],
			(fake->nr_flying - i) * sizeof(fake->flying[0]));
		memmove(&fake->verb[i], &fake->verb[i + 1],
			(fake->nr_flying - i) * sizeof(fake->verb[0]));
		return;
	}
	fail_msg("nothing of verb %d is in flight", verb);
}

static void end_all(struct fake *fake)
{
	while (fake->nr_flying > 0)
		end_one(fake, fake->verb[0], 0);
}

/* ---- the test ---------------------------------------------------------------------------------- */

static struct loop loop;
static struct fake fake;

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	fake = (struct fake){.base.ops = &fake_ops, .real = loop.queue->engine};
	loop.queue->engine = &fake.base;
	(void)loop_take_events(&loop);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

/* Until a pass finds nothing. Bounded: a pass that always has more would never sleep. */
static void run(void)
{
	for (unsigned i = 0; i < 100; i++)
		if (!queue_poll_once(loop.queue))
			return;
	fail_msg("the queue never comes to rest");
}

static unsigned nr_responses(int16_t status)
{
	struct frontring_response rsp;
	unsigned n = 0;

	while (loop_get(&loop, &rsp)) {
		assert_int_equal(rsp.status, status);
		assert_true(rsp.padding_is_zero);
		n++;
	}
	return n;
}

/* A ring full of writes: all taken in one pass, one commit; all ended: one push, one event. */
static void test_batches(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LIMIT_SLOTS; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 8, i, 1);
	loop_push(&loop);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_puts, LIMIT_SLOTS);
	assert_int_equal(fake.nr_commits, 1);
	assert_int_equal(loop.ring.shared->rsp_prod, 0);

	end_all(&fake);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(loop.ring.shared->rsp_prod, LIMIT_SLOTS);
	assert_int_equal(loop_take_events(&loop), 1);
	assert_int_equal(queue_stats(loop.queue).notifications, 1);
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), LIMIT_SLOTS);
	run();
}

/* Answers that end in different passes are published at once; events only when asked for. */
static void test_notifies_who_asked(void **state)
{
	(void)state;
	loop.ring.shared->rsp_event = 3; /* wake me with the third */
	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 8, i, 1);
	loop_push(&loop);
	run();
	for (unsigned i = 1; i <= 4; i++) {
		end_one(&fake, ENGINE_WRITE, 0);
		run();
		assert_int_equal(loop.ring.shared->rsp_prod, i);
		assert_int_equal(loop_take_events(&loop), i == 3);
	}
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 4);
}

/* Nothing to do: nothing is published, nobody is woken, and the queue says it may sleep. */
static void test_idle(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_false(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_puts, 0);
	assert_int_equal(loop.ring.shared->rsp_prod, 0);
	assert_int_equal(loop_take_events(&loop), 0);
}

/* A pass takes no more than a ring; the ring refilled meanwhile waits for the next. */
static void test_bounded_work(void **state)
{
	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < LIMIT_SLOTS; i++)
			loop_put(&loop, i, BLKIF_OP_READ, 0, i, 1);
		loop_push(&loop);
		assert_true(queue_poll_once(loop.queue));
		assert_int_equal(fake.nr_puts, round * LIMIT_SLOTS);
		end_all(&fake);
		assert_true(queue_poll_once(loop.queue));
		assert_int_equal(nr_responses(BLKIF_RSP_OKAY), LIMIT_SLOTS);
	}
	run();
}

/* D3: a write asked during a running fdatasync does not wait for it. FUSE cannot show this. */
static void test_flush_holds_up_no_write(void **state)
{
	(void)state;
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	loop_push(&loop);
	run();
	assert_int_equal(fake.nr_syncs, 1);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 0, 0, 1);
	loop_push(&loop);
	run();
	assert_int_equal(fake.nr_writes, 1);
	end_one(&fake, ENGINE_WRITE, 0);
	run();
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 1);
	end_one(&fake, ENGINE_SYNC, 0);
	run();
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 1);
}

/* D2: a write asked while the barrier's first fdatasync runs stays behind it. Nor can this. */
static void test_barrier_holds_write_during_sync(void **state)
{
	(void)state;
	loop_put(&loop, 1, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	loop_push(&loop);
	run();
	assert_int_equal(fake.nr_syncs, 1);
	assert_int_equal(fake.nr_writes, 0);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 8, 1, 1);
	loop_put(&loop, 3, BLKIF_OP_READ, 8, 2, 1);
	loop_push(&loop);
	run();
	assert_int_equal(fake.nr_writes, 0);
	assert_int_equal(fake.nr_reads, 1);
	end_one(&fake, ENGINE_SYNC, 0);
	run();
	assert_int_equal(fake.nr_writes, 1);
	end_one(&fake, ENGINE_WRITE, 0);
	run();
	assert_int_equal(fake.nr_syncs, 2);
	assert_int_equal(fake.nr_writes, 1);
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 0);
	end_one(&fake, ENGINE_SYNC, 0);
	run();
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 1);
	assert_int_equal(fake.nr_writes, 2);
	end_all(&fake);
	run();
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), 2);
}

/*
 * Barriers only, asked together, and nothing else that would wake the queue: each goes its way to the
 * end although no event comes in between.
 */
static void test_barriers_need_no_company(void **state)
{
	const unsigned nr_barriers = 5;

	(void)state;
	for (unsigned i = 0; i < nr_barriers; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE_BARRIER, i * 8, i, i % 2);
	loop_push(&loop);
	run();
	for (unsigned i = 0; i < 100 && fake.nr_flying > 0; i++) {
		assert_int_equal(fake.nr_flying, 1);
		end_all(&fake);
		run();
	}
	assert_int_equal(nr_responses(BLKIF_RSP_OKAY), nr_barriers);
	assert_int_equal(fake.nr_syncs, 3 + 2 * 2);
}

/* Each error of the storage becomes the answer of its own request. */
static void test_errors_go_to_their_requests(void **state)
{
	struct frontring_response rsp;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		loop_put(&loop, i, i == 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, i * 8, i, 1);
	loop_push(&loop);
	run();
	end_one(&fake, ENGINE_READ, -EIO);
	end_all(&fake);
	run();
	for (unsigned i = 0; i < 3; i++) {
		assert_true(loop_get(&loop, &rsp));
		assert_int_equal(rsp.status, rsp.id == 1 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
	assert_int_equal(queue_stats(loop.queue).failed_reads, 1);
	assert_true(queue_take_report(loop.queue));
	assert_false(queue_take_report(loop.queue));
}

#define PASS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(test_batches),
		PASS_TEST(test_notifies_who_asked),
		PASS_TEST(test_idle),
		PASS_TEST(test_bounded_work),
		PASS_TEST(test_flush_holds_up_no_write),
		PASS_TEST(test_barrier_holds_write_during_sync),
		PASS_TEST(test_barriers_need_no_company),
		PASS_TEST(test_errors_go_to_their_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
