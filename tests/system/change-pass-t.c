/*
 * Changes of what a disk is opened on (D7): two queues that let go of it, driven by hand, on engines that end what and when the test
 * says. A queue runs only when it is woken as its thread would be. Never is anything with the storage while it is nobody's.
 */
#include "tests/lib/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"

#define QUEUES 2u
#define SEEDS  30u

static struct loop loop[QUEUES];
static struct fake_engine fake[QUEUES];
static bool awake[QUEUES];
static unsigned nr_asked[QUEUES], nr_answered[QUEUES];
static int change_fd;

/* ---- setting up -------------------------------------------------------------------------------- */

static void begin(bool persistent, unsigned unit)
{
	change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop_init_unit(&loop[0], persistent, unit);
	loop_init_beside(&loop[1], &loop[0]);
	for (unsigned i = 0; i < QUEUES; i++) {
		loop_connect(&loop[i]);
		fake_engine_install(&fake[i], loop[i].queue);
		awake[i] = true;
		nr_asked[i] = nr_answered[i] = 0;
	}
}

static int set_up(void **state __attribute__((unused)))
{
	begin(true, STORAGE_SECTOR_SIZE);
	return 0;
}

static int set_up_copy(void **state __attribute__((unused)))
{
	begin(false, STORAGE_SECTOR_SIZE);
	return 0;
}

static int set_up_blocks(void **state __attribute__((unused)))
{
	begin(true, STORAGE_UNIT_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = QUEUES; i-- > 0;) {
		if (loop[i].queue) {
			pass_expect_rest(&loop[i]);
			loop_disconnect(&loop[i]);
		}
		loop_fini(&loop[i]);
	}
	(void)close(change_fd);
	return 0;
}

/* ---- the storage ------------------------------------------------------------------------------- */

static unsigned nr_flying(void)
{
	return fake[0].nr_flying + fake[1].nr_flying;
}

static unsigned nr_puts(void)
{
	return fake[0].nr_puts + fake[1].nr_puts;
}

static unsigned nr_syncs(void)
{
	return fake[0].nr_syncs + fake[1].nr_syncs;
}

static enum order_change change(void)
{
	int error;

	return disk_change(loop[0].disk, &error);
}

/* While a change has the storage nothing is with it, but for the one fdatasync before that. */
static void check_storage(void)
{
	const struct fake_engine *busy = fake[0].nr_flying > 0 ? &fake[0] : &fake[1];

	if (change() < ORDER_CHANGE_SYNC || nr_flying() == 0)
		return;
	assert_int_equal(change(), ORDER_CHANGE_SYNC);
	assert_int_equal(nr_flying(), 1);
	assert_int_equal(busy->flying[0].verb, ENGINE_SYNC);
}

/* ---- the queues -------------------------------------------------------------------------------- */

static bool step(unsigned i)
{
	if (loop[i].queue == NULL || !pass_step(&loop[i], &fake[i], &awake[i]))
		return false;
	check_storage();
	return true;
}

/* One of them, until it sleeps. */
static void run_one(unsigned i)
{
	while (step(i))
		;
}

/* Until all sleep. */
static void run(void)
{
	bool more = true;

	for (unsigned n = 0; more; n++) {
		assert_in_range(n, 0, 2000); /* or it never comes to rest */
		more = step(0);
		more |= step(1);
	}
}

/* The oldest of some queue ends well. */
static void end_one(void)
{
	fake_engine_end_at(&fake[fake[0].nr_flying == 0], 0, 0);
	run();
}

static void end_all(void)
{
	run();
	while (nr_flying() > 0)
		end_one();
}

/* ---- the guest --------------------------------------------------------------------------------- */

static void push(unsigned i)
{
	loop_push(&loop[i]);
	awake[i] = true;
}

/* One of a page, or of none where that may be; in its own place. */
static void ask(unsigned i, uint8_t op, unsigned nr_pages)
{
	unsigned id = nr_asked[i]++;

	if (op == BLKIF_OP_DISCARD)
		loop_put_discard(&loop[i], id, 2048 + i * 8, 8);
	else
		loop_put(&loop[i], id, op, (i * 128 + id % 128) * 8, id % 500, nr_pages);
	push(i);
}

static void take_answers(unsigned i)
{
	nr_answered[i] += loop_take_answers(&loop[i], BLKIF_RSP_OKAY);
}

/* All that was asked goes its way, and well. */
static void expect_all_answered(void)
{
	end_all();
	for (unsigned i = 0; i < QUEUES; i++) {
		take_answers(i);
		assert_int_equal(nr_answered[i], nr_asked[i]);
	}
	assert_int_equal(disk_gate(loop[0].disk), 0);
}

