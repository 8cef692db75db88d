/*
 * One pass of a queue, driven by hand: what it takes, submits, pushes and notifies; on an engine that
 * finishes what and when the test says. Chosen orders of events that no real storage can be asked for.
 */
#include "tests/lib/pass.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backend/data/queue_impl.h"

/* ---- the test ---------------------------------------------------------------------------------- */

static struct loop loop;
static struct fake_engine fake;

static void begin(bool persistent)
{
	loop_init(&loop, persistent);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	(void)loop_take_events(&loop);
}

static int set_up(void **state)
{
	(void)state;
	begin(true);
	return 0;
}

static int set_up_copy(void **state)
{
	(void)state;
	begin(false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

/* What one pass takes: one commit; all ended: one push, one event. */
static void test_batches(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LIMIT_TAKE_FIRST; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i, 1);
	loop_push(&loop);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_puts, LIMIT_TAKE_FIRST);
	assert_int_equal(fake.nr_commits, 1);
	assert_int_equal(loop.ring.shared->rsp_prod, 0);

	fake_engine_end_all(&fake);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(loop.ring.shared->rsp_prod, LIMIT_TAKE_FIRST);
	assert_int_equal(loop_take_events(&loop), 1);
	assert_int_equal(queue_stats(loop.queue).notifications, 1);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), LIMIT_TAKE_FIRST);
	pass_run(&loop);
}

/*
 * A full ring: twice as many from pass to pass, so that the storage begins at once and few passes take the rest. When the ring was
 * empty it begins anew.
 */
static void test_takes_more_and_more(void **state)
{
	const unsigned taken[] = {2, 6, 14, 30, 32};

	(void)state;
	assert_int_equal(loop.ring.nr_slots, 32);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 32; i++)
			loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i, 1);
		loop_push(&loop);
		for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
			assert_true(queue_poll_once(loop.queue));
			assert_int_equal(fake.nr_puts, round * 32 + taken[i]);
		}
		fake_engine_end_all(&fake);
		pass_run(&loop);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 32);
	}
}

/* Storage whose I/O has ended when it is put has nothing to begin: most of a ring at a time. */
static void test_ends_at_once(void **state)
{
	(void)state;
	fake.at_once = true;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	for (unsigned i = 0; i < 32; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i, 1);
	loop_push(&loop);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), LIMIT_TAKE_ENDED);
	pass_run(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 32 - LIMIT_TAKE_ENDED);
	/* Until it does not. */
	fake.at_once = false;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	for (unsigned i = 1; i < 32; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i, 1);
	loop_push(&loop);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_flying, 1 + LIMIT_TAKE_FIRST);
	fake_engine_end_all(&fake);
	pass_run(&loop);
	fake_engine_end_all(&fake);
	pass_run(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 32);
}

/* Answers that end in different passes are published at once; events only when asked for. */
static void test_notifies_who_asked(void **state)
{
	(void)state;
	loop.ring.shared->rsp_event = 3; /* wake me with the third */
	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i, 1);
	pass_push(&loop);
	for (unsigned i = 1; i <= 4; i++) {
		pass_end(&loop, &fake, ENGINE_WRITE, 0);
		assert_int_equal(loop.ring.shared->rsp_prod, i);
		assert_int_equal(loop_take_events(&loop), i == 3);
	}
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 4);
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

/* However full the ring is, a pass takes its share, then looks at everything else. */
static void test_bounded_work(void **state)
{
	unsigned taken = 0, nr_slots = loop.ring.nr_slots;

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < nr_slots; i++)
			loop_put(&loop, i, BLKIF_OP_READ, 0, i, 1);
		loop_push(&loop);
		while (taken < round * nr_slots) {
			assert_true(queue_poll_once(loop.queue));
			assert_in_range(fake.nr_puts, taken + 1, taken + LIMIT_TAKE_PER_PASS);
			taken = fake.nr_puts;
		}
		fake_engine_end_all(&fake);
		assert_true(queue_poll_once(loop.queue));
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), nr_slots);
	}
	pass_run(&loop);
}

