/*
 * Requests that follow each other in the ring and on the disk share an I/O, in a queue driven by hand: which do and which do
 * not, how large it gets, that each is answered for itself, and that an I/O that fails is found out to the request.
 */
#include "tests/lib/pass.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"

static struct loop loop;
static struct fake_engine fake;

static int begin(bool persistent, unsigned nr_ring_pages)
{
	loop_init_ring(&loop, persistent, nr_ring_pages);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return begin(true, 1);
}

static int set_up_copy(void **state)
{
	(void)state;
	return begin(false, 1);
}

static int set_up_large(void **state)
{
	(void)state;
	return begin(true, 4);
}

static int tear_down(void **state)
{
	(void)state;
	pass_expect_rest(&loop);
	loop.disk->storage.cache = CACHE_NONE;
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

/* Answers by id: the status of each of the first @n, which all have come. */
static void take_answers(unsigned n, int16_t *ret_status)
{
	struct frontring_response rsp;
	bool seen[512] = {false};

	for (unsigned i = 0; i < n; i++) {
		assert_true(loop_get(&loop, &rsp));
		assert_in_range(rsp.id, 0, n - 1);
		assert_false(seen[rsp.id]);
		seen[rsp.id] = true;
		ret_status[rsp.id] = rsp.status;
	}
	assert_false(loop_get(&loop, &rsp));
}

static void expect_all_good(unsigned n)
{
	int16_t status[512];

	take_answers(n, status);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(status[i], BLKIF_RSP_OKAY);
}

/* The data of @n requests of @nr_pages each are in the order of the disk. */
static void check_stream(unsigned n, unsigned nr_pages)
{
	for (unsigned i = 0; i < n * nr_pages; i++)
		loop.pages[(size_t)i * 4096] = (uint8_t)(i + 1);
	for (unsigned i = 0; i < n; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, (uint64_t)i * nr_pages * 8, i * nr_pages,
			nr_pages);
	pass_push_together(&loop);
	assert_int_equal(fake.nr_flying, 1);
	assert_int_equal(fake.flying[0].verb, ENGINE_WRITE);
	assert_int_equal(fake.flying[0].offset_bytes, 0);
	assert_int_equal(fake.flying[0].size_bytes, n * nr_pages * 4096);
	assert_int_equal(fake_engine_length(&fake.flying[0]), n * nr_pages * 4096);
	for (unsigned i = 0; i < n * nr_pages; i++)
		assert_int_equal(
			*fake_engine_byte(&fake.flying[0], (size_t)i * 4096), (uint8_t)(i + 1));
	assert_int_equal(queue_stats(loop.queue).merged, n - 1);
	assert_int_equal(queue_stats(loop.queue).in_flight, n);
	pass_end_all(&loop, &fake);
	expect_all_good(n);
}

static void test_a_ring_of_small_ones(void **state)
{
	(void)state;
	check_stream(32, 1);
}

static void test_requests_of_11_segments(void **state)
{
	(void)state;
	check_stream(23, 11);
}

/*
 * A guest that has no indirect requests asks for 128 KiB by three: the storage begins as early, and with as many I/Os, as if it had
 * asked by one. The first pass has two times 128 KiB, the second four.
 */
static void test_a_stream_begins_early(void **state)
{
	static const unsigned nr_pages[3] = {11, 11, 10};
	const unsigned n = 24;
	unsigned page = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		loop_put(&loop, i, BLKIF_OP_WRITE, (uint64_t)page * 8, page, nr_pages[i % 3]);
		page += nr_pages[i % 3];
	}
	loop_push(&loop);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_flying, 1);
	assert_int_equal(fake.flying[0].size_bytes, 2 * 131072);
	assert_true(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_flying, 2);
	assert_int_equal(fake.flying[1].size_bytes, 4 * 131072);
	pass_run(&loop);
	assert_int_equal(fake.nr_flying, 3);
	assert_int_equal(fake.flying[2].size_bytes, 2 * 131072);
	pass_end_all(&loop, &fake);
	expect_all_good(n);
}

/* What is read comes to the pages of each. */
static void test_reads(void **state)
{
	const unsigned n = 20;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 800 + (uint64_t)i * 16, i * 2, 2);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 1);
	assert_int_equal(fake.flying[0].verb, ENGINE_READ);
	assert_int_equal(fake.flying[0].offset_bytes, 800 * 512);
	for (unsigned i = 0; i < n * 2; i++)
		*fake_engine_byte(&fake.flying[0], (size_t)i * 4096 + 4095) = (uint8_t)(i + 1);
	pass_end_all(&loop, &fake);
	expect_all_good(n);
	for (unsigned i = 0; i < n * 2; i++)
		assert_int_equal(loop.pages[(size_t)i * 4096 + 4095], (uint8_t)(i + 1));
}

