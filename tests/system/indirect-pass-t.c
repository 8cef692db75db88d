/*
 * Indirect requests in a queue driven by hand (R26): up to 256 segments become one I/O; their page is read once; what
 * cannot be reached or is bad is refused alone. And where buffers run out: who finds none waits, in order, without
 * the queue turning round meanwhile. On an engine that ends what and when the test says.
 */
#include "tests/lib/pass.h"

#include <poll.h>
#include <string.h>

#include <xengnttab.h>

#include "backend/data/queue_impl.h"

#define DESCRIPTOR (LOOP_PAGES - 1)

/* As many of the largest requests as there are buffers for, when they are copied. */
#define NR_FIT (LIMIT_COPY_CHUNKS / (LIMIT_SEGMENTS * WIRE_PAGE_SIZE / BUFFERS_CHUNK + 1))

static struct loop loop;
static struct fake_engine fake;

static void begin(bool persistent, unsigned nr_ring_pages)
{
	loop_init_ring(&loop, persistent, nr_ring_pages);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
}

static int set_up(void **state)
{
	(void)state;
	begin(true, 1);
	return 0;
}

static int set_up_large(void **state)
{
	(void)state;
	begin(true, 4);
	return 0;
}

static int set_up_copy(void **state)
{
	(void)state;
	begin(false, 1);
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

static struct wire_segment *descriptor(void)
{
	return (struct wire_segment *)(void *)(loop.pages + (size_t)DESCRIPTOR * WIRE_PAGE_SIZE);
}

static uint8_t mark_of(unsigned page)
{
	return (uint8_t)(page * 7 + page / 256 + 1);
}

/* ---- one request ---- */

static void test_one_io(void **state)
{
	static const unsigned sizes[] = {1, 11, 12, 22, 23, 32, 255, 256};

	(void)state;
	for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		unsigned n = sizes[k];

		loop_put_indirect(&loop, k, BLKIF_OP_READ, 8, 100, n, DESCRIPTOR);
		pass_push(&loop);
		assert_int_equal(fake.nr_flying, 1);
		assert_int_equal(fake.flying[0].offset_bytes, 8 * 512);
		assert_int_equal(fake.flying[0].size_bytes, n * 4096);
		assert_int_equal(fake_engine_length(&fake.flying[0]), n * 4096);
		for (unsigned i = 0; i < n; i++) {
			*fake_engine_byte(&fake.flying[0], (size_t)i * 4096) = mark_of(i);
			*fake_engine_byte(&fake.flying[0], (size_t)i * 4096 + 4095) =
				mark_of(i + k);
		}
		pass_end_all(&loop, &fake);
		loop_expect(&loop, k, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(loop.pages[(100 + (size_t)i) * 4096], mark_of(i));
			assert_int_equal(loop.pages[(101 + (size_t)i) * 4096 - 1], mark_of(i + k));
		}
		assert_int_equal(loop.pages[(100 + (size_t)n) * 4096], 0);
	}
	assert_int_equal(queue_stats(loop.queue).indirect_taken, sizeof(sizes) / sizeof(sizes[0]));
}

/* Segments that are no whole pages: what is written is theirs, without a gap. */
static void test_odd_segments(void **state)
{
	const unsigned n = 200;
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		memset(loop.pages + (size_t)i * 4096, mark_of(i), 4096);
	loop_put_indirect(&loop, 1, BLKIF_OP_WRITE, 16, 0, n, DESCRIPTOR);
	for (unsigned i = 0; i < n; i++) {
		descriptor()[i].first_sect = (uint8_t)(i % 5);
		descriptor()[i].last_sect = (uint8_t)(i % 5 + i % 3);
	}
	pass_push(&loop);
	assert_int_equal(fake.nr_writes, 1);
	for (unsigned i = 0; i < n; i++)
		for (unsigned byte = 0; byte < (i % 3 + 1) * 512; byte++)
			assert_int_equal(*fake_engine_byte(&fake.flying[0], at++), mark_of(i));
	assert_int_equal(fake_engine_length(&fake.flying[0]), at);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* Of the page no byte more is read than there are segments in it. */
static void test_no_byte_more(void **state)
{
	const uint8_t *copy = (const uint8_t *)loop.queue->descriptors[0];

	(void)state;
	memset(descriptor(), 0xaa, WIRE_PAGE_SIZE);
	loop_put_indirect(&loop, 1, BLKIF_OP_READ, 0, 0, 3, DESCRIPTOR);
	pass_push(&loop);
	assert_memory_equal(copy, descriptor(), 24);
	for (unsigned i = 24; i < sizeof(loop.queue->descriptors[0]); i++)
		assert_int_equal(copy[i], 0);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
}

/* Several that one pass takes, each with a page of segments of its own. */
static void test_several_in_a_pass(void **state)
{
	const unsigned n = 8;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		memset(loop.pages + (size_t)i * 20 * 4096, (int)i + 1, 20ul * 4096);
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, i * 168, i * 20, 20, DESCRIPTOR - i);
	}
	pass_push_together(&loop);
	assert_int_equal(fake.nr_flying, n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned page = 0; page < 20; page++)
			assert_int_equal(
				*fake_engine_byte(&fake.flying[i], (size_t)page * 4096), i + 1);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < n; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