/* D3: a write asked during a running fdatasync does not wait for it. FUSE cannot show this. */
static void test_flush_holds_up_no_write(void **state)
{
	(void)state;
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	pass_push(&loop);
	assert_int_equal(fake.nr_syncs, 1);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_writes, 1);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
}

/* D2: a write asked while the barrier's first fdatasync runs stays behind it. Nor can this. */
static void test_barrier_holds_write_during_sync(void **state)
{
	(void)state;
	loop_put(&loop, 1, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_syncs, 1);
	assert_int_equal(fake.nr_writes, 0);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 8, 1, 1);
	loop_put(&loop, 3, BLKIF_OP_READ, 8, 2, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_writes, 0);
	assert_int_equal(fake.nr_reads, 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(fake.nr_writes, 1);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	assert_int_equal(fake.nr_syncs, 2);
	assert_int_equal(fake.nr_writes, 1);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(fake.nr_writes, 2);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 2);
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
	pass_push(&loop);
	for (unsigned i = 0; i < 100 && fake.nr_flying > 0; i++) {
		assert_int_equal(fake.nr_flying, 1);
		pass_end_all(&loop, &fake);
	}
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), nr_barriers);
	assert_int_equal(fake.nr_syncs, 3 + 2 * 2);
}

/* Each error of the storage becomes the answer of its own request. */
static void test_errors_go_to_their_requests(void **state)
{
	struct frontring_response rsp;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		loop_put(&loop, i, i == 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, i * 8, i, 1);
	pass_push(&loop);
	fake_engine_end(&fake, ENGINE_READ, -EIO);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(loop_get(&loop, &rsp));
		assert_int_equal(rsp.status, rsp.id == 1 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
	assert_int_equal(queue_stats(loop.queue).failed_reads, 1);
	assert_true(queue_take_report(loop.queue));
	assert_false(queue_take_report(loop.queue));
}

/* Without persistent grants only the ring is mapped; all data of a pass moves by copy. */
static void test_copy_maps_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, i * 8, i, 2);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 4);
	assert_int_equal(queue_stats(loop.queue).grants_mapped, 1);
	assert_int_equal(queue_stats(loop.queue).segments_copied, 8);
}

/* A grant that is not good spoils its own request, not its neighbours of the same copy call. */
static void test_bad_grants_fail_alone(void **state)
{
	struct frontring_response rsp;
	unsigned n = 0;

	(void)state;
	loop.ref[5] = 0x7fffff00;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 2);
	loop_put(&loop, 1, BLKIF_OP_WRITE, 16, 4, 3); /* 4, 5, 6 */
	loop_put(&loop, 2, BLKIF_OP_WRITE, 40, 8, 2);
	loop_put(&loop, 3, BLKIF_OP_READ, 0, 5, 1);
	loop_put(&loop, 4, BLKIF_OP_READ, 0, 10, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_writes, 2);
	pass_end_all(&loop, &fake);
	while (loop_get(&loop, &rsp)) {
		assert_int_equal(
			rsp.status, rsp.id == 1 || rsp.id == 3 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
		n++;
	}
	assert_int_equal(n, 5);
	assert_int_equal(queue_stats(loop.queue).failed_guest, 2);
}

/* Nothing the cache has was used just now. */
static void grow_old(struct pcache *cache)
{
	for (unsigned i = 0; i < cache->nr_used; i++)
		cache->page[i].used_s -= LIMIT_GRANT_EVICT_S;
}

/*
 * A page in use by an I/O stays mapped although the guest rotates through more pages than are kept: the
 * one request is answered last of all.
 */
