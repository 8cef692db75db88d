/*
 * The pid file is a lock: one holder at a time, whatever was left behind, whoever removes the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/util/pidfile.h"

/* Reached only by a test that fails. */
#define DEADLINE_S 60

static char base[32];
static char dir[64];
static char path[96];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(base, sizeof(base), "/tmp/pidfile-t.XXXXXX");
	assert_non_null(mkdtemp(base));
	(void)snprintf(dir, sizeof(dir), "%s/run", base);
	(void)snprintf(path, sizeof(path), "%s/vbd-5-1.pid", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(dir);
	return rmdir(base);
}

static int take(struct pidfile *ret_pidfile)
{
	struct problem problem = {.text = ""};
	int r = pidfile_take(dir, "vbd-5-1", ret_pidfile, &problem);

	if (r)
		assert_non_null(strstr(problem.text, dir));
	return r;
}

/* A child that holds the file until it is killed or its pipe is closed. */
struct holder {
	pid_t pid;
	int to;
};

static struct holder hold_elsewhere(void)
{
	int to[2], from[2];
	struct holder holder;
	char byte = 0;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	holder.pid = fork();
	if (holder.pid == 0) {
		struct pidfile pidfile;

		(void)close(to[1]);
		(void)close(from[0]);
		if (take(&pidfile))
			_exit(1);
		(void)!write(from[1], "x", 1);
		(void)!read(to[0], &byte, 1);
		pidfile_release(&pidfile);
		_exit(0);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	assert_int_equal(
		poll(&(struct pollfd){.fd = from[0], .events = POLLIN}, 1, DEADLINE_S * 1000), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	(void)close(from[0]);
	holder.to = to[1];
	return holder;
}

static void end(struct holder *holder, bool kill_it)
{
	int status;

	if (kill_it)
		assert_int_equal(kill(holder->pid, SIGKILL), 0);
	(void)close(holder->to);
	assert_int_equal(waitpid(holder->pid, &status, 0), holder->pid);
}

static long number_in_file(void)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	(void)close(fd);
	return strtol(text, NULL, 10);
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 07777;
}

static void test_take_and_release(void **state)
{
	struct pidfile pidfile;

	(void)state;
	assert_int_equal(take(&pidfile), 0);
	assert_int_equal(number_in_file(), getpid());
	assert_true(fcntl(pidfile.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mode_of(dir), 0700);
	assert_int_equal(mode_of(path), 0600);
	pidfile_release(&pidfile);
	assert_int_equal(access(path, F_OK), -1);
	pidfile_release(&pidfile);
}

static void test_one_holder(void **state)
{
	struct holder other = hold_elsewhere();
	struct pidfile pidfile;

	(void)state;
	assert_int_equal(take(&pidfile), -EBUSY);
	assert_int_equal(pidfile.fd, -1);
	assert_int_equal(number_in_file(), other.pid);
	end(&other, false);
	assert_int_equal(take(&pidfile), 0);
	pidfile_release(&pidfile);
}

/* A killed holder leaves the file, longer than ours may be; it is taken over. */
static void test_stale_file(void **state)
{
	struct holder other = hold_elsewhere();
	struct pidfile pidfile;
	FILE *file;

	(void)state;
	end(&other, true);
	assert_int_equal(access(path, F_OK), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("12345678901234567890\n", file);
	(void)fclose(file);
	assert_int_equal(take(&pidfile), 0);
	assert_int_equal(number_in_file(), getpid());
	pidfile_release(&pidfile);
}

/* Somebody removes the file of a living holder: the next one locks a new file, not the old. */
static void test_removed_under_us(void **state)
{
	struct pidfile first, second;

	(void)state;
	assert_int_equal(take(&first), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(take(&second), 0);
	assert_int_equal(number_in_file(), getpid());
	assert_true(first.fd != second.fd);
	pidfile_release(&second);
	pidfile_release(&first);
}

/* One of the crowd; its exit status. It is let in, or told that somebody else is. */
static int crowd_in(const int token[2])
{
	char byte = 0;

	for (unsigned got = 0, busy = 0; got < 200;) {
		struct pidfile pidfile;
		int r = take(&pidfile);

		if (r == -EBUSY)
			busy++;
		if (r && r != -EBUSY)
			return 2;
		if (r)
			continue;
		got++;
		/* The pipe is empty unless somebody else is in here too. */
		if (read(token[0], &byte, 1) == 1)
			return 1;
		(void)!write(token[1], "x", 1);
		if (read(token[0], &byte, 1) != 1)
			return 1;
		pidfile_release(&pidfile);
		if (got == 200)
			(void)fprintf(stderr, "200 times in, %u times refused\n", busy);
	}
	return 0;
}

/* Many processes take and release the same file: never two at a time. */
static void test_crowd(void **state)
{
	int token[2];

	(void)state;
	assert_int_equal(pipe2(token, O_NONBLOCK), 0);
	for (unsigned i = 0; i < 4; i++)
		if (fork() == 0) {
			(void)alarm(2 * DEADLINE_S); /* the end of one that never gets in */
			_exit(crowd_in(token));
		}
	for (unsigned i = 0; i < 4; i++) {
		int status = -1;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

/*
 * Whoever asks if a worker lives does so with a shared lock, in a tight loop here: a worker that
 * starts is not taken for a second one. Somebody who keeps the lock makes it give up.
 */
static void test_probers_are_no_holders(void **state)
{
	struct pidfile pidfile;
	pid_t prober;
	int fd;

	(void)state;
	assert_int_equal(take(&pidfile), 0);
	pidfile_release(&pidfile);
	prober = fork();
	if (prober == 0)
		for (;;) {
			int probe = open(path, O_RDWR | O_CLOEXEC);

			if (probe >= 0)
				(void)flock(probe, LOCK_SH | LOCK_NB);
			(void)close(probe);
		}
	for (unsigned i = 0; i < 200; i++) {
		/* As a killed worker leaves it: there is something to probe. */
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(close(fd), 0);
		assert_int_equal(take(&pidfile), 0);
		pidfile_release(&pidfile);
	}
	assert_int_equal(kill(prober, SIGKILL), 0);
	assert_int_equal(waitpid(prober, NULL, 0), prober);

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(take(&pidfile), -EBUSY);
	assert_int_equal(close(fd), 0);
	assert_int_equal(take(&pidfile), 0);
	pidfile_release(&pidfile);
}

/* The run directory is full: nothing is left, neither the file nor a descriptor. */
static void test_no_space(void **state)
{
	struct rlimit before, none;
	struct pidfile pidfile;
	int lowest = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(close(lowest), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(take(&pidfile), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(pidfile.fd, -1);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(dup(STDERR_FILENO), lowest);
	assert_int_equal(close(lowest), 0);
}

/* No link of somebody else's is followed; no name too long is cut. */
static void test_refusals(void **state)
{
	struct pidfile pidfile;
	struct problem problem;
	char name[300];

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(take(&pidfile), -ELOOP);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(pidfile_take(dir, name, &pidfile, &problem), -ENAMETOOLONG);
	assert_int_equal(pidfile_take("/proc/1/nowhere/at-all", "x", &pidfile, &problem), -ENOENT);
}

#define PIDFILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIDFILE_TEST(test_take_and_release),
		PIDFILE_TEST(test_one_holder),
		PIDFILE_TEST(test_stale_file),
		PIDFILE_TEST(test_removed_under_us),
		PIDFILE_TEST(test_crowd),
		PIDFILE_TEST(test_probers_are_no_holders),
		PIDFILE_TEST(test_no_space),
		PIDFILE_TEST(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