/* A bit of everything for queue @i. Behind the barrier a write that it holds. */
static void ask_everything(unsigned i)
{
	ask(i, BLKIF_OP_READ, 1);
	ask(i, BLKIF_OP_WRITE, 1);
	ask(i, BLKIF_OP_FLUSH_DISKCACHE, 0);
	ask(i, BLKIF_OP_FLUSH_DISKCACHE, 1);
	ask(i, BLKIF_OP_DISCARD, 0);
	ask(i, BLKIF_OP_WRITE_BARRIER, 1);
	ask(i, BLKIF_OP_WRITE, 1);
	ask(i, BLKIF_OP_READ, 1);
}

/* ---- control ----------------------------------------------------------------------------------- */

static bool is_told(void)
{
	uint64_t count;

	return read(change_fd, &count, sizeof(count)) == sizeof(count);
}

static void begin_change(void)
{
	disk_begin_change(loop[0].disk, change_fd);
	run();
}

static void expect_change(enum order_change expected, int expected_error)
{
	int error;

	assert_int_equal(disk_change(loop[0].disk, &error), expected);
	assert_int_equal(error, expected_error);
	assert_int_equal(
		is_told(), expected == ORDER_CHANGE_READY || expected == ORDER_CHANGE_FAILED);
}

/* What is in flight ends, one by one, until control is told. */
static void end_until_ready(void)
{
	while (change() < ORDER_CHANGE_READY) {
		assert_false(is_told());
		assert_true(nr_flying() > 0);
		end_one();
	}
	expect_change(ORDER_CHANGE_READY, 0);
	assert_int_equal(nr_flying(), 0);
}

static void abandon(void)
{
	disk_end_change(loop[0].disk, NULL, false);
}

/* The disk gets the same image in another mode. */
static void end_change(enum cache_mode mode, bool clear_fault)
{
	struct disk *disk = loop[0].disk;
	struct problem problem = {.text = ""};
	struct storage storage;
	int old = disk->storage.fd, new;

	if (storage_reopen(&disk->storage, mode, &storage, &problem))
		fail_msg("%s", problem.text);
	new = storage.fd;
	disk_end_change(disk, &storage, clear_fault);
	assert_int_equal(storage.fd, -1);
	assert_int_equal(disk->storage.fd, new);
	assert_int_equal(disk->storage.cache, mode);
	assert_int_equal(fcntl(old, F_GETFD), -1);
}

/* ---- the tests: it goes well ------------------------------------------------------------------- */

/*
 * Reads, writes, flushes, a discard and barriers of both queues, held and in flight: those that are in the storage end, barriers that
 * have begun too, then comes an fdatasync, then nothing. What was held goes on afterwards, on the new descriptor.
 */
static void test_everything_in_flight(void **state)
{
	unsigned before;

	(void)state;
	ask_everything(0);
	ask_everything(1);
	run();
	assert_true(nr_flying() > 4);
	begin_change();
	end_until_ready();
	/* Nothing waits to be reaped, and nothing more is begun. */
	before = nr_puts();
	run();
	assert_int_equal(nr_puts(), before);
	end_change(CACHE_WRITEBACK, false);
	expect_all_answered();
}

/* Asked while it is going on, it stays in the ring: taken by nobody. */
static void test_stays_in_the_ring(void **state)
{
	(void)state;
	ask_everything(0);
	expect_all_answered();
	begin_change();
	expect_change(ORDER_CHANGE_SYNC, 0);
	assert_int_equal(nr_flying(), 1);
	for (unsigned n = 0; n < 2; n++) {
		unsigned before = nr_puts();

		ask_everything(0);
		ask_everything(1);
		run();
		assert_int_equal(nr_puts(), before);
		for (unsigned i = 0; i < QUEUES; i++) {
			assert_int_equal(loop[i].queue->free.n, loop[i].queue->nr_slots);
			assert_int_equal(backring_available(&loop[i].queue->ring), (n + 1) * 8);
			loop_expect_none(&loop[i]);
		}
		if (n == 0)
			end_until_ready();
	}
	end_change(CACHE_DIRECTSYNC, false);
	expect_all_answered();
	/* And back. */
	begin_change();
	end_until_ready();
	end_change(CACHE_NONE, false);
	expect_all_answered();
}

