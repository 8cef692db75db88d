/*
 * Guests write in sectors of 512 bytes on storage that takes 4096 at least (D1), in queues driven by hand. The storage is the
 * test's: it ends I/Os in any order, and a write takes its data, and a read gives them, at its end. Every I/O has to be of whole
 * blocks. No neighbour in flight may lose what it wrote, in whichever queue it is.
 */
#include "tests/lib/pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/data/queue_impl.h"

#define UNIT     4096u
#define SECTOR   512u
#define NR_BYTES (LOOP_DISK_SECTORS * SECTOR)

static struct loop loop[2];
static struct fake_engine fake[2];
static uint8_t media[NR_BYTES];

static int begin(bool persistent)
{
	loop_init_unit(&loop[0], persistent, UNIT);
	loop_init_beside(&loop[1], &loop[0]);
	for (unsigned i = 0; i < 2; i++) {
		loop_connect(&loop[i]);
		fake_engine_install(&fake[i], loop[i].queue);
	}
	for (unsigned i = 0; i < NR_BYTES; i++)
		media[i] = (uint8_t)(i / SECTOR * 37 + i % 251);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return begin(true);
}

static int set_up_copy(void **state)
{
	(void)state;
	return begin(false);
}

static int tear_down(void **state)
{
	(void)state;
	loop[0].disk->storage.cache = CACHE_NONE;
	assert_int_equal(loop[0].disk->ranges->n, 0);
	for (unsigned i = 2; i-- > 0;) {
		pass_expect_rest(&loop[i]);
		loop_disconnect(&loop[i]);
		loop_fini(&loop[i]);
	}
	return 0;
}

/* ---- the storage ---- */

static void move(const struct engine_io *io)
{
	uint64_t at = io->offset_bytes;

	assert_int_equal(at % UNIT, 0);
	assert_int_equal(io->size_bytes % UNIT, 0);
	assert_in_range(at + io->size_bytes, UNIT, NR_BYTES);
	for (unsigned i = 0; i < io->nr_iov; i++) {
		const struct iovec *iov = &io->iov[i];

		assert_int_equal((uintptr_t)iov->iov_base % SECTOR, 0);
		assert_int_equal(iov->iov_len % UNIT, 0);
		if (io->verb == ENGINE_WRITE)
			memcpy(media + at, iov->iov_base, iov->iov_len);
		else
			memcpy(iov->iov_base, media + at, iov->iov_len);
		at += iov->iov_len;
	}
	assert_int_equal(at, io->offset_bytes + io->size_bytes);
}

/* The @i-th in flight of queue @q ends well. */
static void end(unsigned q, unsigned i)
{
	if (fake[q].flying[i].verb != ENGINE_SYNC)
		move(&fake[q].flying[i]);
	fake_engine_end_at(&fake[q], i, 0);
}

static bool is_woken(unsigned q)
{
	uint64_t count;

	return read(loop[q].queue->wake_fd, &count, sizeof(count)) == sizeof(count);
}

static void run(void)
{
	bool more = true;

	for (unsigned i = 0; more; i++) {
		assert_in_range(i, 0, 300);
		more = queue_poll_once(loop[0].queue);
		more |= queue_poll_once(loop[1].queue);
		/* Nobody sleeps here: what would wake a queue is looked for at once. */
		for (unsigned q = 0; q < 2; q++)
			more |= is_woken(q);
	}
}

/* ---- requests ---- */

/* From @sector on, @n sectors, in pages from @page on, the first of which begins at sector @first. */
static struct blk_request request(
	uint64_t id, uint8_t op, uint64_t sector, unsigned n, unsigned first)
{
	struct blk_request req = {.id = id, .op = op, .sector = sector};

	while (n > 0) {
		unsigned k = WIRE_PAGE_SECTORS - first < n ? WIRE_PAGE_SECTORS - first : n;

		req.seg[req.nr_segments++] = (struct blk_segment){
			.first_sect = (uint8_t)first, .last_sect = (uint8_t)(first + k - 1)};
		n -= k;
		first = 0;
	}
	return req;
}

static void put(unsigned q, const struct blk_request *req, unsigned page)
{
	loop_put_request(&loop[q], req, page);
	loop_push(&loop[q]);
}

static uint8_t *data(unsigned q, unsigned page, unsigned first)
{
	return loop[q].pages + (size_t)page * 4096 + (size_t)first * SECTOR;
}

