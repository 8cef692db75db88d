/* What a process held is released when it is killed, at once and completely. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the victim tells before it waits to be killed. */
struct testament {
	uint32_t ref, port, bound;
};

struct running {
	pid_t pid;
	struct testament told;
};

/* Runs `live` in a child, which reports through `fd` and never returns. */
static struct running run(void (*live)(int fd, uint32_t arg), uint32_t arg)
{
	struct running r = {0};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	r.pid = fork();
	assert_true(r.pid >= 0);
	if (r.pid == 0) {
		live(fds[1], arg);
		_exit(1);
	}
	close(fds[1]);
	assert_true(contract_readable(fds[0]));
	assert_int_equal(read(fds[0], &r.told, sizeof(r.told)), sizeof(r.told));
	close(fds[0]);
	return r;
}

static void kill_now(const struct running *r)
{
	int status;

	assert_int_equal(kill(r->pid, SIGKILL), 0);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	assert_true(WIFSIGNALED(status));
}

static struct testament kill_after(void (*live)(int fd, uint32_t arg), uint32_t arg)
{
	struct running r = run(live, arg);

	kill_now(&r);
	return r.told;
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
	assert_int_equal(errno, EINVAL);
	xenevtchn_close(xce);
}

static void live_as_notifier(int fd, uint32_t port)
{
	struct testament t = {.port = port};
	xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
	int bound = xce ? xenevtchn_bind_interdomain(xce, contract_domid(), port) : -1;

	if (bound < 0 || write(fd, &t, sizeof(t)) != sizeof(t))
		_exit(1);
	for (;;)
		(void)xenevtchn_notify(xce, (evtchn_port_t)bound);
}

/* Whatever instruction of a notify the kill hits: the port stays usable for the next peer, and its
 * reader neither hangs nor sees an endless stream. */
static void a_notifier_may_be_killed_in_the_middle(void **state)
{
	xenevtchn_handle *a = xenevtchn_open(NULL, 0), *b = xenevtchn_open(NULL, 0);
	int port = xenevtchn_bind_unbound_port(a, contract_domid()), bound;

	(void)state;
	assert_true(port > 0);
	for (unsigned round = 0; round < 100; round++) {
		struct running r = run(live_as_notifier, (uint32_t)port);

		/* Kept going by unmasking, so that it delivers all the time. */
		for (unsigned i = 0; i < 1 + round * 3 % 50; i++) {
			assert_int_equal(contract_event(a), port);
			(void)xenevtchn_unmask(a, (uint32_t)port);
		}
		kill_now(&r);
		for (unsigned i = 0; contract_readable_now(xenevtchn_fd(a)); i++) {
			assert_true(i < 10);
			assert_int_equal(contract_event(a), port);
			(void)xenevtchn_unmask(a, (uint32_t)port);
		}
	}
	bound = xenevtchn_bind_interdomain(b, contract_domid(), (uint32_t)port);
	assert_true(bound > 0);
	assert_int_equal(xenevtchn_notify(b, (uint32_t)bound), 0);
	assert_int_equal(contract_event(a), port);
	xenevtchn_close(a);
	xenevtchn_close(b);
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

/* The one thing a forked child may do with inherited handles; the parent's stay as they were. */
static void a_child_may_close_what_it_inherited(void **state)
{
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	xengnttab_handle *tab = xengnttab_open(NULL, 0);
	struct contract_pair p;
	uint32_t ref;
	char *page = xengntshr_share_pages(shr, contract_domid(), 1, &ref, 1), *map;
	int status;
	pid_t pid;

	(void)state;
	contract_pair_open(&p);
	assert_non_null(page);
	map = xengnttab_map_grant_ref(tab, contract_domid(), ref, PROT_READ);
	assert_non_null(map);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(xengnttab_close(tab) || xengntshr_close(shr) || xenevtchn_close(p.a) ||
			xenevtchn_close(p.b));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	memcpy(page, "still here", 11);
	assert_string_equal(map, "still here");
	assert_int_equal(xenevtchn_notify(p.a, p.port_a), 0);
	assert_int_equal(contract_event(p.b), p.port_b);
	assert_int_equal(xengnttab_unmap(tab, map, 1), 0);
	assert_int_equal(xengntshr_unshare(shr, page, 1), 0);
	assert_int_equal(xengnttab_close(tab), 0);
	assert_int_equal(xengntshr_close(shr), 0);
	contract_pair_close(&p);
}

/* Half a request, then gone: others are served as before. Only where xenstore is a socket. */
static void half_a_store_request_harms_nobody(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const char *path = getenv("XENSTORED_PATH");
	static const char half[] = "\2\0\0\0\1\0\0\0\0\0\0\0\30\0\0\0domi";
	struct xs_handle *xs;
	char *domid;

	(void)state;
	if (!path)
		return;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	for (size_t n = 1; n < sizeof(half); n++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
		assert_int_equal(write(fd, half, n), n);
		close(fd);
	}
	xs = xs_open(0);
	assert_non_null(xs);
	domid = xs_read(xs, XBT_NULL, "domid", NULL);
	assert_non_null(domid);
	free(domid);
	xs_close(xs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_sharers_pages_cannot_be_mapped),
		cmocka_unit_test(a_dead_mapper_maps_nothing),
		cmocka_unit_test(a_dead_peers_port_can_be_bound_by_its_successor),
		cmocka_unit_test(a_dead_offerers_port_is_gone),
		cmocka_unit_test(a_notifier_may_be_killed_in_the_middle),
		cmocka_unit_test(a_child_may_close_what_it_inherited),
		cmocka_unit_test(half_a_store_request_harms_nobody),
		cmocka_unit_test(a_dead_store_client_leaves_no_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
