/*
 * XSA-361, -362, -365, -367: each operation on a grant has a status of its own. Grants that are revoked between request
 * and use, or that the hypervisor refuses one by one, at each place where a grant is used: data brought in, data
 * brought out, the page of an indirect request's segments. Just that request fails, and nothing is written for it.
 */
#include "tests/lib/pass.h"

#include <dlfcn.h>

#include <xengnttab.h>

#define DESCRIPTOR (LOOP_PAGES - 8)
#define NR         4u /* requests at a time: what one pass takes */

static struct loop loop;
static struct fake_engine fake;

/* Of the next copies the part that names this reference fails; the others are done. 0: none. */
static uint32_t bad_ref;

int xengnttab_grant_copy(
	xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
	int (*real)(xengnttab_handle *, uint32_t, xengnttab_grant_copy_segment_t *);
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "xengnttab_grant_copy");
	r = real(handle, count, segs);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t ref = segs[i].flags & GNTCOPY_source_gref ? segs[i].source.foreign.ref
								   : segs[i].dest.foreign.ref;

		if (bad_ref && ref == bad_ref)
			segs[i].status = GNTST_general_error;
	}
	return r;
}

static int set_up(void **state)
{
	(void)state;
	bad_ref = 0;
	loop_init(&loop, false);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
	fake.at_once = true;
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

/* All of the NR are answered; @bad, and no other, with an error. */
static void expect_all_but(unsigned bad)
{
	struct frontring_response rsp;
	unsigned n = 0;

	for (; loop_get(&loop, &rsp); n++)
		assert_int_equal(rsp.status, rsp.id == bad ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	assert_int_equal(n, NR);
}

static void test_data(uint8_t op)
{
	for (unsigned bad = 0; bad < NR; bad++)
		for (unsigned segment = 0; segment < 11; segment++) {
			unsigned before = fake.nr_puts;

			bad_ref = loop.ref[bad * 11 + segment];
			for (unsigned i = 0; i < NR; i++)
				loop_put(&loop, i, op, i * 96, i * 11, 11);
			pass_push(&loop);
			expect_all_but(bad);
			/* What could not be brought in is not written; what is read is read first. */
			assert_int_equal(fake.nr_puts - before, op == BLKIF_OP_READ ? NR : NR - 1);
		}
}

static void test_data_in(void **state)
{
	(void)state;
	test_data(BLKIF_OP_WRITE);
}

static void test_data_out(void **state)
{
	(void)state;
	test_data(BLKIF_OP_READ);
}

static void test_descriptors(void **state)
{
	(void)state;
	for (unsigned bad = 0; bad < NR; bad++) {
		unsigned before = fake.nr_puts;

		bad_ref = loop.ref[DESCRIPTOR + bad];
		for (unsigned i = 0; i < NR; i++)
			loop_put_indirect(&loop, i, i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 0,
				i * 200, 200, DESCRIPTOR + i);
		pass_push(&loop);
		expect_all_but(bad);
		assert_int_equal(fake.nr_puts - before, NR - 1);
	}
}

/* The page is there when the request is taken, and gone when the data comes: an error, and no signal. */
static void test_revoked_in_between(void **state)
{
	struct wire_slot slot;
	struct blk_request req = {
		.id = 7, .op = BLKIF_OP_READ, .nr_segments = 1, .seg[0] = {.last_sect = 7}};
	void *page = xengntshr_share_pages(loop.gntshr, 0, 1, &req.seg[0].gref, 1);

	(void)state;
	assert_non_null(page);
	fake.at_once = false;
	frontring_encode(WIRE_ABI_64, &req, &slot);
	frontring_put(&loop.ring, &slot);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 1);
	assert_int_equal(xengntshr_unshare(loop.gntshr, page, 1), 0);
	pass_end_all(&loop, &fake);
	loop_expect(&loop, 7, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	/* The next one of the same page, which is nobody's now */
	frontring_put(&loop.ring, &slot);
	fake.at_once = true;
	pass_push(&loop);
	loop_expect(&loop, 7, BLKIF_OP_READ, BLKIF_RSP_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_data_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_data_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked_in_between, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