static void end_all(void)
{
	while (fake[0].nr_flying + fake[1].nr_flying > 0) {
		end(fake[0].nr_flying == 0, 0);
		run();
	}
}

/* ---- one request ---- */

/* Every way to begin and end in a block: what was there before and behind stays. */
static void test_every_edge(void **state)
{
	(void)state;
	for (unsigned sector = 64; sector < 72; sector++)
		for (unsigned n = 1; n <= 3 * 8 + 1; n++) {
			unsigned first = (sector * 5 + n) % 8;
			struct blk_request req = request(n, BLKIF_OP_WRITE, sector, n, first);
			static uint8_t before[NR_BYTES];

			memcpy(before, media, NR_BYTES);
			memset(data(0, 0, 0), (int)(sector ^ n), 6ul * 4096);
			put(0, &req, 0);
			run();
			end_all();
			loop_expect(&loop[0], n, req.op, BLKIF_RSP_OKAY);
			memset(before + sector * SECTOR, (int)(sector ^ n), (size_t)n * SECTOR);
			assert_memory_equal(media, before, NR_BYTES);
			req.op = BLKIF_OP_READ;
			memset(data(0, 0, 0), 0xee, 6ul * 4096);
			put(0, &req, 0);
			run();
			end_all();
			loop_expect(&loop[0], n, req.op, BLKIF_RSP_OKAY);
			assert_memory_equal(
				data(0, 0, first), media + sector * SECTOR, (size_t)n * SECTOR);
			/* And not a byte beside the segments. */
			for (unsigned i = 0; i < first * SECTOR; i++)
				assert_int_equal(data(0, 0, 0)[i], 0xee);
			assert_int_equal(data(0, 0, first)[n * SECTOR], 0xee);
		}
}

/* Whole blocks in whole pages: nothing is read, and nothing copied that need not be. */
static void test_aligned_is_direct(void **state)
{
	struct blk_request req = request(1, BLKIF_OP_WRITE, 16, 88, 0);

	(void)state;
	put(0, &req, 0);
	run();
	assert_int_equal(fake[0].nr_reads, 0);
	assert_int_equal(fake[0].nr_flying, 1);
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(
		queue_stats(loop[0].queue).segments_persistent, loop[0].persistent ? 11 : 0);
}

/* Whole blocks of the disk in halves of pages: the storage takes no such pieces of memory. */
static void test_aligned_in_pieces(void **state)
{
	struct blk_request req = request(1, BLKIF_OP_WRITE, 16, 8, 4);

	(void)state;
	assert_int_equal(req.nr_segments, 2);
	memset(data(0, 0, 4), 0x77, 4096);
	put(0, &req, 0);
	run();
	assert_int_equal(fake[0].nr_reads, 0);
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(media[16 * SECTOR + i], 0x77);
}

/* The largest there is, one sector off. */
static void test_largest(void **state)
{
	const unsigned n = 256;
	static uint8_t before[NR_BYTES];

	(void)state;
	memcpy(before, media, NR_BYTES);
	for (unsigned i = 0; i < n; i++)
		memset(data(0, i, 0), (int)i + 1, 4096);
	loop_put_indirect(&loop[0], 7, BLKIF_OP_WRITE, 9, 0, n, LOOP_PAGES - 1);
	loop_push(&loop[0]);
	run();
	end_all();
	loop_expect(&loop[0], 7, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < n; i++)
		memset(before + 9ul * SECTOR + i * 4096ul, (int)i + 1, 4096);
	assert_memory_equal(media, before, NR_BYTES);
}

/* ---- neighbours ---- */

/* The second reads the block when the first has written it, not before: in the other queue as well. */
static void test_neighbours_take_turns(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 1, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE, 9, 1, 0);

	(void)state;
	memset(data(0, 0, 0), 0xaa, SECTOR);
	memset(data(1, 0, 0), 0xbb, SECTOR);
	put(0, &a, 0);
	put(1, &b, 0);
	run();
	assert_int_equal(fake[0].nr_flying, 1);
	assert_int_equal(fake[1].nr_flying, 0);
	end(0, 0);
	run();
	assert_int_equal(fake[0].flying[0].verb, ENGINE_WRITE);
	assert_int_equal(fake[1].nr_flying, 0);
	end(0, 0);
	run();
	assert_int_equal(fake[1].nr_flying, 1);
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop[1], 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(media[8 * SECTOR], 0xaa);
	assert_int_equal(media[9 * SECTOR], 0xbb);
}

