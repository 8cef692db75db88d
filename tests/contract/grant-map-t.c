/* Mapping granted pages: what is refused, and how long a page lives. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES 4u

struct fixture {
	xengnttab_handle *tab;
	xengntshr_handle *shr;
	uint32_t self, refs[PAGES];
	uint8_t *pages; /* ours, granted to ourselves, writable */
};

static int setup(void **state)
{
	static struct fixture f;

	f.tab = xengnttab_open(NULL, 0);
	f.shr = xengntshr_open(NULL, 0);
	assert_non_null(f.tab);
	assert_non_null(f.shr);
	f.self = contract_domid();
	f.pages = xengntshr_share_pages(f.shr, f.self, PAGES, f.refs, 1);
	assert_non_null(f.pages);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->pages)
		assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	assert_int_equal(xengnttab_close(f->tab), 0);
	assert_int_equal(xengntshr_close(f->shr), 0);
	return 0;
}

static void a_mapping_is_the_same_memory(void **state)
{
	struct fixture *f = *state;
	uint32_t backwards[PAGES];
	uint8_t *map;

	for (unsigned i = 0; i < PAGES; i++) {
		memset(f->pages + i * CONTRACT_PAGE, 'a' + (int)i, CONTRACT_PAGE);
		backwards[i] = f->refs[PAGES - 1 - i];
	}
	map = xengnttab_map_domain_grant_refs(
		f->tab, PAGES, f->self, backwards, PROT_READ | PROT_WRITE);
	assert_non_null(map);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(map[i * CONTRACT_PAGE + 17], 'a' + PAGES - 1 - i);
	map[0] = 'Z';
	assert_int_equal(f->pages[(PAGES - 1) * CONTRACT_PAGE], 'Z');
	assert_int_equal(xengnttab_unmap(f->tab, map, PAGES), 0);
}

static void new_pages_are_zeroed(void **state)
{
	struct fixture *f = *state;

	memset(f->pages, 0xff, PAGES * CONTRACT_PAGE);
	assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	f->pages = xengntshr_share_pages(f->shr, f->self, PAGES, f->refs, 1);
	assert_non_null(f->pages);
	for (unsigned i = 0; i < PAGES * CONTRACT_PAGE; i++)
		assert_int_equal(f->pages[i], 0);
}

static void unmap_needs_the_exact_start_and_count(void **state)
{
	struct fixture *f = *state;
	uint8_t *map = xengnttab_map_domain_grant_refs(f->tab, PAGES, f->self, f->refs, PROT_READ);

	assert_non_null(map);
	assert_int_equal(xengnttab_unmap(f->tab, map, PAGES - 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xengnttab_unmap(f->tab, map + CONTRACT_PAGE, PAGES - 1), -1);
	assert_int_equal(xengnttab_unmap(f->tab, NULL, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xengnttab_unmap(f->tab, map, PAGES), 0);
	assert_int_equal(xengnttab_unmap(f->tab, map, PAGES), -1);
}

static void a_read_only_grant_maps_for_reading_only(void **state)
{
	struct fixture *f = *state;
	uint32_t ref;
	char *page = xengntshr_share_pages(f->shr, f->self, 1, &ref, 0);
	char *map;

	assert_non_null(page);
	memcpy(page, "read me", 8); /* the owner itself may always write */
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, ref, PROT_READ | PROT_WRITE));
	assert_int_equal(errno, EINVAL);
	map = xengnttab_map_grant_ref(f->tab, f->self, ref, PROT_READ);
	assert_non_null(map);
	assert_string_equal(map, "read me");
	assert_int_equal(xengnttab_unmap(f->tab, map, 1), 0);
	assert_int_equal(xengntshr_unshare(f->shr, page, 1), 0);
}

static void a_grant_to_another_domain_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t ref;
	void *page = xengntshr_share_pages(f->shr, contract_other_domid(), 1, &ref, 1);

	assert_non_null(page);
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, ref, PROT_READ));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xengntshr_unshare(f->shr, page, 1), 0);
}

static void unknown_domains_and_references_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_null(xengnttab_map_grant_ref(f->tab, contract_other_domid(), f->refs[0], PROT_READ));
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, 0xfffffff0u, PROT_READ));
	assert_null(xengnttab_map_grant_refs(f->tab, 0, NULL, NULL, PROT_READ));
}

