/*
 * R6, R26: a request is read from the ring once, and its segments from their page if it is indirect. The guest's
 * other processor rewrites them while the backend looks, from valid to invalid and back: whatever the backend takes to
 * be valid is what it uses; discards likewise. What reaches the storage is looked at; nothing of it may lie outside the disk or a page.
 */
#include "tests/lib/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "tests/lib/fake_engine.h"

#define NR_ROUNDS  25000u
#define NR_SLOTS   32u
#define DEADLINE_S 60 /* reached only by a test that fails */
#define BAD_SECTOR 0xfffffffffffffff0u
#define NR_INDIRECT                                                                                \
	20u /* segments of an indirect request; their page is that of its slot, from here on: */
#define DESCRIPTOR (LOOP_PAGES - NR_SLOTS)

static struct loop loop;
static struct fake_engine fake;

enum target {
	SLOTS,    /* direct requests */
	SEGMENTS, /* the page of an indirect one */
	DISCARDS,
};

struct attacker {
	pthread_t thread;
	enum target target;
	atomic_bool stop;
};

static volatile struct wire_request_64 *slot(unsigned i)
{
	return (struct wire_request_64 *)(void *)((uint8_t *)loop.ring.shared + 64) + i;
}

static void rewrite_slot(unsigned n)
{
	volatile struct wire_request_64 *req = slot(n % NR_SLOTS);

	switch (n / NR_SLOTS % 3) {
	case 0:
		req->sector_number = BAD_SECTOR;
		req->sector_number = 8;
		break;
	case 1:
		req->seg[0].last_sect = 255;
		req->seg[0].last_sect = 7;
		break;
	case 2:
		req->nr_segments = 255;
		req->nr_segments = 1;
		break;
	}
}

static void rewrite_segments(unsigned n)
{
	uint8_t *page = loop.pages + (size_t)(DESCRIPTOR + n % NR_SLOTS) * WIRE_PAGE_SIZE;
	unsigned i = n / NR_SLOTS % NR_INDIRECT;
	volatile struct wire_segment *seg = (struct wire_segment *)(void *)page + i;
	uint32_t gref = loop.ref[i];

	switch (n / NR_SLOTS / NR_INDIRECT % 3) {
	case 0:
		seg->last_sect = 255;
		seg->last_sect = 7;
		break;
	case 1:
		seg->first_sect = 8;
		seg->first_sect = 0;
		break;
	case 2:
		seg->gref = 0x7fffffff;
		seg->gref = gref;
		break;
	}
}

static void rewrite_discard(unsigned n)
{
	volatile struct wire_discard_64 *req = (volatile void *)slot(n % NR_SLOTS);

	switch (n / NR_SLOTS % 3) {
	case 0:
		req->sector_number = BAD_SECTOR;
		req->sector_number = 8;
		break;
	case 1:
		req->nr_sectors = BAD_SECTOR;
		req->nr_sectors = 8;
		break;
	case 2:
		/* A read of no segments. */
		req->operation = BLKIF_OP_READ;
		req->operation = BLKIF_OP_DISCARD;
		break;
	}
}

/* Every slot, over and over, one field at a time. */
static void *attack(void *arg)
{
	struct attacker *attacker = arg;

	for (unsigned n = 0; !atomic_load_explicit(&attacker->stop, memory_order_relaxed); n++) {
		if (attacker->target == SEGMENTS)
			rewrite_segments(n);
		else if (attacker->target == DISCARDS)
			rewrite_discard(n);
		else
			rewrite_slot(n);
	}
	return NULL;
}

static void check_io(const struct engine_io *io)
{
	uint64_t end = io->offset_bytes + io->size_bytes;

	assert_true(end > io->offset_bytes && end <= (uint64_t)LOOP_DISK_SECTORS * 512);
	if (io->verb == ENGINE_DISCARD)
		return;
	assert_in_range(io->size_bytes, 512, NR_INDIRECT * 4096);
	assert_in_range(io->nr_iov, 1, NR_INDIRECT);
	for (unsigned i = 0; i < io->nr_iov; i++)
		assert_in_range(io->iov[i].iov_len, 512, 11 * 4096);
	assert_int_equal(fake_engine_length(io), io->size_bytes);
}

static void one_round(enum target target)
{
	struct frontring_response rsp;
	unsigned n = 0;

	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (target == SEGMENTS)
			loop_put_indirect(
				&loop, i, BLKIF_OP_READ, 8, 0, NR_INDIRECT, DESCRIPTOR + i);
		else if (target == DISCARDS)
			loop_put_discard(&loop, i, 8, 8);
		else
			loop_put(&loop, i, BLKIF_OP_READ, 8, i, 1);
	loop_push(&loop);
	while (n < NR_SLOTS) {
		(void)queue_poll_once(loop.queue);
		for (unsigned i = 0; i < fake.nr_flying; i++)
			check_io(&fake.flying[i]);
		fake_engine_end_all(&fake);
		/* The attacker spoils the answers' bytes, too: only their number counts. */
		while (loop_get(&loop, &rsp))
			n++;
	}
}

/* Requests that were taken after the attacker had spoiled them. */
static uint64_t nr_refused(void)
{
	struct queue_stats stats = queue_stats(loop.queue);
	uint64_t refused = 0;

	for (unsigned i = 0; i < BLK_REASON_COUNT; i++)
		refused += stats.refused[i];
	return refused;
}

static void under_attack(bool persistent, enum target target)
{
	struct attacker attacker = {.target = target, .stop = false};
	time_t end = time(NULL) + DEADLINE_S;
	struct queue_stats stats;

	loop_init(&loop, persistent);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	assert_int_equal(pthread_create(&attacker.thread, NULL, attack, &attacker), 0);
	for (unsigned i = 0; i < NR_ROUNDS; i++)
		one_round(target);
	/* On one processor the attacker strikes only when it happens to be its turn. */
	while (nr_refused() == 0 && time(NULL) < end)
		one_round(target);
	atomic_store(&attacker.stop, true);
	(void)pthread_join(attacker.thread, NULL);
	stats = queue_stats(loop.queue);
	(void)fprintf(stderr, "%llu taken, %llu refused\n",
		(unsigned long long)stats.reads + stats.discards, (unsigned long long)nr_refused());
	assert_true(stats.reads + stats.discards > 0);
	assert_true(nr_refused() > 0);
	loop_disconnect(&loop);
	loop_fini(&loop);
}

static void test_rewritten_requests(void **state)
{
	(void)state;
	under_attack(true, SLOTS);
}

static void test_rewritten_segments(void **state)
{
	(void)state;
	under_attack(true, SEGMENTS);
}

static void test_rewritten_segments_copied(void **state)
{
	(void)state;
	under_attack(false, SEGMENTS);
}

static void test_rewritten_discards(void **state)
{
	(void)state;
	under_attack(true, DISCARDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewritten_requests),
		cmocka_unit_test(test_rewritten_segments),
		cmocka_unit_test(test_rewritten_segments_copied),
		cmocka_unit_test(test_rewritten_discards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