/* Who waits is woken by the other queue's thread. */
static void test_the_other_queue_is_woken(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 1, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE, 9, 1, 0);
	uint64_t count = 0;

	(void)state;
	put(0, &a, 0);
	run();
	put(1, &b, 0);
	run();
	(void)!read(loop[1].queue->wake_fd, &count, sizeof(count));
	while (fake[0].nr_flying > 0) {
		end(0, 0);
		while (queue_poll_once(loop[0].queue))
			;
	}
	count = 0;
	assert_int_equal(read(loop[1].queue->wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	run();
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop[1], 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
}

/* A write of the whole block, answered in between, would be undone by what had been read before it. */
static void test_whole_beside_part(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 1, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE, 8, 8, 0);

	(void)state;
	memset(data(0, 0, 0), 0xaa, SECTOR);
	memset(data(1, 0, 0), 0xbb, 4096);
	put(0, &a, 0);
	run();
	end(0, 0);
	put(1, &b, 0);
	run();
	while (fake[1].nr_flying > 0) {
		end(1, 0);
		run();
	}
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop[1], 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	for (unsigned i = 1; i < 8; i++)
		assert_int_equal(media[(8 + i) * SECTOR], 0xbb);
}

/* Halves of blocks that follow each other, as neighbours of whole blocks would share an I/O: these may not. */
static void test_edges_in_a_row(void **state)
{
	(void)state;
	for (unsigned is_read = 0; is_read < 2; is_read++) {
		for (unsigned i = 0; i < 6; i++) {
			struct blk_request req = request(
				i, is_read ? BLKIF_OP_READ : BLKIF_OP_WRITE, 100 + i * 4, 4, 0);

			memset(data(0, i, 0), is_read ? 0 : (int)i + 1, 4096);
			loop_put_request(&loop[0], &req, i);
		}
		loop_push(&loop[0]);
		run();
		end_all();
		assert_int_equal(loop_take_answers(&loop[0], BLKIF_RSP_OKAY), 6);
		for (unsigned i = 0; i < 6; i++) {
			assert_int_equal(media[(100 + i * 4) * SECTOR], i + 1);
			assert_int_equal(data(0, i, 0)[5], i + 1);
		}
	}
}

/* Queue 1 is never out of work, so that it never sleeps and looks at its eventfd: its write goes on all the same. */
static void test_a_busy_queue_goes_on(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 1, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE, 9, 1, 0);
	struct blk_request r = request(3, BLKIF_OP_READ, 800, 8, 0);
	unsigned passes = 0;

	(void)state;
	put(0, &a, 0);
	put(1, &b, 0);
	run();
	while (fake[0].nr_flying > 0) {
		end(0, 0);
		while (queue_poll_once(loop[0].queue))
			;
	}
	while (fake[1].nr_flying < 2) {
		assert_in_range(++passes, 1, 5);
		put(1, &r, 1);
		assert_true(queue_poll_once(loop[1].queue));
		if (fake[1].nr_flying > 1)
			break;
		end(1, 0);
		assert_true(queue_poll_once(loop[1].queue));
		(void)loop_take_answers(&loop[1], BLKIF_RSP_OKAY);
	}
	end_all();
	assert_int_equal(loop_take_answers(&loop[0], BLKIF_RSP_OKAY), 1);
	assert_in_range(loop_take_answers(&loop[1], BLKIF_RSP_OKAY), 1, 2);
}

/* What was read is not there: the write fails, nothing was written, and whoever waited goes on. */
static void test_edge_cannot_be_read(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 1, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE, 9, 1, 0);

	(void)state;
	loop[0].disk->storage.cache = CACHE_DIRECTSYNC;
	put(0, &a, 0);
	put(0, &b, 1);
	run();
	fake_engine_end_at(&fake[0], 0, -EIO);
	run();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	/* No write was lost, so the disk is as good as before (D5). */
	assert_int_equal(disk_fault(loop[0].disk), 0);
	end_all();
	loop_expect(&loop[0], 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(fake[0].nr_writes, 1);
}

