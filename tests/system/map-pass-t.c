/*
 * Pages mapped for one request each (transfer=map), in a queue driven by hand: I/O on the guest's own pages; unmapped before the
 * answer (XSA-396); a page the guest lets us only read will do for a write; what cannot be mapped, or would be too much, is
 * copied. And persistent grants beyond what may be mapped.
 */
#include "tests/lib/pass.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xengnttab.h>

#include "backend/data/budget.h"

static struct loop loop;
static struct fake_engine fake;

/* Time is the test's: it goes on when somebody says so. */
static time_t seconds = 1000;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	*ret = (struct timespec){.tv_sec = seconds};
	return 0;
}

/* How often somebody tried to map. */
static unsigned nr_tries;

void *xengnttab_map_domain_grant_refs(
	xengnttab_handle *handle, uint32_t n, uint32_t domid, uint32_t *refs, int protection)
{
	void *(*real)(xengnttab_handle *, uint32_t, uint32_t, uint32_t *, int);

	nr_tries++;
	*(void **)&real = dlsym(RTLD_NEXT, "xengnttab_map_domain_grant_refs");
	return real(handle, n, domid, refs, protection);
}

static void begin(bool persistent, bool map_each, unsigned max_grants, struct budget *budget)
{
	loop_init(&loop, persistent);
	loop.map_each = map_each;
	loop.max_grants = max_grants;
	loop.budget = budget;
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
}

static int set_up(void **state)
{
	(void)state;
	begin(false, true, LIMIT_GRANTS_DISK, NULL);
	return 0;
}

static int set_up_few(void **state)
{
	(void)state;
	begin(false, true, 20, NULL);
	return 0;
}

static int set_up_persistent_few(void **state)
{
	(void)state;
	begin(true, false, 20, NULL);
	return 0;
}

static int set_up_none(void **state)
{
	(void)state;
	begin(true, true, 0, NULL);
	return 0;
}

static struct queue_stats stats(void)
{
	return queue_stats(loop.queue);
}

static int tear_down(void **state)
{
	(void)state;
	pass_expect_rest(&loop);
	loop_disconnect(&loop);
	loop_fini(&loop);
	return 0;
}

/* On the guest's own pages, whatever order they have; and unmapped when the guest sees the answer, not later. */
static void test_read_and_write(void **state)
{
	(void)state;
	memset(loop.pages, 0x11, 4096);
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 3);
	loop_put(&loop, 1, BLKIF_OP_READ, 64, 7, 2);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 5);
	assert_int_equal(fake.flying[0].nr_iov, 3);
	assert_int_equal(*(uint8_t *)fake.flying[0].iov[0].iov_base, 0x11);
	/* Nothing was copied: what the guest changes now the storage would still see. */
	loop.pages[4096 + 5] = 0x22;
	assert_int_equal(((uint8_t *)fake.flying[0].iov[1].iov_base)[5], 0x22);
	memset(fake.flying[1].iov[1].iov_base, 0x33, 4096);
	assert_int_equal(loop.pages[8 * 4096], 0x33);

	pass_end(&loop, &fake, ENGINE_READ, 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(loop_nr_mapped(&loop), 3);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(loop_nr_mapped(&loop), 0);
	assert_int_equal(stats().segments_mapped, 5);
	assert_int_equal(stats().segments_copied + stats().segments_persistent, 0);
}

/* The largest, and one page as often as there are segments: each is a mapping of its own. */
static void test_indirect(void **state)
{
	(void)state;
	loop_put_indirect(&loop, 0, BLKIF_OP_READ, 0, 0, 256, LOOP_PAGES - 1);
	for (unsigned i = 1; i < 20; i++)
		loop.ref[300 + i] = loop.ref[300];
	loop_put_indirect(&loop, 1, BLKIF_OP_WRITE, 3000, 300, 20, LOOP_PAGES - 2);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 276);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 2);
	assert_int_equal(loop_nr_mapped(&loop), 0);
}

/* Requests that share an I/O share its end, and each gives its own pages back. */
static void test_merged(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 16, i * 3, 2);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 1);
	assert_int_equal(loop_nr_mapped(&loop), 16);
	pass_end(&loop, &fake, ENGINE_WRITE, -EIO);
	assert_int_equal(loop_nr_mapped(&loop), 16);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 8);
	assert_int_equal(loop_nr_mapped(&loop), 0);
}

