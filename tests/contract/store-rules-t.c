/* xenstore: when watches fire, how transactions conflict, and what a guest may not do. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
	struct xs_handle *one, *two;
	uint32_t self;
};

static int setup(void **state)
{
	static struct fixture f;

	f.one = xs_open(0);
	f.two = xs_open(0);
	assert_non_null(f.one);
	assert_non_null(f.two);
	f.self = contract_domid();
	/* A place every domain owns; libxl makes it for guests, we make it for dom0. */
	(void)xs_mkdir(f.one, XBT_NULL, "data");
	(void)xs_rm(f.one, XBT_NULL, "data/contract");
	assert_true(xs_mkdir(f.one, XBT_NULL, "data/contract"));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_true(xs_rm(f->one, XBT_NULL, "data/contract"));
	xs_close(f->one);
	xs_close(f->two);
	return 0;
}

static void assert_watch_event(struct xs_handle *xs, const char *path, const char *token)
{
	char **event;

	assert_true(contract_readable(xs_fileno(xs)));
	event = xs_check_watch(xs);
	assert_non_null(event);
	assert_string_equal(event[XS_WATCH_TOKEN], token);
	assert_string_equal(event[XS_WATCH_PATH], path);
	free(event);
}

/* An event would have been on its way before the answer to what is asked now. */
static void assert_no_watch_event(struct xs_handle *xs)
{
	char *value = xs_read(xs, XBT_NULL, "domid", NULL);

	assert_non_null(value);
	free(value);
	assert_null(xs_check_watch(xs));
	assert_int_equal(errno, EAGAIN);
}

static void a_watch_fires_once_when_registered(void **state)
{
	struct fixture *f = *state;

	assert_true(xs_watch(f->one, "data/contract/none", "tok"));
	assert_watch_event(f->one, "data/contract/none", "tok");
	assert_no_watch_event(f->one);
	assert_true(xs_unwatch(f->one, "data/contract/none", "tok"));
}

static void a_watch_sees_others_writes_below_it(void **state)
{
	struct fixture *f = *state;

	assert_true(xs_watch(f->one, "data/contract", "a:b:c"));
	assert_watch_event(f->one, "data/contract", "a:b:c");
	assert_true(xs_write(f->two, XBT_NULL, "data/contract/x", "1", 1));
	assert_watch_event(f->one, "data/contract/x", "a:b:c");
	assert_true(xs_unwatch(f->one, "data/contract", "a:b:c"));
	assert_true(xs_write(f->two, XBT_NULL, "data/contract/x", "2", 1));
	assert_no_watch_event(f->one);
}

/* Two clients may use the same path and token; each gets its own events. */
static void watches_belong_to_their_client(void **state)
{
	struct fixture *f = *state;

	assert_true(xs_watch(f->one, "data/contract", "same"));
	assert_true(xs_watch(f->two, "data/contract", "same"));
	assert_watch_event(f->one, "data/contract", "same");
	assert_watch_event(f->two, "data/contract", "same");
	assert_true(xs_unwatch(f->one, "data/contract", "same"));
	assert_true(xs_write(f->one, XBT_NULL, "data/contract/y", "1", 1));
	assert_watch_event(f->two, "data/contract/y", "same");
	assert_no_watch_event(f->one);
	assert_true(xs_unwatch(f->two, "data/contract", "same"));
}

static void a_transaction_fires_watches_only_when_it_ends(void **state)
{
	struct fixture *f = *state;
	xs_transaction_t t = xs_transaction_start(f->two);

	assert_int_not_equal(t, XBT_NULL);
	assert_true(xs_watch(f->one, "data/contract/t", "w"));
	assert_watch_event(f->one, "data/contract/t", "w");
	assert_true(xs_write(f->two, t, "data/contract/t", "1", 1));
	assert_null(xs_read(f->one, XBT_NULL, "data/contract/t", NULL));
	assert_no_watch_event(f->one);
	assert_true(xs_transaction_end(f->two, t, false));
	assert_watch_event(f->one, "data/contract/t", "w");
	assert_true(xs_unwatch(f->one, "data/contract/t", "w"));
}