/* Who sleeps is woken to let go, and woken to go on, with what was asked meanwhile; without it there is no change. */
static void test_one_sleeps(void **state)
{
	(void)state;
	run();
	assert_false(awake[0] || awake[1]);
	disk_begin_change(loop[0].disk, change_fd);
	run_one(0);
	expect_change(ORDER_CHANGE_DRAIN, 0);
	run();
	end_until_ready();
	ask(1, BLKIF_OP_READ, 1);
	ask(0, BLKIF_OP_WRITE, 1);
	run();
	assert_false(awake[0] || awake[1]);
	end_change(CACHE_NONE, false);
	expect_all_answered();
}

/* A barrier that has begun is waited for; a read that comes meanwhile is in time, what comes later is not. */
static void test_behind_a_barrier(void **state)
{
	(void)state;
	ask(0, BLKIF_OP_WRITE_BARRIER, 1);
	run();
	assert_int_equal(nr_syncs(), 1);
	begin_change();
	ask(1, BLKIF_OP_READ, 1);
	ask(1, BLKIF_OP_WRITE_BARRIER, 1);
	run();
	expect_change(ORDER_CHANGE_PENDING, 0);
	assert_int_equal(fake[1].nr_reads, 1);
	fake_engine_end(&fake[0], ENGINE_SYNC, 0);
	run();
	fake_engine_end(&fake[0], ENGINE_WRITE, 0);
	run();
	expect_change(ORDER_CHANGE_PENDING, 0);
	fake_engine_end(&fake[fake[0].nr_flying == 0], ENGINE_SYNC, 0);
	run();
	/* The barrier is answered, the next one waits. Somebody still reads. */
	take_answers(0);
	assert_int_equal(nr_answered[0], 1);
	expect_change(ORDER_CHANGE_DRAIN, 0);
	ask(0, BLKIF_OP_READ, 1);
	run();
	assert_int_equal(fake[0].nr_reads, 0);
	fake_engine_end(&fake[1], ENGINE_READ, 0);
	run();
	expect_change(ORDER_CHANGE_SYNC, 0);
	end_until_ready();
	end_change(CACHE_NONE, false);
	expect_all_answered();
}

/*
 * When a change ends, a barrier of each is pending, and all have parked already. The first one begins although nobody is going to
 * park once more.
 */
static void test_all_wait_with_barriers(void **state)
{
	(void)state;
	ask(0, BLKIF_OP_WRITE_BARRIER, 1);
	run();
	begin_change();
	ask(1, BLKIF_OP_WRITE_BARRIER, 1);
	end_until_ready();
	ask(0, BLKIF_OP_WRITE_BARRIER, 1);
	end_change(CACHE_NONE, false);
	run_one(0);
	expect_all_answered();
}

/* Where flushes do nothing, the fdatasync of a change is done. */
static void test_unsafe(void **state)
{
	(void)state;
	begin_change();
	end_until_ready();
	end_change(CACHE_UNSAFE, false);
	assert_int_equal(nr_syncs(), 1);
	ask(0, BLKIF_OP_WRITE, 1);
	ask(0, BLKIF_OP_FLUSH_DISKCACHE, 0);
	ask(1, BLKIF_OP_WRITE_BARRIER, 1);
	expect_all_answered();
	assert_int_equal(nr_syncs(), 1);
	begin_change();
	assert_int_equal(nr_syncs(), 2);
	end_until_ready();
	end_change(CACHE_NONE, false);
	ask(0, BLKIF_OP_FLUSH_DISKCACHE, 0);
	expect_all_answered();
	assert_int_equal(nr_syncs(), 3);
}

/* Requests that wait for copy buffers wait on: their buffers are free long before control is done. */
static void test_waiting_for_buffers(void **state)
{
	const unsigned n = 30, descriptor = 1000;
	unsigned nr_waiting;

	(void)state;
	for (unsigned k = 0; k < n; k++)
		loop_put_indirect(&loop[0], nr_asked[0]++, k % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE,
			k % 2 * 2048, 0, LIMIT_SEGMENTS, descriptor);
	push(0);
	run();
	nr_waiting = loop[0].queue->waiting.n;
	assert_true(nr_waiting > 0);
	begin_change();
	end_until_ready();
	assert_int_equal(loop[0].queue->waiting.n, nr_waiting);
	assert_int_equal(loop[0].queue->buffers.nr_free, LIMIT_COPY_CHUNKS);
	end_change(CACHE_NONE, false);
	expect_all_answered();
}

