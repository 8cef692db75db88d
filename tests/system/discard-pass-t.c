/*
 * Discards in a queue driven by hand (R27): what reaches the engine, what of it is answered how, and their place in the order
 * of a disk: like a write's (D2). On an engine that ends what and when the test says.
 */
#include "tests/lib/pass.h"

#include <errno.h>

#include "backend/data/queue_impl.h"

static struct loop loop;
static struct fake_engine fake;

static int set_up(void **state)
{
	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pass_expect_rest(&loop);
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

/* One request may be the whole disk. */
static void test_whole_disk(void **state)
{
	const struct engine_io *io = &fake.flying[0];

	(void)state;
	loop_put_discard(&loop, 1, 0, LOOP_DISK_SECTORS);
	pass_push(&loop);
	assert_int_equal(fake.nr_discards, 1);
	assert_int_equal(io->verb, ENGINE_DISCARD);
	assert_ptr_equal(io->storage, &loop.disk->storage);
	assert_int_equal(io->offset_bytes, 0);
	assert_int_equal(io->size_bytes, LOOP_DISK_SECTORS * 512ull);
	assert_ptr_equal(io->stop, &loop.queue->stop);
	assert_false(io->secure);
	loop_expect_none(&loop);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
	assert_int_equal(queue_stats(loop.queue).discards, 1);
	assert_int_equal(queue_stats(loop.queue).discard_sectors, LOOP_DISK_SECTORS);
	assert_int_equal(queue_stats(loop.queue).writes, 0);
}

static void test_beyond_the_end(void **state)
{
	(void)state;
	loop_put_discard(&loop, 1, 1, LOOP_DISK_SECTORS);
	loop_put_discard(&loop, 2, LOOP_DISK_SECTORS, 1);
	loop_put_discard(&loop, 3, 8, UINT64_MAX - 7);
	loop_put_discard(&loop, 4, LOOP_DISK_SECTORS, 0);
	pass_push(&loop);
	for (unsigned i = 1; i <= 3; i++)
		loop_expect(&loop, i, BLKIF_OP_DISCARD, BLKIF_RSP_ERROR);
	assert_int_equal(fake.nr_discards, 1);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 4, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
}

static void test_read_only(void **state)
{
	(void)state;
	loop.queue->limits.read_only = true;
	loop_put_discard(&loop, 1, 0, 8);
	pass_push(&loop);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_ERROR);
	assert_int_equal(fake.nr_discards, 0);
}

static void test_not_offered(void **state)
{
	(void)state;
	loop.queue->limits.discard = false;
	loop_put_discard(&loop, 1, 0, 8);
	pass_push(&loop);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(fake.nr_discards, 0);
}

