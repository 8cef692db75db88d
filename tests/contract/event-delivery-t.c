/* Event channels: who may bind what, and when an event is delivered. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <fcntl.h>

static void binding_raises_the_binders_port(void **state)
{
	uint32_t self = contract_domid();
	xenevtchn_handle *a = xenevtchn_open(NULL, 0), *b = xenevtchn_open(NULL, 0);
	int unbound, bound;

	(void)state;
	unbound = xenevtchn_bind_unbound_port(a, self);
	assert_true(unbound > 0);
	bound = xenevtchn_bind_interdomain(b, self, (uint32_t)unbound);
	assert_true(bound > 0);
	/* Nobody has notified, yet b has an event and a has none. */
	assert_int_equal(contract_event(b), bound);
	assert_false(contract_readable_now(xenevtchn_fd(a)));
	xenevtchn_close(a);
	xenevtchn_close(b);
}

static void notify_reaches_the_peer_both_ways(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	assert_int_equal(xenevtchn_notify(p.a, p.port_a), 0);
	assert_int_equal(contract_event(p.b), p.port_b);
	assert_int_equal(xenevtchn_notify(p.b, p.port_b), 0);
	assert_int_equal(contract_event(p.a), p.port_a);
	contract_pair_close(&p);
}

/* notify, take (now masked), notify twice: nothing readable; unmask: exactly one more. */
static void a_taken_port_is_masked_until_unmask(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	xenevtchn_notify(p.a, p.port_a);
	assert_int_equal(contract_event(p.b), p.port_b);
	xenevtchn_notify(p.a, p.port_a);
	xenevtchn_notify(p.a, p.port_a);
	assert_false(contract_readable_now(xenevtchn_fd(p.b)));
	assert_int_equal(xenevtchn_unmask(p.b, p.port_b), 0);
	assert_int_equal(contract_event(p.b), p.port_b);
	assert_int_equal(xenevtchn_unmask(p.b, p.port_b), 0);
	assert_false(contract_readable_now(xenevtchn_fd(p.b)));
	contract_pair_close(&p);
}

static void events_before_the_first_take_are_one(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	for (int i = 0; i < 100; i++)
		assert_int_equal(xenevtchn_notify(p.a, p.port_a), 0);
	assert_int_equal(contract_event(p.b), p.port_b);
	assert_false(contract_readable_now(xenevtchn_fd(p.b)));
	contract_pair_close(&p);
}

static void an_empty_queue_does_not_block_a_nonblocking_reader(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	assert_int_equal(fcntl(xenevtchn_fd(p.b), F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(xenevtchn_pending(p.b), -1);
	assert_int_equal(errno, EAGAIN);
	contract_pair_close(&p);
}

static void notifying_a_closed_peer_succeeds_and_is_dropped(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	assert_int_equal(xenevtchn_unbind(p.b, p.port_b), 0);
	assert_int_equal(xenevtchn_notify(p.a, p.port_a), 0);
	contract_pair_close(&p);
}

static void a_port_whose_peer_closed_can_be_bound_again(void **state)
{
	struct contract_pair p;
	int again;

	(void)state;
	contract_pair_open(&p);
	assert_int_equal(xenevtchn_unbind(p.b, p.port_b), 0);
	again = xenevtchn_bind_interdomain(p.b, contract_domid(), p.port_a);
	assert_true(again > 0);
	assert_int_equal(contract_event(p.b), again);
	assert_int_equal(xenevtchn_unmask(p.b, (uint32_t)again), 0);
	xenevtchn_notify(p.a, p.port_a);
	assert_int_equal(contract_event(p.b), again);
	contract_pair_close(&p);
}

static void only_a_ports_owner_may_use_it(void **state)
{
	struct contract_pair p;

	(void)state;
	contract_pair_open(&p);
	assert_int_equal(xenevtchn_notify(p.b, p.port_a), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(xenevtchn_unbind(p.b, p.port_a), -1);
	assert_int_equal(errno, ENOTCONN);
	contract_pair_close(&p);
}

static void assert_bind_fails(xenevtchn_handle *xce, uint32_t domid, uint32_t port, int err)
{
	errno = 0;
	assert_int_equal(xenevtchn_bind_interdomain(xce, domid, port), -1);
	assert_int_equal(errno, err);
}

static void bindings_that_nobody_offered_are_refused(void **state)
{
	struct contract_pair p;
	int foreign;

	(void)state;
	contract_pair_open(&p);
	assert_bind_fails(p.b, contract_domid(), p.port_a, EINVAL); /* bound already */
	assert_bind_fails(p.b, contract_domid(), 4000, EINVAL);     /* does not exist */
	assert_bind_fails(p.b, contract_domid(), 0, EINVAL);
	assert_bind_fails(p.b, contract_other_domid(), 1, ESRCH); /* no such domain */
	foreign = xenevtchn_bind_unbound_port(p.a, contract_other_domid());
	assert_true(foreign > 0);
	assert_bind_fails(p.b, contract_domid(), (uint32_t)foreign, EINVAL); /* not for us */
	contract_pair_close(&p);
}

/* Every one of many busy ports gets its turn before any gets a second one. */
static void no_port_starves(void **state)
{
	enum {
		PORTS = 200
	};
	uint32_t self = contract_domid();
	xenevtchn_handle *a = xenevtchn_open(NULL, 0), *b = xenevtchn_open(NULL, 0);
	unsigned seen[4096] = {0};

	(void)state;
	for (int i = 0; i < PORTS; i++) {
		int port = xenevtchn_bind_unbound_port(a, self);

		assert_true(port > 0);
		assert_true(xenevtchn_bind_interdomain(b, self, (uint32_t)port) > 0);
	}
	for (int i = 0; i < PORTS; i++) {
		uint32_t port = contract_event(b);

		assert_int_equal(seen[port]++, 0);
		xenevtchn_unmask(b, port);
	}
	assert_false(contract_readable_now(xenevtchn_fd(b)));
	xenevtchn_close(a);
	xenevtchn_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binding_raises_the_binders_port),
		cmocka_unit_test(notify_reaches_the_peer_both_ways),
		cmocka_unit_test(a_taken_port_is_masked_until_unmask),
		cmocka_unit_test(events_before_the_first_take_are_one),
		cmocka_unit_test(an_empty_queue_does_not_block_a_nonblocking_reader),
		cmocka_unit_test(notifying_a_closed_peer_succeeds_and_is_dropped),
		cmocka_unit_test(a_port_whose_peer_closed_can_be_bound_again),
		cmocka_unit_test(only_a_ports_owner_may_use_it),
		cmocka_unit_test(bindings_that_nobody_offered_are_refused),
		cmocka_unit_test(no_port_starves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