/* A write that has been started and waits for blocks of another's is waited for, with all that it reads. */
static void test_waiting_for_blocks(void **state)
{
	struct blk_request part = {.op = BLKIF_OP_WRITE, .nr_segments = 1};

	(void)state;
	for (unsigned i = 0; i < QUEUES; i++) {
		part.id = nr_asked[i]++;
		part.sector = 1 + i;
		part.seg[0] = (struct blk_segment){.first_sect = 0, .last_sect = 0};
		loop_put_request(&loop[i], &part, i);
		push(i);
		run();
	}
	assert_int_equal(loop[1].queue->nr_blocked, 1);
	assert_int_equal(nr_flying(), 1);
	begin_change();
	expect_change(ORDER_CHANGE_DRAIN, 0);
	/* Each reads its block, and writes it. */
	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(nr_flying(), 1);
		assert_int_equal(nr_syncs(), 0);
		end_one();
	}
	expect_change(ORDER_CHANGE_SYNC, 0);
	end_until_ready();
	assert_int_equal(loop[0].disk->ranges->n, 0);
	abandon();
	expect_all_answered();
}

/* ---- the tests: it does not go well ------------------------------------------------------------ */

/* Bring a change as far as @stage. */
static void begin_up_to(enum order_change stage)
{
	if (stage == ORDER_CHANGE_PENDING)
		ask(0, BLKIF_OP_WRITE_BARRIER, 1);
	ask(1, BLKIF_OP_READ, 1);
	run();
	begin_change();
	if (stage > ORDER_CHANGE_DRAIN) {
		fake_engine_end(&fake[1], ENGINE_READ, 0);
		run();
	}
	if (stage > ORDER_CHANGE_SYNC)
		end_one();
	expect_change(stage, 0);
}

/* Given up at any stage, it has not been; whatever is asked before and after is answered. The next one goes well. */
static void test_abandoned(void **state)
{
	enum order_change stage = *(enum order_change *)*state;
	int fd;

	set_up(NULL);
	fd = loop[0].disk->storage.fd;
	begin_up_to(stage);
	ask_everything(0);
	ask_everything(1);
	run();
	abandon();
	assert_false(is_told());
	assert_int_equal(loop[0].disk->storage.fd, fd);
	expect_all_answered();
	begin_change();
	end_until_ready();
	end_change(CACHE_WRITEBACK, false);
	ask_everything(1);
	expect_all_answered();
}

/* Its fdatasync goes on, and is nobody's. The next change is ready after one of its own, which begins later. */
static void test_abandoned_sync(void **state)
{
	(void)state;
	begin_up_to(ORDER_CHANGE_SYNC);
	abandon();
	begin_change();
	expect_change(ORDER_CHANGE_DRAIN, 0);
	assert_int_equal(nr_syncs(), 1);
	end_one();
	expect_change(ORDER_CHANGE_SYNC, 0);
	assert_int_equal(nr_syncs(), 2);
	end_until_ready();
	abandon();
	expect_all_answered();

	/* One that fails latches the disk: a change that has begun before fails with it, but not the one that is to clear it. */
	begin_up_to(ORDER_CHANGE_SYNC);
	abandon();
	begin_change();
	fake_engine_end(&fake[0], ENGINE_SYNC, -EIO);
	run();
	assert_int_equal(disk_fault(loop[0].disk), -EIO);
	end_one();
	expect_change(ORDER_CHANGE_FAILED, -EIO);
	abandon();
	begin_change();
	end_until_ready();
	end_change(CACHE_NONE, true);
	ask_everything(0);
	expect_all_answered();
}

/*
 * The fdatasync fails: control hears which error it was, the disk is latched (D5) and keeps its descriptor. When another
 * one works the latch may go, but what was refused has been.
 */
static void test_fails(void **state)
{
	struct disk *disk = loop[0].disk;
	struct storage storage;
	struct problem problem;
	int fd = disk->storage.fd;

	(void)state;
	begin_change();
	fake_engine_end(&fake[0], ENGINE_SYNC, -EDQUOT);
	run();
	expect_change(ORDER_CHANGE_FAILED, -EDQUOT);
	assert_int_equal(storage_reopen(&disk->storage, CACHE_NONE, &storage, &problem), 0);
	disk_end_change(disk, &storage, true);
	assert_int_equal(disk->storage.fd, fd);
	assert_true(storage.fd >= 0);
	storage_close(&storage);
	assert_int_equal(disk_fault(disk), -EDQUOT);
	ask(1, BLKIF_OP_WRITE, 1);
	run();
	nr_answered[1] += loop_take_answers(&loop[1], BLKIF_RSP_ERROR);
	assert_int_equal(nr_answered[1], 1);

	begin_change();
	end_until_ready();
	end_change(CACHE_NONE, false);
	run();
	assert_int_equal(disk_fault(disk), -EDQUOT);
	begin_change();
	end_until_ready();
	end_change(CACHE_NONE, true);
	assert_int_equal(disk_fault(disk), 0);
	ask_everything(0);
	ask_everything(1);
	expect_all_answered();
}

