/*
 * A queue's thread under load, for the thread sanitizer above all: traffic of every kind, barriers
 * included, on real storage; stopped in the middle and started anew; counters read meanwhile. All
 * that was taken is answered, all that was written is read back, nothing stays mapped.
 */
#include "tests/lib/loop.h"

#include <string.h>
#include <unistd.h>

#define NR_ROUNDS   12u
#define NR_REQUESTS 800u
#define NR_LANES    32u

static uint64_t random_state = 1;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

/* A lane is an id, its page, its block on the disk, and what was written there last. */
struct lane {
	bool busy;
	uint8_t op;
	uint64_t value;
};

static uint8_t random_op(void)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_WRITE,
		BLKIF_OP_WRITE, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_FLUSH_DISKCACHE};

	return ops[random_below(sizeof(ops))];
}

static uint64_t *page_of(struct loop *loop, unsigned i)
{
	return (uint64_t *)(void *)(loop->pages + (size_t)i * WIRE_PAGE_SIZE);
}

static void ask(struct loop *loop, struct lane *lane, unsigned i)
{
	unsigned nr_pages = 1;
	uint64_t *page = page_of(loop, i);

	lane->op = random_op();
	if (lane->op == BLKIF_OP_FLUSH_DISKCACHE || lane->op == BLKIF_OP_WRITE_BARRIER)
		nr_pages = random_below(2);
	if (lane->op == BLKIF_OP_READ) {
		page[511] = ~lane->value;
	} else if (nr_pages) {
		lane->value = ((uint64_t)i << 32) + random_below(1u << 30) + 1;
		for (unsigned k = 0; k < 512; k++)
			page[k] = lane->value;
	}
	lane->busy = true;
	loop_put(loop, i, lane->op, i * 8, i, nr_pages);
}

static void check(struct loop *loop, struct lane *lane, const struct frontring_response *rsp)
{
	struct lane *its = &lane[rsp->id];

	assert_in_range(rsp->id, 0, NR_LANES - 1);
	assert_true(its->busy);
	assert_int_equal(rsp->op, its->op);
	assert_int_equal(rsp->status, BLKIF_RSP_OKAY);
	assert_true(rsp->padding_is_zero);
	if (its->op == BLKIF_OP_READ) {
		assert_int_equal(page_of(loop, (unsigned)rsp->id)[0], its->value);
		assert_int_equal(page_of(loop, (unsigned)rsp->id)[511], its->value);
	}
	its->busy = false;
}

/* Full speed until @n were asked; what is outstanding then stays so. */
static unsigned drive(struct loop *loop, struct lane *lane, unsigned n)
{
	unsigned outstanding = 0;
	struct frontring_response rsp;

	while (n > 0) {
		for (unsigned i = 0; i < NR_LANES && n > 0; i++) {
			if (lane[i].busy || random_below(3) == 0)
				continue;
			ask(loop, &lane[i], i);
			outstanding++;
			n--;
		}
		loop_push(loop);
		if (outstanding > 0) {
			rsp = loop_wait(loop);
			check(loop, lane, &rsp);
			outstanding--;
		}
		while (loop_get(loop, &rsp)) {
			check(loop, lane, &rsp);
			outstanding--;
		}
		(void)queue_stats(loop->queue);
		(void)queue_take_report(loop->queue);
	}
	return outstanding;
}

/* What was not taken before the stop is the next connection's: here, asked once more or forgotten. */
static void one_connection(struct loop *loop, struct lane *lane)
{
	struct frontring_response rsp;
	unsigned outstanding;

	loop_connect(loop);
	assert_int_equal(queue_start(loop->queue), 0);
	outstanding = drive(loop, lane, NR_REQUESTS);
	queue_begin_stop(loop->queue);
	queue_stop(loop->queue);
	while (loop_get(loop, &rsp)) {
		check(loop, lane, &rsp);
		outstanding--;
	}
	assert_int_equal(queue_status(loop->queue), QUEUE_RUNNING);
	assert_in_range(outstanding, 0, NR_LANES);
	loop_disconnect(loop);
	/* A write that was not taken did not happen. */
	for (unsigned i = 0; i < NR_LANES; i++) {
		lane[i].busy = false;
		assert_int_equal(pread(loop->image_fd, &lane[i].value, 8, (off_t)i * 4096), 8);
	}
}

static void thread_test(bool persistent)
{
	struct lane lane[NR_LANES];
	struct loop loop;

	memset(lane, 0, sizeof(lane));
	loop_init(&loop, persistent);
	for (unsigned i = 0; i < NR_ROUNDS; i++)
		one_connection(&loop, lane);
	loop_fini(&loop);
}

static void test_persistent(void **state)
{
	(void)state;
	thread_test(true);
}

static void test_copy(void **state)
{
	(void)state;
	thread_test(false);
}

/* Stopped before it was started, started and stopped without a request, stopped twice. */
static void test_short_lives(void **state)
{
	struct loop loop;

	(void)state;
	loop_init(&loop, true);
	for (unsigned i = 0; i < 20; i++) {
		loop_connect(&loop);
		if (i % 3 > 0)
			assert_int_equal(queue_start(loop.queue), 0);
		if (i % 3 > 1)
			queue_stop(loop.queue);
		loop_disconnect(&loop);
	}
	loop_fini(&loop);
}

static int16_t answer_to(struct loop *loop, uint8_t op, uint64_t sector)
{
	loop_put(loop, 0, op, sector, 0, 1);
	loop_push(loop);
	return loop_wait(loop).status;
}

/* Z4: whoever is told a size by us finds it with the queue, at once, whether it has grown or shrunk. */
static void test_resized(void **state)
{
	struct loop loop;

	(void)state;
	loop_init(&loop, true);
	loop_connect(&loop);
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		uint64_t end = LOOP_DISK_SECTORS / 2 + random_below(2) * 8;

		disk_resize(loop.disk, end);
		assert_int_equal(answer_to(&loop, BLKIF_OP_READ, end - 8), BLKIF_RSP_OKAY);
		assert_int_equal(answer_to(&loop, BLKIF_OP_WRITE, end), BLKIF_RSP_ERROR);
	}
	queue_stop(loop.queue);
	loop_disconnect(&loop);
	loop_fini(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_short_lives),
		cmocka_unit_test(test_resized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
