/*
 * xenstored vanishes, at any moment of a session: every call comes back with -EPIPE, none hangs, no
 * signal kills us.
 *
 * Between us and the real xenstored sits a relay that is killed instead of it: to our end of the
 * connection that is the same, it harms nobody else, and it can be timed to the message.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "xenstore/store.h"
#include "xenstore/txn.h"

#define GUARD_S 60 /* a hang ends the program */

static struct sockaddr_un daemon_address, relay_address;

/* ---- the relay ---- */

static void set_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

/* Passes on what there is; false at the end of the stream. */
static bool pass(int from, int to)
{
	char buf[8192];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && write(to, buf, (size_t)n) == n;
}

/* Serves one connection, and dies upon our piece number `last`, passing on all before it. */
static _Noreturn void relay(int listener, unsigned last)
{
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion leaves no orphan */
	int client = accept(listener, NULL, NULL);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pollfd p[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};

	if (r < 0 ||
		connect(server, (struct sockaddr *)&daemon_address, sizeof(daemon_address)) < 0)
		_exit(1);
	while (poll(p, 2, -1) > 0) {
		if (p[1].revents && !pass(server, client))
			_exit(1);
		if (p[0].revents && (last-- == 0 || !pass(client, server)))
			_exit(0);
	}
	_exit(1);
}

static pid_t relay_start(unsigned last)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)unlink(relay_address.sun_path);
	assert_int_equal(
		bind(listener, (struct sockaddr *)&relay_address, sizeof(relay_address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		relay(listener, last);
	(void)close(listener);
	return pid;
}

static void relay_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- a session of every kind of call ---- */

static int write_pair(struct store *s, uint32_t txn, void *ctx)
{
	int r = store_write(s, txn, ctx, "1");

	return r < 0 ? r : store_write(s, txn, ctx, "2");
}

/* Takes all events that have arrived: libxenstore leaks those that an unwatch drops. */
static int drain(struct store *s)
{
	struct store_event event;
	int r;

	for (;;) {
		r = store_next_event(s, &event);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		store_event_fini(&event);
	}
}

/* The first failure, or 0. Leaks nothing. */
static int session(struct store *s, char *node)
{
	char **names = NULL;
	char *value = NULL;
	unsigned n;
	bool exists;
	int r;

	r = store_write(s, STORE_NO_TXN, node, "1");
	if (r == 0)
		r = store_watch(s, node, "token");
	if (r == 0)
		r = store_read(s, STORE_NO_TXN, node, &value, NULL);
	if (r == 0)
		r = store_list(s, STORE_NO_TXN, "/", &names, &n);
	if (r == 0)
		r = txn_run(s, write_pair, node, TXN_TRIES);
	if (r == 0)
		r = store_exists(s, STORE_NO_TXN, node, &exists);
	if (r == 0)
		r = drain(s);
	if (r == 0)
		r = store_unwatch(s, node, "token");
	if (r == 0)
		r = store_remove(s, STORE_NO_TXN, node);
	free(names);
	free(value);
	return r;
}

/* Every call, on a connection that is lost. */
static void assert_lost(struct store *s, char *node)
{
	struct store_event event;
	uint32_t txn;

	assert_int_equal(store_check(s), -EPIPE);
	assert_int_equal(store_next_event(s, &event), -EPIPE);
	assert_int_equal(store_watch(s, node, "other"), -EPIPE);
	assert_int_equal(store_unwatch(s, node, "other"), -EPIPE);
	assert_int_equal(store_txn_begin(s, &txn), -EPIPE);
	assert_int_equal(store_txn_commit(s, 1), -EPIPE);
	store_txn_abort(s, 1);
	assert_int_equal(store_remove(s, STORE_NO_TXN, node), -EPIPE);
	assert_int_equal(session(s, node), -EPIPE);
}

/* Cut at each piece of the session, until one gets through whole. */
static void test_lost_at_any_moment(void **state)
{
	char node[64];
	unsigned last = 0;
	int r;

	(void)state;
	(void)snprintf(node, sizeof(node), "/tool/blkback-test/lost-%d", (int)getpid());
	do {
		pid_t pid = relay_start(last++);
		struct store *s;

		assert_int_equal(store_open(&s), 0);
		r = session(s, node);
		if (r < 0) {
			assert_int_equal(r, -EPIPE);
			assert_lost(s, node);
		}
		store_close(s);
		relay_stop(pid);
	} while (r < 0 && last < 1000);
	assert_int_equal(r, 0);
	assert_true(last > 10); /* the session has as many requests at least */
}

/* The event of a watch that has just been set may come first. */
static int wait_for_loss(struct store *s)
{
	struct pollfd fd = {.fd = store_fd(s), .events = POLLIN};
	int r = 0;

	while (r == 0 && poll(&fd, 1, 30000) == 1)
		r = drain(s);
	return r;
}

/*
 * The case of an idle worker: store_fd() wakes it, and the next event says why. A request finds out as well. With and without
 * the library's own thread, which a first watch starts.
 */
static void test_lost_while_idle(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		bool watched = way & 1, asks = way & 2;
		pid_t pid = relay_start(1000);
		struct store *s;

		assert_int_equal(store_open(&s), 0);
		if (watched)
			assert_int_equal(store_watch(s, "/tool", "token"), 0);
		assert_int_equal(store_check(s), 0);
		relay_stop(pid);
		if (asks)
			assert_int_equal(store_check(s), -EPIPE);
		else
			assert_int_equal(wait_for_loss(s), -EPIPE);
		assert_int_equal(store_check(s), -EPIPE);
		store_close(s);
	}
}

static void test_no_xenstored(void **state)
{
	struct store *s = NULL;

	(void)state;
	(void)unlink(relay_address.sun_path);
	assert_true(store_open(&s) < 0);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_at_any_moment),
		cmocka_unit_test(test_lost_while_idle),
		cmocka_unit_test(test_no_xenstored),
	};
	const char *path = getenv("XENSTORED_PATH");
	char rundir_socket[sizeof(daemon_address.sun_path)];
	const char *rundir = getenv("XENSTORED_RUNDIR");
	char folder[] = "/tmp/store-lost-XXXXXX";
	char relay_path[64];
	int r;

	(void)snprintf(rundir_socket, sizeof(rundir_socket), "%s/socket",
		rundir ? rundir : "/var/run/xenstored");
	set_address(&daemon_address, path ? path : rundir_socket);
	if (!mkdtemp(folder))
		return 1;
	(void)snprintf(relay_path, sizeof(relay_path), "%s/socket", folder);
	set_address(&relay_address, relay_path);
	(void)setenv("XENSTORED_PATH", relay_path, 1);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(GUARD_S);

	cmocka_set_message_output(CM_OUTPUT_TAP);
	r = cmocka_run_group_tests_name("store lost", tests, NULL, NULL);
	(void)unlink(relay_path);
	(void)rmdir(folder);
	return r;
}