/* Storage that turns out not to do it: the guest is told so. Any other failure is one, and loses nobody's data. */
static void test_failures(void **state)
{
	(void)state;
	loop_put_discard(&loop, 1, 0, 8);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_DISCARD, -EOPNOTSUPP);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_EOPNOTSUPP);
	loop_put_discard(&loop, 2, 0, 8);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_DISCARD, -EIO);
	loop_expect(&loop, 2, BLKIF_OP_DISCARD, BLKIF_RSP_ERROR);
	assert_int_equal(queue_stats(loop.queue).failed_discards, 2);
	assert_int_equal(disk_fault(loop.disk), 0);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	loop_expect(&loop, 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* The flag is ignored where that was not offered, and passed on where it was. */
static void test_secure(void **state)
{
	struct blk_request req = {.id = 1, .op = BLKIF_OP_DISCARD, .nr_sectors = 8, .secure = true};

	(void)state;
	for (unsigned can = 0; can < 2; can++) {
		loop.disk->storage.discard.secure = can;
		loop_put_request(&loop, &req, 0);
		pass_push(&loop);
		assert_int_equal(fake.flying[0].secure, can);
		pass_end(&loop, &fake, ENGINE_DISCARD, 0);
		loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
	}
	loop_put_discard(&loop, 2, 0, 8);
	pass_push(&loop);
	assert_false(fake.flying[0].secure);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 2, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
}

/* D2: a barrier waits for the discards before it, and those behind it wait. */
static void test_barrier(void **state)
{
	(void)state;
	loop_put_discard(&loop, 1, 0, 8);
	loop_put(&loop, 2, BLKIF_OP_WRITE_BARRIER, 8, 0, 1);
	loop_put_discard(&loop, 3, 16, 8);
	pass_push(&loop);
	assert_int_equal(fake.nr_discards, 1);
	assert_int_equal(fake.nr_syncs, 0);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
	assert_int_equal(fake.nr_syncs, 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(fake.nr_writes, 1);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	assert_int_equal(fake.nr_discards, 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	loop_expect(&loop, 2, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
	assert_int_equal(fake.nr_discards, 2);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 3, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
}

/* D5: a disk that has lost data changes no more. */
static void test_latched(void **state)
{
	(void)state;
	loop_put(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_SYNC, -EIO);
	loop_expect(&loop, 1, BLKIF_OP_FLUSH_DISKCACHE, WIRE_RSP_FLUSH_FAILED);
	loop_put_discard(&loop, 2, 0, 8);
	pass_push(&loop);
	loop_expect(&loop, 2, BLKIF_OP_DISCARD, BLKIF_RSP_ERROR);
	assert_int_equal(fake.nr_discards, 0);
}

/* Others do not wait for one that takes long, nor for their answers. */
static void test_nobody_waits(void **state)
{
	(void)state;
	loop_put_discard(&loop, 1, 0, LOOP_DISK_SECTORS);
	loop_put(&loop, 2, BLKIF_OP_READ, 0, 0, 1);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 8, 1, 1);
	loop_put(&loop, 4, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	pass_push(&loop);
	pass_end(&loop, &fake, ENGINE_READ, 0);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	loop_expect(&loop, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	loop_expect(&loop, 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 4, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_OKAY);
	loop_expect_none(&loop);
	pass_end(&loop, &fake, ENGINE_DISCARD, 0);
	loop_expect(&loop, 1, BLKIF_OP_DISCARD, BLKIF_RSP_OKAY);
}

/* A queue that is to stop takes none along: those that have not begun are errors, and not the storage's. */
static void test_stop(void **state)
{
	(void)state;
	loop.queue->engine = fake.real;
	for (unsigned i = 0; i < 32; i++)
		loop_put_discard(&loop, i, 0, LOOP_DISK_SECTORS);
	loop_push(&loop);
	/* All are taken, and the helper has them. */
	while (loop.queue->ring.req_cons < 32)
		(void)queue_poll_once(loop.queue);
	assert_int_equal(queue_start(loop.queue), 0);
	queue_stop(loop.queue);
	for (unsigned i = 0; i < 32; i++) {
		struct frontring_response rsp;

		assert_true(loop_get(&loop, &rsp));
		assert_true(rsp.status == BLKIF_RSP_OKAY || rsp.status == BLKIF_RSP_ERROR);
	}
	assert_int_equal(queue_stats(loop.queue).failed_discards, 0);
}

/* A real engine, by the queue's thread: a ring full of them, and I/O between. */
static void test_thread(void **state)
{
	(void)state;
	loop.queue->engine = fake.real;
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 32; i++)
			if (i % 3)
				loop_put_discard(&loop, i, i * 8, 8);
			else
				loop_put(&loop, i, i % 2 ? BLKIF_OP_WRITE : BLKIF_OP_READ, i * 8, i,
					1);
		loop_push(&loop);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(loop_wait(&loop).status, BLKIF_RSP_OKAY);
	}
	queue_stop(loop.queue);
	assert_int_equal(queue_stats(loop.queue).discards, 20 * 21);
}

#define PASS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(test_whole_disk),
		PASS_TEST(test_beyond_the_end),
		PASS_TEST(test_read_only),
		PASS_TEST(test_not_offered),
		PASS_TEST(test_failures),
		PASS_TEST(test_secure),
		PASS_TEST(test_barrier),
		PASS_TEST(test_latched),
		PASS_TEST(test_nobody_waits),
		PASS_TEST(test_stop),
		PASS_TEST(test_thread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