static void test_pages_in_use_stay(void **state)
{
	const struct iovec *held;

	(void)state;
	loop_put(&loop, 0, BLKIF_OP_READ, 0, 0, 1);
	pass_push(&loop);
	held = fake.flying[0].iov;
	for (unsigned i = 1; i + 11 <= LOOP_PAGES; i += 11) {
		grow_old(&loop.queue->pcache);
		loop_put(&loop, 1, BLKIF_OP_WRITE, 0, i, 11);
		pass_push(&loop);
		pass_end(&loop, &fake, ENGINE_WRITE, 0);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	}
	assert_true(queue_stats(loop.queue).grants_unmapped > 0);
	memset(loop.pages, 0x11, 4096);
	assert_memory_equal(held->iov_base, loop.pages, 4096);
	pass_end(&loop, &fake, ENGINE_READ, 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
}

static void ask_page(uint64_t id, uint8_t op, uint64_t sector)
{
	loop_put(&loop, id, op, sector, (unsigned)id, 1);
	pass_push(&loop);
}

/* A disk that grows under a running queue: what was beyond its end is not, from the next request on. */
static void test_grows(void **state)
{
	(void)state;
	ask_page(0, BLKIF_OP_WRITE, LOOP_DISK_SECTORS);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 1);
	disk_resize(loop.disk, LOOP_DISK_SECTORS + 8);
	ask_page(1, BLKIF_OP_WRITE, LOOP_DISK_SECTORS);
	ask_page(2, BLKIF_OP_READ, LOOP_DISK_SECTORS + 1);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 1);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(queue_stats(loop.queue).refused[BLK_BEYOND_END], 2);
}

/* One that shrinks: what was taken goes its way, held or in flight; what comes now is refused. */
static void test_shrinks(void **state)
{
	const uint64_t last = LOOP_DISK_SECTORS - 8;

	(void)state;
	ask_page(0, BLKIF_OP_READ, last);
	ask_page(1, BLKIF_OP_WRITE_BARRIER, 0);
	ask_page(2, BLKIF_OP_WRITE, last);
	disk_resize(loop.disk, last);
	ask_page(3, BLKIF_OP_READ, last);
	ask_page(4, BLKIF_OP_WRITE, last);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 2);
	fake_engine_end(&fake, ENGINE_READ, 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(fake.nr_writes, 2);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 3);
}

/* An engine may start a thread for an fdatasync, or have to do it at once. The disk's lock is for a few list operations. */
static void (*fake_put)(struct engine *e, const struct engine_io *io);

static void put_unlocked(struct engine *e, const struct engine_io *io)
{
	if (io->verb == ENGINE_SYNC) {
		assert_int_equal(pthread_mutex_trylock(&loop.disk->lock), 0);
		(void)pthread_mutex_unlock(&loop.disk->lock);
	}
	fake_put(e, io);
}

