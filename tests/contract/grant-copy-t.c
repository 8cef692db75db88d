/* Grant copies: one status for each segment, and what fails the whole call instead. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <string.h>

#define UNTOUCHED 77 /* a status nobody sets */

struct fixture {
	xengnttab_handle *tab;
	xengntshr_handle *shr;
	uint32_t self, refs[2], readonly_ref, foreign_ref;
	uint8_t *pages, *readonly, *foreign;
	uint8_t local[3 * CONTRACT_PAGE];
};

static int setup(void **state)
{
	static struct fixture f;

	f.tab = xengnttab_open(NULL, 0);
	f.shr = xengntshr_open(NULL, 0);
	assert_non_null(f.tab);
	assert_non_null(f.shr);
	f.self = contract_domid();
	f.pages = xengntshr_share_pages(f.shr, f.self, 2, f.refs, 1);
	f.readonly = xengntshr_share_pages(f.shr, f.self, 1, &f.readonly_ref, 0);
	f.foreign = xengntshr_share_pages(f.shr, contract_other_domid(), 1, &f.foreign_ref, 1);
	assert_non_null(f.pages);
	assert_non_null(f.readonly);
	assert_non_null(f.foreign);
	memset(f.local, 0, sizeof(f.local));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xengnttab_close(f->tab), 0);
	assert_int_equal(xengntshr_close(f->shr), 0);
	return 0;
}

static xengnttab_grant_copy_segment_t from_grant(
	struct fixture *f, uint32_t ref, uint16_t offset, void *to, uint16_t len)
{
	return (xengnttab_grant_copy_segment_t){
		.source.foreign = {.ref = ref, .offset = offset, .domid = (uint16_t)f->self},
		.dest.virt = to,
		.len = len,
		.flags = GNTCOPY_source_gref,
		.status = UNTOUCHED};
}

static xengnttab_grant_copy_segment_t to_grant(
	struct fixture *f, void *from, uint32_t ref, uint16_t offset, uint16_t len)
{
	return (xengnttab_grant_copy_segment_t){.source.virt = from,
		.dest.foreign = {.ref = ref, .offset = offset, .domid = (uint16_t)f->self},
		.len = len,
		.flags = GNTCOPY_dest_gref,
		.status = UNTOUCHED};
}

static void bytes_arrive_both_ways(void **state)
{
	struct fixture *f = *state;
	/* The local side may cross pages, at any alignment. */
	uint8_t *mine = f->local + CONTRACT_PAGE - 1001;
	xengnttab_grant_copy_segment_t seg;

	for (unsigned i = 0; i < CONTRACT_PAGE; i++)
		f->pages[i] = (uint8_t)(i * 7);
	seg = from_grant(f, f->refs[0], 0, mine, CONTRACT_PAGE);
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_equal(seg.status, GNTST_okay);
	assert_memory_equal(mine, f->pages, CONTRACT_PAGE);
	seg = to_grant(f, mine + 10, f->refs[1], 100, 500);
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_equal(seg.status, GNTST_okay);
	assert_memory_equal(f->pages + CONTRACT_PAGE + 100, mine + 10, 500);
	assert_int_equal(f->pages[CONTRACT_PAGE + 99], 0);
	assert_int_equal(f->pages[CONTRACT_PAGE + 600], 0);
}

static void a_copy_may_go_from_grant_to_grant(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg = from_grant(f, f->refs[0], 8, NULL, 16);

	memset(f->pages, 'x', 64);
	seg.dest.foreign.ref = f->refs[1];
	seg.dest.foreign.offset = 32;
	seg.dest.foreign.domid = (uint16_t)f->self;
	seg.flags |= GNTCOPY_dest_gref;
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_equal(seg.status, GNTST_okay);
	assert_memory_equal(f->pages + CONTRACT_PAGE + 32, f->pages + 8, 16);
}

/* good, unknown reference, not granted to us, unknown domain, read-only destination, good: the call
 * succeeds, the good ones are done, each bad one has its own status. */
static void each_segment_fails_for_itself(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg[6];

	memset(f->pages, 'g', 2 * CONTRACT_PAGE);
	seg[0] = from_grant(f, f->refs[0], 0, f->local, 16);
	seg[1] = from_grant(f, 0xfffffff0u, 0, f->local + 16, 16);
	seg[2] = from_grant(f, f->foreign_ref, 0, f->local + 32, 16);
	seg[3] = from_grant(f, f->refs[0], 0, f->local + 48, 16);
	seg[3].source.foreign.domid = (uint16_t)contract_other_domid();
	seg[4] = to_grant(f, f->local, f->readonly_ref, 0, 16);
	seg[5] = from_grant(f, f->refs[1], 0, f->local + 80, 16);
	assert_int_equal(xengnttab_grant_copy(f->tab, 6, seg), 0);
	assert_int_equal(seg[0].status, GNTST_okay);
	assert_int_equal(seg[1].status, GNTST_bad_gntref);
	assert_int_equal(seg[2].status, GNTST_general_error);
	assert_int_equal(seg[3].status, GNTST_bad_domain);
	assert_int_equal(seg[4].status, GNTST_general_error);
	assert_int_equal(seg[5].status, GNTST_okay);
	assert_int_equal(f->local[0], 'g');
	assert_int_equal(f->local[16], 0);
	assert_int_equal(f->local[32], 0);
	assert_int_equal(f->local[48], 0);
	assert_int_equal(f->readonly[0], 0);
	assert_int_equal(f->local[80], 'g');
}

static void a_read_only_grant_can_be_read(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg = from_grant(f, f->readonly_ref, 0, f->local, 4);

	memcpy(f->readonly, "only", 4);
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_equal(seg.status, GNTST_okay);
	assert_memory_equal(f->local, "only", 4);
}

static void nothing_can_be_copied_after_unsharing(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg = from_grant(f, f->refs[0], 0, f->local, 16);

	assert_int_equal(xengntshr_unshare(f->shr, f->pages, 2), 0);
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_not_equal(seg.status, GNTST_okay);
}

static void an_empty_segment_is_fine(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg =
		from_grant(f, f->refs[0], CONTRACT_PAGE - 1, f->local, 0);

	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), 0);
	assert_int_equal(seg.status, GNTST_okay);
	assert_int_equal(xengnttab_grant_copy(f->tab, 0, NULL), 0);
}

/* The driver refuses these before Xen sees them. */
static void impossible_segments_fail_the_call(void **state)
{
	struct fixture *f = *state;
	xengnttab_grant_copy_segment_t seg = from_grant(f, f->refs[0], 1, f->local, CONTRACT_PAGE);

	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), -1);
	assert_int_equal(errno, EINVAL);
	seg = to_grant(f, f->local, f->refs[0], 4000, 97);
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), -1);
	assert_int_equal(errno, EINVAL);
	seg.flags = 0; /* local to local */
	assert_int_equal(xengnttab_grant_copy(f->tab, 1, &seg), -1);
	assert_int_equal(errno, EINVAL);
}

#define WITH_PAGES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAGES(bytes_arrive_both_ways),
		WITH_PAGES(a_copy_may_go_from_grant_to_grant),
		WITH_PAGES(each_segment_fails_for_itself),
		WITH_PAGES(a_read_only_grant_can_be_read),
		WITH_PAGES(nothing_can_be_copied_after_unsharing),
		WITH_PAGES(an_empty_segment_is_fine),
		WITH_PAGES(impossible_segments_fail_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