static void put_small(unsigned id)
{
	loop_put_indirect(&loop, id, BLKIF_OP_READ, id * 16, id, 1, DESCRIPTOR - id);
}

static void end_reads(unsigned n)
{
	pass_run(&loop);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < n; i++)
		loop_expect(&loop, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
}

/* However many a guest sends, a pass takes no more than it has private copies for. */
static void test_no_more_than_copies(void **state)
{
	const unsigned n = LIMIT_TAKE_PER_PASS + 8;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		put_small(i);
	assert_int_equal(pass_take_together(&loop), LIMIT_TAKE_PER_PASS);
	end_reads(n);
}

/* The same behind a stream of direct ones, at whose end one request more is taken than counts. */
static void test_no_more_behind_a_stream(void **state)
{
	const unsigned n = LIMIT_TAKE_PER_PASS - 2;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		put_small(i);
	for (unsigned i = n; i < n + 3; i++)
		loop_put(&loop, i, BLKIF_OP_READ, i * 11 * 8, 100, 11);
	for (unsigned i = n + 3; i < n + 8; i++)
		put_small(i);
	assert_int_equal(pass_take_together(&loop), n + 3 + 1);
	assert_int_equal(queue_stats(loop.queue).indirect_taken, n + 1);
	end_reads(n + 8);
}

/* The largest ones, ending in one pass: more than one copy takes. */
static void test_largest_at_once(void **state)
{
	const unsigned n = 3;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		loop_put_indirect(&loop, i, BLKIF_OP_READ, 0, i * 256, 256, DESCRIPTOR - i);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned page = 0; page < 256; page++)
			*fake_engine_byte(&fake.flying[i], (size_t)page * 4096) =
				mark_of(i * 256 + page);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < n; i++)
		loop_expect(&loop, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	for (unsigned page = 0; page < n * 256; page++)
		assert_int_equal(loop.pages[(size_t)page * 4096], mark_of(page));
}