static void test_sync_is_put_without_the_lock(void **state)
{
	struct engine_ops ops = *fake.base.ops;

	(void)state;
	fake_put = ops.put;
	ops.put = put_unlocked;
	fake.base.ops = &ops;
	fake.at_once = true;
	loop_put(&loop, 0, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	pass_push(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 2);
	assert_in_range(fake.nr_syncs, 2, 3);
	ops.put = fake_put;
	loop_disconnect(&loop);
	loop_connect(&loop);
}

#define PASS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* One fdatasync fails: that flush, and whatever is refused because of it, is counted once each (D5). */
static void test_counts_what_failed(void **state)
{
	struct frontring_response rsp;
	struct queue_stats stats;

	(void)state;
	loop_put(&loop, 0, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_SYNC, -EIO);
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	loop_put(&loop, 2, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(loop_get(&loop, &rsp));
		assert_int_equal(rsp.status, rsp.id == 3 ? BLKIF_RSP_ERROR : WIRE_RSP_FLUSH_FAILED);
	}
	stats = queue_stats(loop.queue);
	assert_int_equal(stats.failed, 4);
	assert_int_equal(stats.failed_syncs, 1);
	assert_int_equal(stats.last_sync_error, EIO);
	assert_int_equal(stats.flushes + stats.barriers + stats.writes, 0);
	assert_int_equal(fake.nr_puts, 1);
}

/* Each good request is in one histogram of answers, each I/O and fdatasync in one of the storage, each for its kind. */
static void test_times(void **state)
{
	struct queue_times times = {0};
	struct frontring_response rsp;

	(void)state;
	loop_put(&loop, 0, BLKIF_OP_READ, 0, 0, 1);
	loop_put(&loop, 1, BLKIF_OP_READ, 0, 1, 1);
	loop_put(&loop, 2, BLKIF_OP_READ, LOOP_DISK_SECTORS, 1, 1); /* refused */
	loop_put(&loop, 3, BLKIF_OP_WRITE, 0, 2, 1);
	loop_put_discard(&loop, 4, 0, 8);
	loop_put(&loop, 5, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	loop_put(&loop, 6, BLKIF_OP_FLUSH_DISKCACHE, 8, 3, 1);
	loop_put(&loop, 7, BLKIF_OP_WRITE_BARRIER, 8, 3, 1);
	loop_push(&loop);
	for (unsigned i = 0; i < 10; i++) {
		pass_run(&loop);
		fake_engine_end_all(&fake);
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_true(loop_get(&loop, &rsp));
		assert_int_equal(rsp.status, rsp.id == 2 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
	queue_add_times(loop.queue, &times);
	assert_int_equal(histogram_total(&times.answered[TIMES_READ]), 2);
	assert_int_equal(histogram_total(&times.answered[TIMES_WRITE]), 1);
	assert_int_equal(histogram_total(&times.answered[TIMES_FLUSH]), 2);
	assert_int_equal(histogram_total(&times.answered[TIMES_BARRIER]), 1);
	assert_int_equal(histogram_total(&times.answered[TIMES_DISCARD]), 1);
	assert_int_equal(histogram_total(&times.stored[TIMES_STORED_READ]), 2);
	assert_int_equal(histogram_total(&times.stored[TIMES_STORED_WRITE]), 3);
	assert_int_equal(histogram_total(&times.stored[TIMES_STORED_DISCARD]), 1);
	assert_int_equal(histogram_total(&times.stored[TIMES_STORED_SYNC]), fake.nr_syncs);
}

/* What the storage takes is in both times, and what comes before it, here a barrier's wait, in one only. */
static void test_times_tell_where(void **state)
{
	struct queue_times times = {0};
	struct frontring_response rsp;
	const uint64_t ms = 1000000;

	(void)state;
	loop_put(&loop, 0, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	loop_put(&loop, 1, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	(void)poll(NULL, 0,
		40); /* the fdatasync takes so long; nothing depends on it taking no longer */
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	(void)poll(NULL, 0, 10);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	assert_true(loop_get(&loop, &rsp) && loop_get(&loop, &rsp));
	queue_add_times(loop.queue, &times);
	assert_true(histogram_quantile(&times.stored[TIMES_STORED_SYNC], 500) >= 40 * ms);
	assert_true(histogram_quantile(&times.answered[TIMES_BARRIER], 500) >= 40 * ms);
	assert_true(histogram_quantile(&times.stored[TIMES_STORED_WRITE], 500) >= 10 * ms);
	assert_true(histogram_quantile(&times.answered[TIMES_WRITE], 500) >= 50 * ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(test_batches),
		PASS_TEST(test_takes_more_and_more),
		PASS_TEST(test_ends_at_once),
		PASS_TEST(test_notifies_who_asked),
		PASS_TEST(test_idle),
		PASS_TEST(test_sync_is_put_without_the_lock),
		PASS_TEST(test_bounded_work),
		PASS_TEST(test_flush_holds_up_no_write),
		PASS_TEST(test_barrier_holds_write_during_sync),
		PASS_TEST(test_barriers_need_no_company),
		PASS_TEST(test_errors_go_to_their_requests),
		PASS_TEST(test_counts_what_failed),
		PASS_TEST(test_pages_in_use_stay),
		PASS_TEST(test_grows),
		PASS_TEST(test_shrinks),
		PASS_TEST(test_times),
		PASS_TEST(test_times_tell_where),
		cmocka_unit_test_setup_teardown(test_copy_maps_nothing, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_grants_fail_alone, set_up_copy, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