/* Linux grants what it writes read-only. */
static void test_read_only_grants(void **state)
{
	uint32_t ref[4];
	uint8_t *pages = xengntshr_share_pages(loop.gntshr, 0, 4, ref, 0);

	(void)state;
	assert_non_null(pages);
	memcpy(&loop.ref[0], ref, sizeof(ref));
	pages[100] = 0x44;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 2);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 2);
	assert_int_equal(((uint8_t *)fake.flying[0].iov[0].iov_base)[100], 0x44);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	/* To read into them it may not be used. */
	loop_put(&loop, 1, BLKIF_OP_READ, 0, 2, 2);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 1);
	assert_int_equal(loop_nr_mapped(&loop), 0);
	assert_int_equal(xengntshr_unshare(loop.gntshr, pages, 4), 0);
}

/*
 * One that is no grant: the request fails, and none of its pages stays. A guest may have any number of them, each of which costs the
 * kernel and Xen a failed attempt: one in a pass is enough, what else is there is copied. The next pass tries again.
 */
static void test_bad_grants(void **state)
{
	(void)state;
	loop.ref[5] = 0x7fffff00;
	nr_tries = 0;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 800, 20, 1);
	loop_put(&loop, 1, BLKIF_OP_WRITE, 0, 3, 4);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 100, 3, 4);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 500, 9, 1);
	pass_push_together(&loop);
	assert_int_equal(nr_tries, 2);
	assert_int_equal(fake.nr_flying, 2);
	assert_int_equal(loop_nr_mapped(&loop), 1);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_nr_mapped(&loop), 0);
	assert_int_equal(stats().failed_guest, 2);
	assert_int_equal(stats().writes, 2);
	loop_put(&loop, 0, BLKIF_OP_WRITE, 500, 9, 1);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 1);
	pass_end_all(&loop, &fake);
}

/* Beyond what this queue may have mapped: copied, until others have gone. */
static void test_too_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		loop_put(&loop, i, BLKIF_OP_WRITE, i * 200, i * 11, 11);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 11);
	assert_int_equal(stats().segments_copied, 22);
	assert_int_equal(stats().grants_over_limit, 22);
	pass_end_all(&loop, &fake);
	loop_put(&loop, 0, BLKIF_OP_READ, 0, 11, 11);
	pass_push(&loop);
	assert_int_equal(loop_nr_mapped(&loop), 11);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 4);
}

/* The cache keeps to it as well, and its oldest page goes for another, if it has not been used for a while. */
static void test_too_many_persistent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		seconds += LIMIT_GRANT_EVICT_S;
		loop_put(&loop, i, BLKIF_OP_READ, 0, i, 2);
		pass_push(&loop);
		pass_end_all(&loop, &fake);
		assert_in_range(loop_nr_mapped(&loop), 2, 20);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	}
	assert_int_equal(loop_nr_mapped(&loop), 20);
	assert_int_equal(stats().segments_persistent, 200);
	/* All are used now: a page more is copied, and none has gone. */
	for (unsigned i = 0; i < 20; i++)
		loop_put(&loop, i, BLKIF_OP_READ, i * 100, 81 + i, 1);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(stats().segments_copied, 0);
	loop_put(&loop, 20, BLKIF_OP_READ, 3000, 0, 2);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(stats().segments_copied, 2);
	assert_int_equal(stats().grants_unmapped, 81);
	assert_int_equal(stats().grants_over_limit, 1);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 21);
	loop_put_indirect(&loop, 0, BLKIF_OP_READ, 0, 0, 21, LOOP_PAGES - 1);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(stats().segments_copied, 23);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
}

static void test_nothing_may_be_mapped(void **state)
{
	(void)state;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 0, 11);
	loop_put_indirect(&loop, 1, BLKIF_OP_READ, 200, 100, 256, LOOP_PAGES - 1);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 2);
	assert_int_equal(loop_nr_mapped(&loop), 0);
	assert_int_equal(stats().segments_copied, 267);
}

