/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process held is released when it is killed, at once and completely. */
#include "tests/contract/contract.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the victim tells before it waits to be killed. */
struct testament {
	uint32_t ref, port, bound;
};

/* Runs `live` in a child, which reports through `fd` and never returns; then kills it. */
static struct testament kill_after(void (*live)(int fd, uint32_t arg), uint32_t arg)
{
	struct testament t = {0};
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		live(fds[1], arg);
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &t, sizeof(t)), sizeof(t));
	close(fds[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return t;
}

static void tell_and_wait(int fd, const struct testament *t)
{
	if (write(fd, t, sizeof(*t)) != sizeof(*t))
		_exit(1);
	for (;;)
		pause();
}

static void live_as_sharer(int fd, uint32_t arg)
{
	struct testament t = {0};
	xengntshr_handle *shr = xengntshr_open(NULL, 0);

	(void)arg;
	if (!shr || !xengntshr_share_pages(shr, contract_domid(), 1, &t.ref, 1))
		_exit(1);
	tell_and_wait(fd, &t);
}

static void a_dead_sharers_pages_cannot_be_mapped(void **state)
{
	struct testament t = kill_after(live_as_sharer, 0);
	xengnttab_handle *tab = xengnttab_open(NULL, 0);

	(void)state;
	assert_null(xengnttab_map_grant_ref(tab, contract_domid(), t.ref, PROT_READ));
	assert_int_equal(xengnttab_close(tab), 0);
}

static void live_as_mapper(int fd, uint32_t ref)
{
	struct testament t = {.ref = ref};
	xengnttab_handle *tab = xengnttab_open(NULL, 0);

	if (!tab || !xengnttab_map_grant_ref(tab, contract_domid(), ref, PROT_READ | PROT_WRITE))
		_exit(1);
	tell_and_wait(fd, &t);
}

/* Were it still mapped, the reference would stay granted after unshare. */
static void a_dead_mapper_maps_nothing(void **state)
{
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	xengnttab_handle *tab = xengnttab_open(NULL, 0);
	uint32_t ref;
	void *page = xengntshr_share_pages(shr, contract_domid(), 1, &ref, 1);

	(void)state;
	assert_non_null(page);
	(void)kill_after(live_as_mapper, ref);
	assert_int_equal(xengntshr_unshare(shr, page, 1), 0);
	assert_null(xengnttab_map_grant_ref(tab, contract_domid(), ref, PROT_READ));
	assert_int_equal(xengnttab_close(tab), 0);
	assert_int_equal(xengntshr_close(shr), 0);
}

static void live_as_binder(int fd, uint32_t port)
{
	struct testament t = {.port = port};
	xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
	int bound = xce ? xenevtchn_bind_interdomain(xce, contract_domid(), port) : -1;

	if (bound < 0)
		_exit(1);
	t.bound = (uint32_t)bound;
	tell_and_wait(fd, &t);
}

/* The survivor's port is unbound again: notifying it is harmless, and a successor may bind to it. */
static void a_dead_peers_port_can_be_bound_by_its_successor(void **state)
{
	xenevtchn_handle *a = xenevtchn_open(NULL, 0), *b = xenevtchn_open(NULL, 0);
	int port = xenevtchn_bind_unbound_port(a, contract_domid()), bound;

	(void)state;
	assert_true(port > 0);
	(void)kill_after(live_as_binder, (uint32_t)port);
	assert_int_equal(xenevtchn_notify(a, (uint32_t)port), 0);
	bound = xenevtchn_bind_interdomain(b, contract_domid(), (uint32_t)port);
	assert_true(bound > 0);
	assert_int_equal(contract_event(b), bound);
	xenevtchn_unmask(b, (uint32_t)bound);
	assert_int_equal(xenevtchn_notify(a, (uint32_t)port), 0);
	assert_int_equal(contract_event(b), bound);
	xenevtchn_close(a);
	xenevtchn_close(b);
}

static void live_as_offerer(int fd, uint32_t arg)
{
	struct testament t = {0};
	xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
	int port = xce ? xenevtchn_bind_unbound_port(xce, contract_domid()) : -1;

	(void)arg;
	if (port < 0)
		_exit(1);
	t.port = (uint32_t)port;
	tell_and_wait(fd, &t);
}

static void a_dead_offerers_port_is_gone(void **state)
{
	struct testament t = kill_after(live_as_offerer, 0);
	xenevtchn_handle *xce = xenevtchn_open(NULL, 0);

	(void)state;
	assert_int_equal(xenevtchn_bind_interdomain(xce, contract_domid(), t.port), -1);
	xenevtchn_close(xce);
}

static void live_as_watcher(int fd, uint32_t arg)
{
	struct testament t = {0};
	struct xs_handle *xs = xs_open(0);

	(void)arg;
	/* In the middle of a transaction. */
	if (!xs || !xs_watch(xs, "data", "mine") || !xs_transaction_start(xs))
		_exit(1);
	tell_and_wait(fd, &t);
}

static void a_dead_store_client_leaves_no_transaction(void **state)
{
	struct xs_handle *xs;

	(void)state;
	/* More often than a domain may have transactions or watches at one time. */
	for (int i = 0; i < 30; i++)
		(void)kill_after(live_as_watcher, 0);
	xs = xs_open(0);
	assert_non_null(xs);
	assert_true(xs_write(xs, XBT_NULL, "data/alive", "1", 1));
	assert_true(xs_rm(xs, XBT_NULL, "data/alive"));
	xs_close(xs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_sharers_pages_cannot_be_mapped),
		cmocka_unit_test(a_dead_mapper_maps_nothing),
		cmocka_unit_test(a_dead_peers_port_can_be_bound_by_its_successor),
		cmocka_unit_test(a_dead_offerers_port_is_gone),
		cmocka_unit_test(a_dead_store_client_leaves_no_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
