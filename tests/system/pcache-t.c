/*
 * The cache of persistent grants on the simulator's grants: a page is mapped once, stays while it is
 * pinned, goes when it was unused for longest; a grant that cannot be mapped costs nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xengnttab.h>

#include "backend/data/guest.h"
#include "backend/data/pcache.h"
#include "backend/data/stats.h"

#define CAP      (32 * LIMIT_PERSISTENT_GRANTS_SLOT)
#define NR_PAGES (CAP + 4)

struct fixture {
	xengntshr_handle *gntshr;
	uint8_t *pages;
	uint32_t ref[NR_PAGES];
	struct queue_stats stats;
	struct guest guest;
	struct pcache cache;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->gntshr = xengntshr_open(NULL, 0);
	assert_non_null(f->gntshr);
	f->pages = xengntshr_share_pages(f->gntshr, 0, NR_PAGES, f->ref, 1);
	assert_non_null(f->pages);
	assert_int_equal(guest_open(&f->guest, 0, CAP, NULL, &f->stats), 0);
	assert_int_equal(pcache_init(&f->cache, &f->guest, CAP), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	pcache_fini(&f->cache);
	pcache_fini(&f->cache);
	assert_int_equal(f->stats.grants_mapped, f->stats.grants_unmapped);
	guest_close(&f->guest);
	assert_int_equal(xengntshr_unshare(f->gntshr, f->pages, NR_PAGES), 0);
	(void)xengntshr_close(f->gntshr);
	free(f);
	return 0;
}

/* Use a page once, after a while: the guest's bytes are seen there. */
static void touch(struct fixture *f, unsigned i)
{
	uint16_t page;

	f->cache.now_s += LIMIT_GRANT_EVICT_S;
	page = pcache_get(&f->cache, f->ref[i]);
	assert_int_not_equal(page, PCACHE_NONE);
	f->pages[(size_t)i * 4096] = (uint8_t)(i * 7 + 1);
	assert_int_equal(*(uint8_t *)pcache_address(&f->cache, page), (uint8_t)(i * 7 + 1));
	pcache_put(&f->cache, page);
}

static void test_mapped_once(void **state)
{
	struct fixture *f = *state;
	uint16_t a, b;

	for (unsigned round = 0; round < 5; round++)
		for (unsigned i = 0; i < 50; i++)
			touch(f, i);
	assert_int_equal(f->stats.grants_mapped, 50);
	/* Twice in one request, or in two at a time: one mapping. */
	a = pcache_get(&f->cache, f->ref[0]);
	b = pcache_get(&f->cache, f->ref[0]);
	assert_int_equal(a, b);
	assert_int_equal(f->stats.grants_mapped, 50);
	pcache_put(&f->cache, a);
	pcache_put(&f->cache, b);
}

static void test_cap_and_lru(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < CAP; i++)
		touch(f, i);
	assert_int_equal(f->stats.grants_mapped, CAP);
	assert_int_equal(f->stats.grants_unmapped, 0);
	/* 0 is used again, so 1 is the oldest and makes room. */
	touch(f, 0);
	touch(f, CAP);
	assert_int_equal(f->stats.grants_unmapped, 1);
	touch(f, 0);
	assert_int_equal(f->stats.grants_mapped, CAP + 1);
	touch(f, 1);
	assert_int_equal(f->stats.grants_mapped, CAP + 2);
	assert_int_equal(f->stats.grants_mapped - f->stats.grants_unmapped, CAP);
	/* More than fit, over and over: each is right whichever place it gets. */
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < NR_PAGES; i++)
			touch(f, i);
	assert_int_equal(f->stats.grants_mapped - f->stats.grants_unmapped, CAP);
}

/* Pages that come faster than any is old: those that are there stay, and the others are copied. */
static void test_no_churn(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < CAP; i++)
		touch(f, i);
	f->cache.now_s += LIMIT_GRANT_EVICT_S;
	for (unsigned i = 0; i < CAP; i++)
		pcache_put(&f->cache, pcache_get(&f->cache, f->ref[i]));
	for (unsigned s = 0; s < LIMIT_GRANT_EVICT_S; s++) {
		for (unsigned i = CAP; i < NR_PAGES; i++)
			assert_int_equal(pcache_get(&f->cache, f->ref[i]), PCACHE_NONE);
		f->cache.now_s++;
	}
	assert_int_equal(f->stats.grants_mapped, CAP);
	assert_int_equal(f->stats.grants_unmapped, 0);
	for (unsigned i = CAP; i < NR_PAGES; i++)
		pcache_put(&f->cache, pcache_get(&f->cache, f->ref[i]));
	assert_int_equal(f->stats.grants_unmapped, NR_PAGES - CAP);
}