/* One bad reference among good ones: nothing stays mapped, so that the owner can unshare for good. */
static void a_map_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t refs[PAGES];

	memcpy(refs, f->refs, sizeof(refs));
	refs[PAGES - 1] = 0xfffffff0u;
	assert_null(xengnttab_map_domain_grant_refs(f->tab, PAGES, f->self, refs, PROT_READ));
	assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	f->pages = NULL;
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, f->refs[0], PROT_READ));
}

static void a_reference_may_be_mapped_twice(void **state)
{
	struct fixture *f = *state;
	uint8_t *one = xengnttab_map_grant_ref(f->tab, f->self, f->refs[0], PROT_READ | PROT_WRITE);
	uint8_t *two = xengnttab_map_grant_ref(f->tab, f->self, f->refs[0], PROT_READ);

	assert_non_null(one);
	assert_non_null(two);
	one[5] = 42;
	assert_int_equal(two[5], 42);
	assert_int_equal(xengnttab_unmap(f->tab, one, 1), 0);
	assert_int_equal(two[5], 42);
	assert_int_equal(xengnttab_unmap(f->tab, two, 1), 0);
}

static void what_is_unshared_cannot_be_mapped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	f->pages = NULL;
	for (unsigned i = 0; i < PAGES; i++)
		assert_null(xengnttab_map_grant_ref(f->tab, f->self, f->refs[i], PROT_READ));
}

/* unshare while mapped: the mapping stays valid, and no new owner gets the page before the unmap. */
static void a_mapped_page_survives_its_unsharing(void **state)
{
	struct fixture *f = *state;
	uint8_t *map = xengnttab_map_grant_ref(f->tab, f->self, f->refs[1], PROT_READ | PROT_WRITE);
	uint32_t refs[64];
	uint8_t *fresh;

	assert_non_null(map);
	memset(map, 0x5a, CONTRACT_PAGE);
	assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	f->pages = NULL;
	fresh = xengntshr_share_pages(f->shr, f->self, 64, refs, 1);
	assert_non_null(fresh);
	memset(fresh, 0x11, 64 * CONTRACT_PAGE);
	for (unsigned i = 0; i < CONTRACT_PAGE; i++)
		assert_int_equal(map[i], 0x5a);
	assert_int_equal(xengnttab_unmap(f->tab, map, 1), 0);
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, f->refs[1], PROT_READ));
	assert_int_equal(xengntshr_unshare(f->shr, fresh, 64), 0);
}

static void closing_a_handle_unmaps_what_it_mapped(void **state)
{
	struct fixture *f = *state;
	xengnttab_handle *other = xengnttab_open(NULL, 0);

	assert_non_null(other);
	assert_non_null(xengnttab_map_grant_ref(other, f->self, f->refs[0], PROT_READ));
	assert_int_equal(xengnttab_close(other), 0);
	assert_int_equal(xengntshr_unshare(f->shr, f->pages, PAGES), 0);
	f->pages = NULL;
	assert_null(xengnttab_map_grant_ref(f->tab, f->self, f->refs[0], PROT_READ));
}

static void an_unmap_can_clear_a_byte_and_raise_an_event(void **state)
{
	struct fixture *f = *state;
	struct contract_pair p;
	uint8_t *map;

	contract_pair_open(&p);
	f->pages[100] = 1;
	map = xengnttab_map_grant_ref_notify(
		f->tab, f->self, f->refs[0], PROT_READ | PROT_WRITE, 100, p.port_a);
	assert_non_null(map);
	assert_int_equal(f->pages[100], 1);
	assert_int_equal(xengnttab_unmap(f->tab, map, 1), 0);
	assert_int_equal(contract_event(p.b), p.port_b);
	assert_int_equal(f->pages[100], 0);
	contract_pair_close(&p);
}

#define WITH_PAGES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAGES(a_mapping_is_the_same_memory),
		WITH_PAGES(new_pages_are_zeroed),
		WITH_PAGES(unmap_needs_the_exact_start_and_count),
		WITH_PAGES(a_read_only_grant_maps_for_reading_only),
		WITH_PAGES(a_grant_to_another_domain_is_refused),
		WITH_PAGES(unknown_domains_and_references_are_refused),
		WITH_PAGES(a_map_is_all_or_nothing),
		WITH_PAGES(a_reference_may_be_mapped_twice),
		WITH_PAGES(what_is_unshared_cannot_be_mapped),
		WITH_PAGES(a_mapped_page_survives_its_unsharing),
		WITH_PAGES(closing_a_handle_unmaps_what_it_mapped),
		WITH_PAGES(an_unmap_can_clear_a_byte_and_raise_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