/* A queue goes while the others wait for it, or before it has taken note that they need not. */
static void test_one_leaves(void **state)
{
	(void)state;
	run();
	disk_begin_change(loop[0].disk, change_fd);
	run_one(0);
	expect_change(ORDER_CHANGE_DRAIN, 0);
	loop_disconnect(&loop[1]);
	run();
	end_until_ready();
	end_change(CACHE_NONE, false);
	ask_everything(0);
	expect_all_answered();

	/* It comes again while a change is going on, and takes part. */
	begin_change();
	loop_connect(&loop[1]);
	fake_engine_install(&fake[1], loop[1].queue);
	ask(1, BLKIF_OP_WRITE, 1);
	run();
	assert_int_equal(fake[1].nr_writes, 0);
	end_until_ready();
	end_change(CACHE_NONE, false);
	/* Only the first one has seen that. */
	run_one(0);
	ask(0, BLKIF_OP_WRITE_BARRIER, 1);
	run_one(0);
	begin_change();
	end_until_ready();
	abandon();
	expect_all_answered();
}

/* ---- the tests: anything in any order ---------------------------------------------------------- */

static void ask_anything(unsigned i)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE,
		BLKIF_OP_WRITE_BARRIER, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_DISCARD};
	uint8_t op = ops[random() % 7];

	take_answers(i);
	if (frontring_free(&loop[i].ring) > 0)
		ask(i, op, op == BLKIF_OP_READ || op == BLKIF_OP_WRITE || random() % 2);
}

static void change_anything(void)
{
	enum order_change stage = change();

	if (stage == ORDER_CHANGE_NONE)
		disk_begin_change(loop[0].disk, change_fd);
	else if (stage == ORDER_CHANGE_READY)
		end_change(random() % 2 ? CACHE_WRITEBACK : CACHE_NONE, false);
	else if (random() % 4 == 0)
		abandon();
}

static void test_any_order(void **state)
{
	unsigned seed = *(unsigned *)*state;

	set_up(NULL);
	srandom(seed);
	for (unsigned n = 0; n < 4000; n++) {
		unsigned i = (unsigned)random() % QUEUES, dice = (unsigned)random() % 16;

		if (dice < 3)
			ask_anything(i);
		else if (dice < 7 && fake[i].nr_flying > 0)
			fake_engine_end_at(&fake[i], (unsigned)random() % fake[i].nr_flying, 0);
		else if (dice == 7)
			change_anything();
		else
			(void)step(i);
		if (random() % 300 == 0) {
			if (change() != ORDER_CHANGE_NONE)
				abandon();
			expect_all_answered();
		}
	}
	if (change() != ORDER_CHANGE_NONE)
		abandon();
	(void)is_told();
	expect_all_answered();
}

#define CHANGE_TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define NR_TESTS                  11u
#define NR_STAGES                 4u

int main(void)
{
	static enum order_change stages[NR_STAGES] = {
		ORDER_CHANGE_PENDING, ORDER_CHANGE_DRAIN, ORDER_CHANGE_SYNC, ORDER_CHANGE_READY};
	static unsigned seeds[SEEDS];
	struct CMUnitTest tests[NR_TESTS + NR_STAGES + SEEDS] = {
		CHANGE_TEST(test_everything_in_flight, set_up),
		CHANGE_TEST(test_stays_in_the_ring, set_up),
		CHANGE_TEST(test_one_sleeps, set_up),
		CHANGE_TEST(test_behind_a_barrier, set_up),
		CHANGE_TEST(test_all_wait_with_barriers, set_up),
		CHANGE_TEST(test_unsafe, set_up),
		CHANGE_TEST(test_waiting_for_buffers, set_up_copy),
		CHANGE_TEST(test_waiting_for_blocks, set_up_blocks),
		CHANGE_TEST(test_abandoned_sync, set_up),
		CHANGE_TEST(test_fails, set_up),
		CHANGE_TEST(test_one_leaves, set_up),
	};

	for (unsigned i = 0; i < NR_STAGES; i++)
		tests[NR_TESTS + i] = (struct CMUnitTest){
			"abandoned", test_abandoned, NULL, tear_down, &stages[i]};
	for (unsigned i = 0; i < SEEDS; i++) {
		seeds[i] = i + 1;
		tests[NR_TESTS + NR_STAGES + i] = (struct CMUnitTest){
			"any order", test_any_order, NULL, tear_down, &seeds[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