/* No I/O has more segments than the largest request. */
static void test_is_bounded(void **state)
{
	unsigned n = loop.ring.nr_slots;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, (uint64_t)i * 16, i * 2, 2);
	assert_int_equal(pass_take_together(&loop), n);
	assert_int_equal(fake.nr_puts, 1);
	pass_run(&loop);
	pass_end_all(&loop, &fake);
	expect_all_good(n);

	for (unsigned i = 0; i < n; i++)
		loop_put(&loop, i, BLKIF_OP_READ, (uint64_t)i * 32, i * 4, 4);
	assert_int_equal(pass_take_together(&loop), n);
	assert_int_equal(fake.nr_flying, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fake.flying[i].size_bytes, 256 * 4096);
		assert_int_equal(fake.flying[i].nr_iov, 256);
	}
	pass_end_all(&loop, &fake);
	expect_all_good(n);
}

/* Another operation, a gap, a step back, a barrier: each begins an I/O of its own. */
static void test_who_does_not_follow(void **state)
{
	static const struct {
		uint8_t op;
		unsigned block;
	} list[] = {{BLKIF_OP_WRITE, 0}, {BLKIF_OP_READ, 1}, {BLKIF_OP_WRITE, 2},
		{BLKIF_OP_WRITE, 4}, {BLKIF_OP_WRITE, 3}, {BLKIF_OP_WRITE, 3}};
	const unsigned n = sizeof(list) / sizeof(list[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		loop_put(&loop, i, list[i].op, list[i].block * 8, i, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, n);
	assert_int_equal(queue_stats(loop.queue).merged, 0);
	pass_end_all(&loop, &fake);
	expect_all_good(n);
}

/* A barrier's data and what follows a flush with data are nobody's company: they wait for fdatasyncs of their own. */
static void test_ordered_ones_are_alone(void **state)
{
	(void)state;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 1);
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 8, 1, 1);
	loop_put(&loop, 2, BLKIF_OP_WRITE_BARRIER, 16, 2, 1);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 24, 3, 1);
	pass_push(&loop);
	for (unsigned i = 0; i < 20 && fake.nr_flying > 0; i++) {
		for (unsigned j = 0; j < fake.nr_flying; j++)
			assert_in_range(fake.flying[j].size_bytes, 0, 4096);
		pass_end(&loop, &fake, fake.flying[0].verb, 0);
	}
	expect_all_good(4);
	assert_int_equal(fake.nr_writes, 4);
	assert_int_equal(queue_stats(loop.queue).merged, 0);
}

/* One that is refused, or whose page cannot be had, tears the I/O apart, and nothing else. */
static void test_bad_one_in_the_middle(void **state)
{
	int16_t status[5];

	(void)state;
	loop.ref[2] = 0x7fffff00;
	for (unsigned i = 0; i < 5; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 8, i, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 2);
	assert_int_equal(fake.flying[0].size_bytes, 2 * 4096);
	assert_int_equal(fake.flying[1].offset_bytes, 3 * 4096);
	assert_int_equal(fake.flying[1].size_bytes, 2 * 4096);
	pass_end_all(&loop, &fake);
	take_answers(5, status);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(status[i], i == 2 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
}

/* An I/O of four fails: each is done alone, and the third one is it. */
static void check_failure(uint8_t op, enum engine_verb verb, int error)
{
	struct queue_stats stats;
	int16_t status[4];

	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, op, i * 8, i, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 1);
	pass_end(&loop, &fake, verb, error);
	assert_int_equal(fake.nr_flying, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake.flying[0].offset_bytes, i * 4096);
		assert_int_equal(fake.flying[0].size_bytes, 4096);
		assert_int_equal(fake_engine_length(&fake.flying[0]), 4096);
		fake_engine_end(&fake, verb, i == 2 ? error : 0);
	}
	pass_run(&loop);
	take_answers(4, status);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(status[i], i == 2 ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	stats = queue_stats(loop.queue);
	assert_int_equal(stats.failed_reads + stats.failed_writes, 1);
	assert_int_equal(stats.failed, 1);
}

static void test_failed_read(void **state)
{
	(void)state;
	check_failure(BLKIF_OP_READ, ENGINE_READ, -EIO);
}

static void test_failed_write(void **state)
{
	(void)state;
	check_failure(BLKIF_OP_WRITE, ENGINE_WRITE, -EIO);
}

