/*
 * The largest ring, 16 pages and 512 slots: all of them in flight at once, over and over, so that every
 * slot is used for every place of the table; held behind a barrier; waiting for one fdatasync. On an engine
 * that ends what and when the test says.
 */
#include "tests/lib/pass.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/data/queue_impl.h"

#define SLOTS 512u

static struct loop loop;
static struct fake_engine fake;
static bool answered[SLOTS];

static void begin(bool persistent)
{
	loop_init_ring(&loop, persistent, 16);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	assert_int_equal(loop.ring.nr_slots, SLOTS);
	memset(answered, 0, sizeof(answered));
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

/* Every answer once, and all well. */
static unsigned take_answers(void)
{
	struct frontring_response rsp;
	unsigned n = 0;

	while (loop_get(&loop, &rsp)) {
		assert_in_range(rsp.id, 0, SLOTS - 1);
		assert_false(answered[rsp.id]);
		answered[rsp.id] = true;
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		assert_true(rsp.padding_is_zero);
		n++;
	}
	return n;
}

static void ask_all(uint8_t op, unsigned nr_pages)
{
	memset(answered, 0, sizeof(answered));
	for (unsigned i = 0; i < SLOTS; i++)
		loop_put(&loop, i, op, i * 4, i * 2, nr_pages);
	assert_int_equal(frontring_free(&loop.ring), 0);
	pass_push(&loop);
}

/* An odd number of single ones in between: the next round begins at another slot. */
static void shift(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		answered[0] = false;
		loop_put(&loop, 0, BLKIF_OP_READ, 0, 0, 1);
		pass_push(&loop);
		pass_end_all(&loop, &fake);
		assert_int_equal(take_answers(), 1);
	}
}

static void test_full(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		ask_all(round % 2 ? BLKIF_OP_WRITE : BLKIF_OP_READ, 2);
		assert_int_equal(fake.nr_flying, SLOTS);
		assert_int_equal(take_answers(), 0);
		pass_end_all(&loop, &fake);
		assert_int_equal(take_answers(), SLOTS);
		assert_true(queue_is_idle(loop.queue));
		shift(37);
	}
	assert_false(loop.queue->ring.broken);
}

/* What one slot reads or writes is its own: each request's bytes arrive where they belong. */
static void test_data_is_apart(void **state)
{
	(void)state;
	ask_all(BLKIF_OP_READ, 2);
	for (unsigned k = 0; k < SLOTS; k++) {
		const struct engine_io *io = &fake.flying[k];
		const struct iovec *last = &io->iov[io->nr_iov - 1];
		unsigned id = (unsigned)(io->offset_bytes / 2048);

		*(uint8_t *)io->iov[0].iov_base = (uint8_t)id;
		((uint8_t *)last->iov_base)[last->iov_len - 1] = (uint8_t)(id >> 8);
	}
	pass_end_all(&loop, &fake);
	assert_int_equal(take_answers(), SLOTS);
	for (unsigned id = 0; id < SLOTS; id++) {
		assert_int_equal(loop.pages[(size_t)id * 8192], id & 0xff);
		assert_int_equal(loop.pages[(size_t)id * 8192 + 8191], id >> 8);
	}
}

/* The largest requests, all ending at once: more segments than one copy takes. */
static void test_largest(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOTS; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 0, i, 11);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, SLOTS);
	pass_end_all(&loop, &fake);
	assert_int_equal(take_answers(), SLOTS);
	assert_int_equal(queue_stats(loop.queue).segments_copied +
				 queue_stats(loop.queue).segments_persistent,
		SLOTS * 11);
}