/* The same the other way, and one of them has a page that cannot be reached. */
static void test_largest_written_at_once(void **state)
{
	(void)state;
	for (unsigned page = 0; page < 1024; page++)
		loop.pages[(size_t)page * 4096] = mark_of(page);
	for (unsigned i = 0; i < 4; i++)
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, 0, i * 256, 256, DESCRIPTOR - i);
	(descriptor() - WIRE_SEGMENTS_PER_PAGE)[200].gref = 0x7fffffff;
	pass_push(&loop);
	loop_expect(&loop, 1, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	assert_int_equal(fake.nr_flying, 3);
	for (unsigned k = 0; k < 3; k++)
		for (unsigned page = 0; page < 256; page++)
			assert_int_equal(*fake_engine_byte(&fake.flying[k], (size_t)page * 4096),
				mark_of((k ? k + 1 : 0) * 256 + page));
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 0, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* More pages than can be kept mapped: those that find no room are copied, and nothing is mapped in vain. */
static void test_more_than_stays(void **state)
{
	uint64_t mapped;

	(void)state;
	/* 1024 of 1056 pages, and the one the segments lie in. */
	for (unsigned i = 0; i < 4; i++) {
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, 0, i * 256, 256, DESCRIPTOR);
		pass_push(&loop);
	}
	mapped = queue_stats(loop.queue).grants_mapped;
	for (unsigned i = 8; i < 12; i++) {
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, 0, 64 * i, 256, DESCRIPTOR);
		pass_push(&loop);
	}
	assert_int_equal(queue_stats(loop.queue).segments_copied, 1024);
	assert_int_equal(queue_stats(loop.queue).grants_mapped, mapped);
	assert_int_equal(queue_stats(loop.queue).grants_unmapped, 0);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < 4; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	for (unsigned i = 8; i < 12; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* A page that must not be written is not kept mapped: it is copied from. */
static void test_read_only_page(void **state)
{
	uint32_t ours = loop.ref[DESCRIPTOR], read_only;
	void *page = xengntshr_share_pages(loop.gntshr, 0, 1, &read_only, 0);

	(void)state;
	assert_non_null(page);
	loop.ref[DESCRIPTOR] = read_only;
	loop_put_indirect(&loop, 1, BLKIF_OP_READ, 0, 0, 20, DESCRIPTOR);
	loop.ref[DESCRIPTOR] = ours;
	memcpy(page, descriptor(), WIRE_PAGE_SIZE);
	memset(descriptor(), 0xff, WIRE_PAGE_SIZE);
	pass_push(&loop);
	assert_int_equal(fake.nr_reads, 1);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(xengntshr_unshare(loop.gntshr, page, 1), 0);
}

/* ---- what is refused ---- */

static void test_bad_among_good(void **state)
{
	uint32_t good = loop.ref[DESCRIPTOR - 1];

	(void)state;
	loop_put_indirect(&loop, 1, BLKIF_OP_WRITE, 0, 0, 20, DESCRIPTOR);
	loop.ref[DESCRIPTOR - 1] = 0x7fffffff; /* nobody's grant */
	loop_put_indirect(&loop, 2, BLKIF_OP_READ, 0, 0, 20, DESCRIPTOR - 1);
	loop.ref[DESCRIPTOR - 1] = good;
	loop_put_indirect(&loop, 3, BLKIF_OP_WRITE_BARRIER, 0, 0, 20, DESCRIPTOR - 2);
	loop_put(&loop, 4, BLKIF_OP_WRITE, 0, 0, 1);
	pass_push_together(&loop);
	loop_expect(&loop, 3, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_EOPNOTSUPP);
	loop_expect(&loop, 2, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	loop_expect_none(&loop);
	assert_int_equal(fake.nr_writes, 2);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 4, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(queue_stats(loop.queue).failed_guest, 1);
	assert_int_equal(queue_stats(loop.queue).refused[BLK_BAD_OP], 1);
	/* Who counts what is under way by these two is not misled. */
	assert_int_equal(queue_stats(loop.queue).reads_taken, 1);
	assert_int_equal(queue_stats(loop.queue).reads_answered, 1);
}

static void test_bad_segment(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i += 51) {
		loop_put_indirect(&loop, i, BLKIF_OP_READ, 0, 0, 256, DESCRIPTOR);
		descriptor()[i].last_sect = 8;
		pass_push(&loop);
		loop_expect(&loop, i, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	}
	/* One of the data pages is not granted. */
	loop_put_indirect(&loop, 300, BLKIF_OP_WRITE, 0, 0, 256, DESCRIPTOR);
	descriptor()[255].gref = 0x7fffffff;
	pass_push(&loop);
	loop_expect(&loop, 300, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	assert_int_equal(fake.nr_flying, 0);
	assert_int_equal(fake.nr_writes, 0);
}

static void test_not_offered(void **state)
{
	(void)state;
	loop.queue->limits.max_indirect_segments = 0;
	loop_put_indirect(&loop, 1, BLKIF_OP_READ, 0, 0, 20, DESCRIPTOR);
	pass_push(&loop);
	loop_expect(&loop, 1, BLKIF_OP_READ, BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(queue_stats(loop.queue).grants_mapped, 1); /* the ring */
}

/* ---- too few buffers ---- */

/* All buffers in use, and one request more, of @op. */
static void fill_buffers(uint8_t op)
{
	for (unsigned i = 0; i <= NR_FIT; i++) {
		loop_put_indirect(
			&loop, i, i == NR_FIT ? op : BLKIF_OP_WRITE, 0, 0, 256, DESCRIPTOR);
		pass_push(&loop);
	}
	assert_int_equal(fake.nr_flying, NR_FIT);
	assert_int_equal(loop.queue->waiting.n, 1);
}

static void test_waits(void **state)
{
	(void)state;
	fill_buffers(BLKIF_OP_WRITE);
	/* Nothing more is taken, not even what would need little. */
	loop_put(&loop, 100, BLKIF_OP_READ, 0, 0, 1);
	loop_push(&loop);
	assert_false(queue_poll_once(loop.queue));
	assert_int_equal(fake.nr_flying, NR_FIT);
	loop_expect_none(&loop);
	/* It was judged by what its page had when it was taken: nobody looks again. */
	descriptor()[0].last_sect = 255;
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	loop_expect(&loop, 0, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(fake.flying[NR_FIT - 1].verb, ENGINE_WRITE);
	assert_int_equal(fake.flying[NR_FIT - 1].size_bytes, 256 * 4096);
	pass_end_all(&loop, &fake);
	for (unsigned i = 1; i <= NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 100, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	loop_expect_none(&loop);
}

/* The order of a ring stays: a barrier behind a write that waits covers it (D2). */
static void test_barrier_behind(void **state)
{
	(void)state;
	fill_buffers(BLKIF_OP_WRITE);
	loop_put(&loop, 100, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	pass_push(&loop);
	for (unsigned i = 0; i < NR_FIT; i++)
		fake_engine_end(&fake, ENGINE_WRITE, 0);
	pass_run(&loop);
	/* The one that waited is in flight, and the barrier has not asked for its fdatasync. */
	assert_int_equal(fake.nr_writes, NR_FIT + 1);
	assert_int_equal(fake.nr_syncs, 0);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	assert_int_equal(fake.nr_syncs, 1);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i <= NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 100, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
}

/* Several at once, of which the first finds no buffers: all wait, and go on in their order. */
static void test_order_stays(void **state)
{
	unsigned nr_puts;

	(void)state;
	for (unsigned i = 0; i < NR_FIT; i++) {
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, 0, 0, 256, DESCRIPTOR);
		pass_push(&loop);
	}
	nr_puts = fake.nr_puts;
	loop_put_indirect(&loop, 100, BLKIF_OP_WRITE, 8, 0, 256, DESCRIPTOR);
	loop_put(&loop, 101, BLKIF_OP_WRITE, 16, 0, 1);
	loop_put(&loop, 102, BLKIF_OP_WRITE_BARRIER, 24, 0, 1);
	loop_put(&loop, 103, BLKIF_OP_READ, 32, 0, 1);
	pass_push_together(&loop);
	assert_int_equal(fake.nr_puts, nr_puts);
	assert_int_equal(loop.queue->waiting.n, 4);
	/* The disk may shrink meanwhile: they have been judged (R11). */
	disk_resize(loop.disk, 8);
	pass_end(&loop, &fake, ENGINE_WRITE, 0);
	loop_expect(&loop, 0, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	/* Both writes and the read are in flight, in this order; the barrier waits for the writes. */
	assert_int_equal(fake.nr_puts, nr_puts + 3);
	assert_int_equal(fake.flying[NR_FIT - 1].offset_bytes, 8 * 512);
	assert_int_equal(fake.flying[NR_FIT].offset_bytes, 16 * 512);
	assert_int_equal(fake.flying[NR_FIT + 1].offset_bytes, 32 * 512);
	for (unsigned ended = 0; ended < 4; ended++)
		pass_end_all(&loop, &fake);
	for (unsigned i = 1; i < NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 100, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 101, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, 103, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	loop_expect(&loop, 102, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
}

/* Buffers of writes that a barrier holds: its end is the end of the wait. */
static void test_held_buffers(void **state)
{
	(void)state;
	loop_put(&loop, 100, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	pass_push(&loop);
	for (unsigned i = 0; i <= NR_FIT; i++) {
		loop_put_indirect(&loop, i, BLKIF_OP_WRITE, 0, 0, 256, DESCRIPTOR);
		pass_push(&loop);
	}
	assert_int_equal(fake.nr_writes, 0);
	assert_int_equal(loop.queue->waiting.n, 1);
	pass_end(&loop, &fake, ENGINE_SYNC, 0);
	loop_expect(&loop, 100, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
	assert_int_equal(fake.nr_writes, NR_FIT);
	pass_end_all(&loop, &fake);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i <= NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* R16: a ring that breaks while one waits. Nothing is answered any more, and the queue comes to rest. */
static void test_broken_meanwhile(void **state)
{
	(void)state;
	fill_buffers(BLKIF_OP_WRITE);
	loop.ring.shared->req_prod += 100;
	pass_run(&loop);
	pass_end_all(&loop, &fake);
	pass_end_all(&loop, &fake);
	assert_int_equal(queue_status(loop.queue), QUEUE_BROKEN);
}

/* The thread sleeps while one waits and the ring has more; told to stop, it ends what it has taken, and takes no more. */
static void test_thread_sleeps(void **state)
{
	uint64_t passes;

	(void)state;
	fill_buffers(BLKIF_OP_WRITE);
	loop_put(&loop, 100, BLKIF_OP_READ, 0, 0, 1);
	loop_push(&loop);
	passes = queue_stats(loop.queue).passes;
	assert_int_equal(queue_start(loop.queue), 0);
	/* However long one waits, there is one look at all. */
	for (unsigned i = 0; i < 50; i++)
		(void)poll(NULL, 0, 1);
	assert_in_range(queue_stats(loop.queue).passes, passes, passes + 3);
	fake_engine_end_all(&fake);
	fake.at_once = true;
	queue_stop(loop.queue);
	for (unsigned i = 0; i <= NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect_none(&loop);
}

/* What was taken is answered, also when the queue is to stop meanwhile. */
static void test_stop(void **state)
{
	(void)state;
	fill_buffers(BLKIF_OP_READ);
	loop_put(&loop, 100, BLKIF_OP_READ, 0, 0, 1);
	loop_push(&loop);
	queue_begin_stop(loop.queue);
	pass_run(&loop);
	pass_end_all(&loop, &fake);
	pass_end_all(&loop, &fake);
	for (unsigned i = 0; i < NR_FIT; i++)
		loop_expect(&loop, i, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop, NR_FIT, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	loop_expect_none(&loop);
}

/* By its thread, with a real engine: many more than fit, and all are served. */
static void test_thread(void **state)
{
	unsigned nr_sent = 0;

	(void)state;
	loop.queue->engine = fake.real;
	assert_int_equal(queue_start(loop.queue), 0);
	for (unsigned i = 0; i < 200; i++) {
		for (; nr_sent < 200 && frontring_free(&loop.ring) > 0; nr_sent++)
			loop_put_indirect(&loop, nr_sent,
				nr_sent % 2 ? BLKIF_OP_WRITE : BLKIF_OP_READ, 0, 0, 256,
				DESCRIPTOR);
		loop_push(&loop);
		assert_int_equal(loop_wait(&loop).status, BLKIF_RSP_OKAY);
	}
	queue_stop(loop.queue);
}

#define BOTH(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                  \
		cmocka_unit_test_setup_teardown(name, set_up_copy, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_one_io),
		BOTH(test_odd_segments),
		BOTH(test_no_byte_more),
		BOTH(test_read_only_page),
		BOTH(test_several_in_a_pass),
		cmocka_unit_test_setup_teardown(test_no_more_than_copies, set_up_large, tear_down),
		cmocka_unit_test_setup_teardown(
			test_no_more_behind_a_stream, set_up_large, tear_down),
		BOTH(test_largest_at_once),
		BOTH(test_largest_written_at_once),
		cmocka_unit_test_setup_teardown(test_more_than_stays, set_up, tear_down),
		BOTH(test_bad_among_good),
		BOTH(test_bad_segment),
		BOTH(test_not_offered),
		cmocka_unit_test_setup_teardown(test_waits, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_barrier_behind, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_order_stays, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_held_buffers, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_meanwhile, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_thread_sleeps, set_up_copy, tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up_copy, tear_down),
		BOTH(test_thread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