/* A barrier's data may have edges, too, and comes after what was before it. */
static void test_barrier(void **state)
{
	struct blk_request a = request(1, BLKIF_OP_WRITE, 8, 3, 0);
	struct blk_request b = request(2, BLKIF_OP_WRITE_BARRIER, 12, 2, 0);
	struct blk_request c = request(3, BLKIF_OP_WRITE, 14, 1, 0);

	(void)state;
	memset(data(0, 0, 0), 1, 4096);
	memset(data(0, 1, 0), 2, 4096);
	memset(data(0, 2, 0), 3, 4096);
	put(0, &a, 0);
	put(0, &b, 1);
	put(0, &c, 2);
	run();
	assert_int_equal(fake[0].nr_flying, 1);
	end_all();
	loop_expect(&loop[0], 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	loop_expect(&loop[0], 2, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
	loop_expect(&loop[0], 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(fake[0].nr_syncs, 2);
	assert_int_equal(media[8 * SECTOR], 1);
	assert_int_equal(media[11 * SECTOR], (uint8_t)(11 * 37 + 11 * SECTOR % 251));
	assert_int_equal(media[13 * SECTOR], 2);
	assert_int_equal(media[14 * SECTOR], 3);
}

/* ---- at random ---- */

#define NR_FLIGHT 12u

struct flight {
	bool flies;
	struct blk_request req;
	unsigned first, n;
	uint8_t mark;
};

static bool is_free(struct flight all[2][NR_FLIGHT], uint64_t sector, unsigned n)
{
	for (unsigned i = 0; i < 2 * NR_FLIGHT; i++) {
		const struct flight *f = &all[0][0] + i;

		if (f->flies && f->req.sector < sector + n && sector < f->req.sector + f->n)
			return false;
	}
	return true;
}

static void launch(struct flight all[2][NR_FLIGHT], unsigned q, unsigned i, unsigned *seed)
{
	struct flight *f = &all[q][i];
	uint64_t sector = 400 + (unsigned)rand_r(seed) % 64;
	unsigned n = (unsigned)rand_r(seed) % 20 + 1, page = i * 4;

	if (f->flies || !is_free(all, sector, n))
		return;
	f->n = n;
	f->first = (unsigned)rand_r(seed) % 8;
	f->req = request(i, rand_r(seed) % 4 ? BLKIF_OP_WRITE : BLKIF_OP_READ, sector, n, f->first);
	f->mark = (uint8_t)rand_r(seed);
	f->flies = true;
	memset(data(q, page, f->first), f->mark, (size_t)n * SECTOR);
	put(q, &f->req, page);
}

static void land(struct flight all[2][NR_FLIGHT], unsigned q, uint8_t *model)
{
	struct frontring_response rsp;

	while (loop_get(&loop[q], &rsp)) {
		struct flight *f = &all[q][rsp.id];
		uint8_t *there = model + f->req.sector * SECTOR;
		size_t size = (size_t)f->n * SECTOR;

		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		assert_true(f->flies);
		f->flies = false;
		if (f->req.op == BLKIF_OP_WRITE)
			memset(there, f->mark, size);
		else
			assert_memory_equal(data(q, (unsigned)rsp.id * 4, f->first), there, size);
	}
}

/* Nobody writes where another one does; blocks they share all the time. */
static void test_random(void **state)
{
	static struct flight all[2][NR_FLIGHT];
	static uint8_t model[NR_BYTES];
	unsigned seed = 3;

	(void)state;
	memset(all, 0, sizeof(all));
	memcpy(model, media, NR_BYTES);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned q = (unsigned)rand_r(&seed) % 2;

		launch(all, q, (unsigned)rand_r(&seed) % NR_FLIGHT, &seed);
		run();
		if (fake[q].nr_flying > 0 && rand_r(&seed) % 2)
			end(q, (unsigned)rand_r(&seed) % fake[q].nr_flying);
		run();
		land(all, 0, model);
		land(all, 1, model);
	}
	end_all();
	land(all, 0, model);
	land(all, 1, model);
	assert_memory_equal(media, model, NR_BYTES);
}

#define RMW_TEST(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                  \
		cmocka_unit_test_setup_teardown(name, set_up_copy, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RMW_TEST(test_every_edge),
		RMW_TEST(test_aligned_is_direct),
		RMW_TEST(test_aligned_in_pieces),
		RMW_TEST(test_largest),
		RMW_TEST(test_neighbours_take_turns),
		RMW_TEST(test_the_other_queue_is_woken),
		RMW_TEST(test_a_busy_queue_goes_on),
		RMW_TEST(test_whole_beside_part),
		RMW_TEST(test_edges_in_a_row),
		RMW_TEST(test_edge_cannot_be_read),
		RMW_TEST(test_barrier),
		RMW_TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