/* D2: a whole ring of writes waits for one barrier. */
static void test_held(void **state)
{
	(void)state;
	loop_put(&loop, 0, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	for (unsigned i = 1; i < SLOTS; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, 0, i, 1);
	pass_push(&loop);
	assert_int_equal(fake.nr_syncs, 1);
	assert_int_equal(fake.nr_writes, 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(fake.nr_writes, 1);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(take_answers(), 1);
	assert_int_equal(fake.nr_flying, SLOTS - 1);
	pass_end_all(&loop, &fake);
	assert_int_equal(take_answers(), SLOTS - 1);
}

/* D3: whoever asks while an fdatasync runs shares the next one, 511 as well as two. */
static void test_flushes_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOTS; i++) {
		loop_put(&loop, i, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
		pass_push(&loop);
	}
	assert_int_equal(fake.nr_syncs, 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(take_answers(), 1);
	assert_int_equal(fake.nr_syncs, 2);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	assert_int_equal(take_answers(), SLOTS - 1);
	assert_int_equal(fake.nr_syncs, 2);
}

/* Of @nr_pages from @start on, those that are memory. */
static unsigned resident(void *start, size_t nr_pages)
{
	static unsigned char in_core[SLOTS * WIRE_SEGMENTS_MAX];
	unsigned n = 0;

	assert_true(nr_pages <= sizeof(in_core));
	assert_int_equal(mincore(start, nr_pages * 4096, in_core), 0);
	for (unsigned i = 0; i < nr_pages; i++)
		n += in_core[i] & 1;
	return n;
}

/* Pages of the copy buffers that are memory. */
static unsigned nr_resident(void)
{
	return resident(loop.queue->buffers.memory, SLOTS * WIRE_SEGMENTS_MAX);
}

/* ... of slots and iovecs. */
static unsigned nr_resident_slots(void)
{
	return resident(loop.queue->slot, SLOTS * sizeof(*loop.queue->slot) / 4096) +
	       resident(loop.queue->iov, SLOTS * sizeof(*loop.queue->iov) / 4096);
}

/* What a burst has made of the buffers is given back when the queue has slept for a while, but for the first. */
static void test_memory_is_given_back(void **state)
{
	const unsigned keep = LIMIT_IDLE_KEEP * WIRE_SEGMENTS_MAX;
	struct engine *engine = fake.real;

	(void)state;
	assert_int_equal(nr_resident(), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, 0, i, 11);
	pass_push(&loop);
	assert_int_equal(nr_resident(), SLOTS * WIRE_SEGMENTS_MAX);
	assert_true(nr_resident_slots() > SLOTS);
	pass_end_all(&loop, &fake);
	assert_int_equal(take_answers(), SLOTS);
	/* From here on by its thread. */
	loop.queue->engine = engine;
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; i < 3000 && nr_resident() > keep; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(nr_resident(), keep);
	assert_in_range(nr_resident_slots(), 1, 3 * LIMIT_IDLE_KEEP);
	/* The buffers that stay are the ones that are used now. */
	answered[0] = false;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 11);
	loop_push(&loop);
	assert_int_equal(loop_wait(&loop).status, BLKIF_RSP_OKAY);
	assert_int_equal(nr_resident(), keep);
}

/* As many grants as a full ring can use stay mapped (blkif.h): the same pages again cost no map. */
static void test_grants_stay(void **state)
{
	uint64_t mapped;

	(void)state;
	for (unsigned i = 0; i + 2 <= LOOP_PAGES; i += 2) {
		loop_put(&loop, 0, BLKIF_OP_READ, 0, i, 2);
		pass_push(&loop);
		pass_end_all(&loop, &fake);
		answered[0] = false;
		assert_int_equal(take_answers(), 1);
	}
	mapped = queue_stats(loop.queue).grants_mapped;
	assert_int_equal(mapped, LOOP_PAGES + 16);
	for (unsigned i = 0; i + 2 <= LOOP_PAGES; i += 2) {
		loop_put(&loop, 0, BLKIF_OP_READ, 0, i, 2);
		pass_push(&loop);
		pass_end_all(&loop, &fake);
		answered[0] = false;
		assert_int_equal(take_answers(), 1);
	}
	assert_int_equal(queue_stats(loop.queue).grants_mapped, mapped);
	assert_int_equal(queue_stats(loop.queue).grants_unmapped, 0);
}

/* R16: one more than 512 breaks it, 512 do not. */
static void test_overrun(void **state)
{
	(void)state;
	ask_all(BLKIF_OP_READ, 1);
	assert_int_equal(queue_status(loop.queue), QUEUE_RUNNING);
	loop.ring.shared->req_prod = SLOTS + 1;
	(void)queue_poll_once(loop.queue);
	assert_int_equal(queue_status(loop.queue), QUEUE_BROKEN);
	pass_end_all(&loop, &fake);
	assert_int_equal(take_answers(), 0);
}

#define RING_TEST(name)                                                                            \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                  \
		cmocka_unit_test_setup_teardown(name, set_up_copy, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_full),
		RING_TEST(test_data_is_apart),
		RING_TEST(test_largest),
		RING_TEST(test_held),
		RING_TEST(test_flushes_share),
		cmocka_unit_test_setup_teardown(test_memory_is_given_back, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_grants_stay, set_up, tear_down),
		RING_TEST(test_overrun),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