static void test_pinned_stays(void **state)
{
	struct fixture *f = *state;
	uint16_t pinned = pcache_get(&f->cache, f->ref[0]);
	void *address = pcache_address(&f->cache, pinned);

	for (unsigned i = 1; i < NR_PAGES; i++)
		touch(f, i);
	f->pages[0] = 0x77;
	assert_int_equal(*(uint8_t *)address, 0x77);
	assert_int_equal(pcache_get(&f->cache, f->ref[0]), pinned);
	assert_ptr_equal(pcache_address(&f->cache, pinned), address);
	pcache_put(&f->cache, pinned);
	pcache_put(&f->cache, pinned);
}

/* All pinned: the caller has to copy, until one is let go. */
static void test_all_pinned(void **state)
{
	struct fixture *f = *state;
	static uint16_t page[CAP];

	for (unsigned i = 0; i < CAP; i++) {
		assert_int_equal(pcache_room(&f->cache), CAP - i);
		page[i] = pcache_get(&f->cache, f->ref[i]);
		assert_int_not_equal(page[i], PCACHE_NONE);
	}
	assert_int_equal(pcache_get(&f->cache, f->ref[CAP]), PCACHE_NONE);
	assert_int_equal(f->stats.grants_unmapped, 0);
	pcache_put(&f->cache, page[5]);
	touch(f, CAP);
	assert_int_equal(f->stats.grants_unmapped, 1);
	for (unsigned i = 0; i < CAP; i++)
		if (i != 5)
			pcache_put(&f->cache, page[i]);
}

/* As often as a full ring's requests can have segments: all the same page. */
static void test_pinned_often(void **state)
{
	struct fixture *f = *state;
	const unsigned n = LIMIT_SLOTS * LIMIT_SEGMENTS;
	uint16_t page = pcache_get(&f->cache, f->ref[0]);

	for (unsigned i = 1; i < n; i++)
		assert_int_equal(pcache_get(&f->cache, f->ref[0]), page);
	assert_int_equal(pcache_room(&f->cache), CAP - 1);
	for (unsigned i = 1; i < n; i++)
		pcache_put(&f->cache, page);
	/* Once more it is pinned: nobody takes its place. */
	for (unsigned i = 1; i < NR_PAGES; i++)
		touch(f, i);
	f->pages[0] = 0x77;
	assert_int_equal(*(uint8_t *)pcache_address(&f->cache, page), 0x77);
	pcache_put(&f->cache, page);
	assert_int_equal(pcache_room(&f->cache), CAP);
}

/* A grant that is not there, or is read-only, is not cached and takes no place. */
static void test_bad_grants(void **state)
{
	struct fixture *f = *state;
	uint32_t read_only;
	void *page = xengntshr_share_pages(f->gntshr, 0, 1, &read_only, 0);

	assert_non_null(page);
	for (unsigned i = 0; i < 3 * CAP; i++) {
		guest_begin_pass(&f->guest);
		assert_int_equal(pcache_get(&f->cache, 0x7fffff00u + i), PCACHE_NONE);
		guest_begin_pass(&f->guest);
		assert_int_equal(pcache_get(&f->cache, read_only), PCACHE_NONE);
	}
	assert_int_equal(f->stats.grants_mapped, 0);
	guest_begin_pass(&f->guest);
	for (unsigned i = 0; i < CAP; i++)
		touch(f, i);
	assert_int_equal(f->stats.grants_unmapped, 0);
	assert_int_equal(xengntshr_unshare(f->gntshr, page, 1), 0);
}

/* Nobody gives up a page for one that is not going to be mapped. */
static void test_after_a_bad_grant(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < CAP; i++)
		touch(f, i);
	f->cache.now_s += LIMIT_GRANT_EVICT_S;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pcache_get(&f->cache, 0x7fffff00u + i), PCACHE_NONE);
	/* The first of them did not know yet. */
	assert_int_equal(f->stats.grants_unmapped, 1);
	assert_int_equal(pcache_get(&f->cache, f->ref[CAP]), PCACHE_NONE);
	assert_int_equal(f->stats.grants_over_limit, 0);
	guest_begin_pass(&f->guest);
	touch(f, CAP);
	assert_int_equal(f->stats.grants_unmapped, 1);
}

#define PCACHE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCACHE_TEST(test_mapped_once),
		PCACHE_TEST(test_cap_and_lru),
		PCACHE_TEST(test_no_churn),
		PCACHE_TEST(test_pinned_stays),
		PCACHE_TEST(test_all_pinned),
		PCACHE_TEST(test_pinned_often),
		PCACHE_TEST(test_bad_grants),
		PCACHE_TEST(test_after_a_bad_grant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
