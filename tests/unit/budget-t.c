/*
 * The pages that a host's workers may have mapped together: the sum is kept to, by several workers and threads at a time; who
 * dies leaves nothing behind; who needs less than it reserved lets others have it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/data/budget.h"

/* Time is the test's: it goes on when somebody says so. */
static time_t seconds = 1000;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	*ret = (struct timespec){.tv_sec = seconds};
	return 0;
}

static char dir[32], path[48];

static void open_budget(struct budget *budget, unsigned max_pages)
{
	struct problem problem;

	if (budget_open(budget, path, max_pages, &problem))
		fail_msg("%s", problem.text);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/budget-t.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/grants", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void test_alone(void **state)
{
	struct budget b;
	struct stat st;

	(void)state;
	open_budget(&b, 1000);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(budget_take(&b, 1));
	assert_false(budget_take(&b, 1));
	assert_int_equal(budget_sum(&b), 1000);
	/* A page for a page, at once. */
	budget_give(&b, 1);
	assert_true(budget_take(&b, 1));
	budget_give(&b, 1000);
	assert_true(budget_take(&b, 1000));
	budget_give(&b, 1000);
	/* A few are kept at hand, until it rests. */
	assert_in_range(budget_sum(&b), 1, 100);
	assert_true(budget_may_rest(&b));
	assert_true(budget_take(&b, 1));
	assert_false(budget_may_rest(&b));
	budget_rest(&b);
	assert_int_equal(budget_sum(&b), 1);
	budget_give(&b, 1);
	budget_rest(&b);
	assert_int_equal(budget_sum(&b), 0);
	assert_false(budget_may_rest(&b));
	budget_close(&b);
	budget_close(&b);
}

/* Two workers, in turns: neither goes beyond the sum, whoever has what. */
static void test_two(void **state)
{
	struct budget a, b;

	(void)state;
	open_budget(&a, 1000);
	open_budget(&b, 1000);
	assert_true(budget_take(&a, 600));
	assert_false(budget_take(&b, 401));
	seconds++;
	/* A few the other one keeps at hand. */
	assert_true(budget_take(&b, 300));
	seconds++;
	assert_in_range(budget_sum(&a), 900, 1000);
	assert_false(budget_take(&a, 101));
	assert_false(budget_take(&b, 101));
	/* What one gives up the other may have, and all of it when it rests. */
	seconds++;
	budget_give(&a, 400);
	assert_true(budget_take(&b, 400));
	seconds++;
	assert_false(budget_take(&b, 101));
	budget_give(&a, 200);
	budget_rest(&a);
	seconds++;
	assert_true(budget_take(&b, 300));
	assert_int_equal(budget_sum(&b), 1000);
	assert_false(budget_take(&a, 1));
	budget_close(&a);
	budget_give(&b, 1000);
	budget_close(&b);
}

/* Who was refused asks the others again after a while, and not before. */
static void test_patience(void **state)
{
	struct budget a, b;

	(void)state;
	open_budget(&a, 100);
	open_budget(&b, 100);
	assert_true(budget_take(&a, 100));
	assert_false(budget_take(&b, 1));
	budget_give(&a, 100);
	budget_close(&a);
	assert_false(budget_take(&b, 1));
	seconds++;
	assert_true(budget_take(&b, 1));
	budget_give(&b, 1);
	budget_close(&b);
}

/* A worker that is killed has its pages unmapped by the kernel: they do not count any more. */
static void test_the_dead_do_not_count(void **state)
{
	struct budget b;
	int status, ready[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct problem problem;

		if (budget_open(&b, path, 1000, &problem) || !budget_take(&b, 900))
			_exit(1);
		(void)!write(ready[1], "1", 1);
		(void)pause();
		_exit(2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	open_budget(&b, 1000);
	assert_false(budget_take(&b, 200));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	seconds++;
	assert_true(budget_take(&b, 1000));
	assert_int_equal(budget_sum(&b), 1000);
	budget_give(&b, 1000);
	budget_close(&b);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* Whoever takes a dead one's place begins with nothing. */
static void test_a_place_is_used_again(void **state)
{
	struct budget b;
	unsigned pages = 999;
	int fd;

	(void)state;
	open_budget(&b, 1000);
	budget_close(&b);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &pages, sizeof(pages), 0), sizeof(pages));
	(void)close(fd);
	open_budget(&b, 1000);
	assert_int_equal(budget_sum(&b), 0);
	assert_true(budget_take(&b, 1000));
	budget_give(&b, 1000);
	budget_close(&b);
}

static void test_nothing_is_allowed(void **state)
{
	struct budget b;

	(void)state;
	open_budget(&b, 0);
	assert_false(budget_take(&b, 1));
	budget_close(&b);
}

static void test_refused(void **state)
{
	struct budget b;
	struct problem problem;

	(void)state;
	assert_int_equal(symlink("/tmp", path), 0);
	assert_true(budget_open(&b, path, 10, &problem) < 0);
	assert_non_null(strstr(problem.text, path));
	assert_non_null(strstr(problem.text, "copied"));
	assert_int_equal(b.fd, -1);
	budget_close(&b);
}

/* ---- several queues of several workers ---- */

#define NR_WORKERS 3
#define MAX        2000u

static struct budget worker[NR_WORKERS];
static atomic_uint held;
static atomic_bool too_many;

static void *queue_of(void *arg)
{
	struct budget *b = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed, mine = 0;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned n = (unsigned)rand_r(&seed) % 256 + 1;

		if (budget_take(b, n)) {
			mine += n;
			if (atomic_fetch_add(&held, n) + n > MAX)
				atomic_store(&too_many, true);
		}
		if (mine > 600 || i % 7 == 0) {
			atomic_fetch_sub(&held, mine);
			budget_give(b, mine);
			mine = 0;
		}
		if (i % 5 == 0)
			budget_rest(b);
	}
	atomic_fetch_sub(&held, mine);
	budget_give(b, mine);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[NR_WORKERS * 2];

	(void)state;
	for (unsigned i = 0; i < NR_WORKERS; i++)
		open_budget(&worker[i], MAX);
	for (unsigned i = 0; i < NR_WORKERS * 2; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, queue_of, &worker[i % NR_WORKERS]), 0);
	for (unsigned i = 0; i < NR_WORKERS * 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_false(atomic_load(&too_many));
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		assert_int_equal(atomic_load(&worker[i].nr_used), 0);
		budget_rest(&worker[i]);
	}
	assert_int_equal(budget_sum(&worker[0]), 0);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		budget_close(&worker[i]);
	}
}

#define BUDGET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUDGET_TEST(test_alone),
		BUDGET_TEST(test_two),
		BUDGET_TEST(test_patience),
		BUDGET_TEST(test_the_dead_do_not_count),
		BUDGET_TEST(test_a_place_is_used_again),
		BUDGET_TEST(test_nothing_is_allowed),
		BUDGET_TEST(test_refused),
		BUDGET_TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