/* What the host's workers may have is used up by another: ours change places, one for one, and then copy. */
static void test_host_is_full(void **state)
{
	struct budget ours, other;
	struct problem problem;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/map-pass-t.%d", (int)getpid());
	assert_int_equal(budget_open(&ours, path, 300, &problem), 0);
	assert_int_equal(budget_open(&other, path, 300, &problem), 0);
	begin(true, false, LIMIT_GRANTS_DISK, &ours);
	for (unsigned i = 0; i < 10; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 0, i, 1);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 10);
	assert_true(budget_take(&other, 300 - budget_sum(&ours)));
	for (unsigned i = 0; i < 100; i++) {
		seconds += LIMIT_GRANT_EVICT_S;
		loop_put(&loop, i, BLKIF_OP_READ, 0, 20 + i, 1);
		pass_push(&loop);
		pass_end_all(&loop, &fake);
		assert_in_range(budget_sum(&ours), 0, 300);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	}
	assert_int_equal(stats().segments_copied, 0);
	loop_put(&loop, 0, BLKIF_OP_READ, 0, 200, 11);
	for (unsigned i = 0; i < 8; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 500 + i * 100, 220 + i * 11, 11);
	pass_push(&loop);
	assert_true(stats().grants_over_limit > 0);
	pass_end_all(&loop, &fake);
	assert_true(stats().segments_copied > 0);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 9);
	assert_int_equal(tear_down(state), 0);
	/* All is given back. */
	budget_close(&other);
	assert_int_equal(budget_sum(&ours), 0);
	assert_int_equal(atomic_load(&ours.nr_used), 0);
	budget_close(&ours);
	assert_int_equal(unlink(path), 0);
}

/* A grant that is none costs nobody a page: neither the host's workers, nor the cache one of its own. */
static void test_bad_grants_cost_nothing(void **state)
{
	struct budget budget;
	struct problem problem;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/map-pass-t.%d", (int)getpid());
	assert_int_equal(budget_open(&budget, path, 300, &problem), 0);
	begin(true, true, LIMIT_GRANTS_DISK, &budget);
	loop_put(&loop, 0, BLKIF_OP_READ, 0, 0, 4);
	pass_push(&loop);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	loop.ref[50] = 0x7fffff00;
	for (unsigned i = 0; i < 10; i++) {
		seconds += LIMIT_GRANT_EVICT_S;
		loop_put(&loop, i, BLKIF_OP_WRITE, 0, 50, 2);
		pass_push(&loop);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 1);
	}
	/* Two in one pass: one attempt to keep it and one for the request; and what is mapped already is used. */
	nr_tries = 0;
	loop_put(&loop, 0, BLKIF_OP_WRITE, 0, 50, 2);
	loop_put(&loop, 1, BLKIF_OP_WRITE, 100, 50, 2);
	loop_put(&loop, 2, BLKIF_OP_WRITE, 200, 0, 4);
	loop_put(&loop, 3, BLKIF_OP_WRITE, 300, 60, 2);
	pass_push_together(&loop);
	assert_int_equal(nr_tries, 2);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_ERROR), 2);
	pass_end_all(&loop, &fake);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 2);
	assert_int_equal(stats().segments_persistent, 8);
	assert_int_equal(stats().segments_copied, 12 * 2 + 2);
	assert_int_equal(atomic_load(&budget.nr_used), loop_nr_mapped(&loop));
	assert_int_equal(stats().grants_unmapped, 0);
	assert_int_equal(tear_down(state), 0);
	assert_int_equal(atomic_load(&budget.nr_used), 0);
	budget_close(&budget);
	assert_int_equal(unlink(path), 0);
}

#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAP_TEST(test_read_and_write),
		MAP_TEST(test_indirect),
		MAP_TEST(test_merged),
		MAP_TEST(test_read_only_grants),
		MAP_TEST(test_bad_grants),
		cmocka_unit_test_setup_teardown(test_too_many, set_up_few, tear_down),
		cmocka_unit_test_setup_teardown(
			test_too_many_persistent, set_up_persistent_few, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_may_be_mapped, set_up_none, tear_down),
		cmocka_unit_test(test_host_is_full),
		cmocka_unit_test(test_bad_grants_cost_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