static void a_conflicting_transaction_fails_with_eagain(void **state)
{
	struct fixture *f = *state;
	xs_transaction_t t;
	char *value;

	assert_true(xs_write(f->one, XBT_NULL, "data/contract/c", "0", 1));
	t = xs_transaction_start(f->one);
	value = xs_read(f->one, t, "data/contract/c", NULL);
	assert_non_null(value);
	free(value);
	assert_true(xs_write(f->two, XBT_NULL, "data/contract/c", "1", 1));
	assert_true(xs_write(f->one, t, "data/contract/c", "2", 1));
	assert_false(xs_transaction_end(f->one, t, false));
	assert_int_equal(errno, EAGAIN);
	value = xs_read(f->one, XBT_NULL, "data/contract/c", NULL);
	assert_string_equal(value, "1");
	free(value);
}

static void an_abandoned_transaction_changes_nothing(void **state)
{
	struct fixture *f = *state;
	xs_transaction_t t = xs_transaction_start(f->one);

	assert_true(xs_write(f->one, t, "data/contract/a", "1", 1));
	assert_true(xs_transaction_end(f->one, t, true));
	assert_null(xs_read(f->one, XBT_NULL, "data/contract/a", NULL));
	assert_int_equal(errno, ENOENT);
}

static void a_foreign_transaction_cannot_be_used(void **state)
{
	struct fixture *f = *state;
	xs_transaction_t t = xs_transaction_start(f->one);

	assert_int_not_equal(t, XBT_NULL);
	assert_false(xs_write(f->two, t, "data/contract/z", "1", 1));
	assert_int_equal(errno, ENOENT);
	assert_true(xs_transaction_end(f->one, t, false));
}

static void a_long_value_survives(void **state)
{
	struct fixture *f = *state;
	char value[2000], *back; /* twice the ring */
	unsigned len;

	for (unsigned i = 0; i < sizeof(value); i++)
		value[i] = (char)('a' + i % 26);
	assert_true(xs_write(f->one, XBT_NULL, "data/contract/long", value, sizeof(value)));
	back = xs_read(f->two, XBT_NULL, "data/contract/long", &len);
	assert_non_null(back);
	assert_int_equal(len, sizeof(value));
	assert_memory_equal(back, value, len);
	free(back);
}

/* dom0 may do all of this, so there is nothing to check for it. */
static void a_guest_may_not_touch_what_is_not_its_own(void **state)
{
	struct fixture *f = *state;
	static const char *const refused[] = {"/local/domain/0/domid", "/local/domain/0/name",
		"/libxl", "/local/domain/0/backend/vbd/x", "/stray"};
	char path[64];

	if (!f->self)
		return;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_false(xs_write(f->one, XBT_NULL, refused[i], "9", 1));
		assert_int_equal(errno, EACCES);
	}
	assert_false(xs_write(f->one, XBT_NULL, "name", "impostor", 8)); /* its own, read-only */
	assert_int_equal(errno, EACCES);
	(void)snprintf(path, sizeof(path), "/libxl/%u/type", f->self);
	assert_null(xs_read(f->one, XBT_NULL, path, NULL));
	assert_int_equal(errno, EACCES);
	assert_false(xs_introduce_domain(f->one, f->self + 1, 1, 1));
	assert_int_equal(errno, EACCES);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(a_watch_fires_once_when_registered),
		WITH_STORE(a_watch_sees_others_writes_below_it),
		WITH_STORE(watches_belong_to_their_client),
		WITH_STORE(a_transaction_fires_watches_only_when_it_ends),
		WITH_STORE(a_conflicting_transaction_fails_with_eagain),
		WITH_STORE(an_abandoned_transaction_changes_nothing),
		WITH_STORE(a_foreign_transaction_cannot_be_used),
		WITH_STORE(a_long_value_survives),
		WITH_STORE(a_guest_may_not_touch_what_is_not_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