/* It loses nobody's data: on a write-through disk, too, it is found out whose it is. */
static void test_failed_read_of_write_through(void **state)
{
	(void)state;
	loop.disk->storage.cache = CACHE_DIRECTSYNC;
	check_failure(BLKIF_OP_READ, ENGINE_READ, -EIO);
	assert_int_equal(disk_fault(loop.disk), 0);
}

/* No room for all of it: for some there is. Nothing was lost, on a write-through disk either. */
static void test_no_room(void **state)
{
	(void)state;
	loop.disk->storage.cache = CACHE_DIRECTSYNC;
	check_failure(BLKIF_OP_WRITE, ENGINE_WRITE, -ENOSPC);
	assert_int_equal(disk_fault(loop.disk), 0);
}

/* There a write that was lost may have been anybody's: doing it again would hide that (D5). */
static void test_lost_write_is_not_done_again(void **state)
{
	int16_t status[4];

	(void)state;
	loop.disk->storage.cache = CACHE_DIRECTSYNC;
	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 8, i, 1);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_WRITE, -EIO);
	assert_int_equal(fake.nr_writes, 1);
	assert_int_equal(disk_fault(loop.disk), -EIO);
	take_answers(4, status);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(status[i], BLKIF_RSP_ERROR);
}

/* A barrier waits for every request of an I/O, also while they are done again one by one. */
static void test_barrier_waits_for_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 8, i, 1);
	loop_put(&loop, 3, BLKIF_OP_WRITE_BARRIER, 24, 3, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 1);
	pass_end(&loop, &fake, ENGINE_WRITE, -EIO);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake.nr_syncs, 0);
		pass_end(&loop, &fake, ENGINE_WRITE, 0);
	}
	assert_int_equal(fake.nr_syncs, 1);
	assert_int_equal(fake.nr_writes, 4);
	pass_end_all(&loop, &fake);
	pass_end_all(&loop, &fake);
	pass_end_all(&loop, &fake);
	expect_all_good(4);
}

/* A real engine and a file that ends in the middle of an I/O: who lies behind the end fails. */
static void test_short_storage(void **state)
{
	const uint64_t end = (LOOP_DISK_SECTORS - 16) * 512;
	int16_t status[4];

	(void)state;
	loop.queue->engine = fake.real;
	assert_int_equal(ftruncate(loop.image_fd, (off_t)end), 0);
	assert_int_equal(pwrite(loop.image_fd, "here", 4, (off_t)end - 4096), 4);
	for (unsigned i = 0; i < 4; i++)
		loop_put(&loop, i, BLKIF_OP_READ, LOOP_DISK_SECTORS - 32 + i * 8, i, 1);
	assert_int_equal(queue_start(loop.queue), 0);
	loop_push(&loop);
	for (unsigned i = 0; i < 4; i++) {
		struct frontring_response rsp = loop_wait(&loop);

		assert_in_range(rsp.id, 0, 3);
		status[rsp.id] = rsp.status;
	}
	queue_stop(loop.queue);
	assert_int_equal(status[0], BLKIF_RSP_OKAY);
	assert_int_equal(status[1], BLKIF_RSP_OKAY);
	assert_int_equal(status[2], BLKIF_RSP_ERROR);
	assert_int_equal(status[3], BLKIF_RSP_ERROR);
	assert_memory_equal(loop.pages + 4096, "here", 4);
}

#define PASS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define COPY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_copy, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(test_a_ring_of_small_ones),
		COPY_TEST(test_a_ring_of_small_ones),
		PASS_TEST(test_requests_of_11_segments),
		COPY_TEST(test_requests_of_11_segments),
		PASS_TEST(test_a_stream_begins_early),
		PASS_TEST(test_reads),
		COPY_TEST(test_reads),
		cmocka_unit_test_setup_teardown(test_is_bounded, set_up_large, tear_down),
		PASS_TEST(test_who_does_not_follow),
		PASS_TEST(test_ordered_ones_are_alone),
		PASS_TEST(test_bad_one_in_the_middle),
		COPY_TEST(test_bad_one_in_the_middle),
		PASS_TEST(test_failed_read),
		COPY_TEST(test_failed_read),
		PASS_TEST(test_failed_write),
		COPY_TEST(test_failed_write),
		PASS_TEST(test_failed_read_of_write_through),
		PASS_TEST(test_no_room),
		PASS_TEST(test_lost_write_is_not_done_again),
		PASS_TEST(test_barrier_waits_for_all),
		PASS_TEST(test_short_storage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
