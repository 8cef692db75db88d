/*
 * Disks of ours beside each other on one node (O9): all find room there, however many come at once, and a stranger is kept out, or keeps
 * out who comes, whoever else of ours is there. For every company, stranger and newcomer that there can be: who is let in is
 * what their rights say, as if the others of ours were not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu-dm-bridge/ownership/beside.h"
#include "qemu-dm-bridge/ownership/bytes.h"

#define NR_ACCESS  3u
#define NR_AT_ONCE 24u

/* Programs of QEMU's. */
static const struct {
	const char *name;
	struct rights rights;
} strangers[] = {
	{"qemu-io -r", {RIGHT_READ, 0}},
	{"qemu-io", {RIGHT_READ | RIGHT_WRITE, 0}},
	{"a disk that is read", {RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE}},
	{"a disk", {RIGHT_READ | RIGHT_WRITE, RIGHT_WRITE | RIGHT_RESIZE}},
};

#define NR_STRANGERS (sizeof(strangers) / sizeof(strangers[0]))

static int node = -1;

/* Another description of it. */
static int open_node(void)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", node);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static bool others_have(int fd, int base, unsigned rights)
{
	for (int i = 0; i < NR_RIGHTS; i++)
		if (rights & 1u << i && bytes_is_locked(fd, base + i))
			return true;
	return false;
}

/* As QEMU does. The descriptor, or -1 if it is kept out. */
static int stranger_comes(unsigned i)
{
	const struct rights *rights = &strangers[i].rights;
	int fd = open_node();

	assert_int_equal(bytes_lock_rights(fd, BYTE_DOES, rights->does), 0);
	assert_int_equal(bytes_lock_rights(fd, BYTE_FORBIDS, rights->forbids), 0);
	if (!others_have(fd, BYTE_FORBIDS, rights->does) &&
		!others_have(fd, BYTE_DOES, rights->forbids))
		return fd;
	(void)close(fd);
	return -1;
}

/* The descriptor, or -1 if it is kept out. */
static int ours_comes(enum ownership_access access)
{
	struct problem problem;
	int fd = open_node();
	int r = beside_take(fd, "node", access, &problem);

	if (r == 0)
		return fd;
	assert_int_equal(r, -EBUSY);
	assert_non_null(strstr(problem.text, "(beside-t)"));
	(void)close(fd);
	return -1;
}

/* Whether both can be there. Beside each other nobody minds the other's size. */
static bool agree(enum ownership_access access, const struct rights *stranger)
{
	struct rights ours = bytes_rights(access);
	unsigned forbidden = ours.forbids & ~RIGHT_RESIZE;

	return !(ours.does & stranger->forbids) && !(forbidden & stranger->does);
}

/* company: a bit for each kind of access. Those of them that have come after the stranger are the ones he lets in. */
static void try_company(unsigned company, bool stranger_first, unsigned stranger, unsigned newcomer)
{
	int fd[NR_ACCESS] = {-1, -1, -1}, his = -1, last;
	bool may_stay = true;

	if (stranger_first)
		his = stranger_comes(stranger);
	for (unsigned i = 0; i < NR_ACCESS; i++) {
		bool agreed = !stranger_first || agree(i, &strangers[stranger].rights);

		if (!(company & 1u << i))
			continue;
		fd[i] = ours_comes(i);
		assert_int_equal(fd[i] >= 0, agreed);
		may_stay &= agree(i, &strangers[stranger].rights) || fd[i] < 0;
	}
	if (!stranger_first)
		his = stranger_comes(stranger);
	assert_int_equal(his >= 0, may_stay);
	last = ours_comes(newcomer);
	if ((last >= 0) != (his < 0 || agree(newcomer, &strangers[stranger].rights)))
		fail_msg("company %u, %s %s, newcomer %u: %d", company, strangers[stranger].name,
			stranger_first ? "first" : "then", newcomer, last);
	for (unsigned i = 0; i < NR_ACCESS; i++)
		(void)close(fd[i]);
	(void)close(his);
	(void)close(last);
}

static void test_whoever_is_there(void **state)
{
	(void)state;
	for (unsigned company = 0; company < 1u << NR_ACCESS; company++)
		for (unsigned stranger = 0; stranger < NR_STRANGERS; stranger++)
			for (unsigned newcomer = 0; newcomer < NR_ACCESS; newcomer++) {
				try_company(company, true, stranger, newcomer);
				try_company(company, false, stranger, newcomer);
			}
}

/* The image itself of another worker is not beside ours. */
static void test_owner_of_all(void **state)
{
	struct rights rights = bytes_rights(OWNERSHIP_WRITE);
	int fd = open_node();

	(void)state;
	assert_int_equal(bytes_lock_rights(fd, BYTE_DOES, rights.does), 0);
	assert_int_equal(bytes_lock_rights(fd, BYTE_FORBIDS, rights.forbids), 0);
	for (unsigned i = 0; i < NR_ACCESS; i++)
		assert_int_equal(ours_comes(i), -1);
	(void)close(fd);
}

static pthread_barrier_t start;

static void *come(void *arg)
{
	struct problem problem;
	int *fd = arg;
	int r;

	*fd = open_node();
	(void)pthread_barrier_wait(&start);
	r = beside_take(*fd, "node", OWNERSHIP_WRITE, &problem);
	return r ? arg : NULL;
}

static void test_all_at_once(void **state)
{
	pthread_t thread[NR_AT_ONCE];
	int fd[NR_AT_ONCE];
	unsigned nr_failed = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(pthread_barrier_init(&start, NULL, NR_AT_ONCE), 0);
		for (unsigned i = 0; i < NR_AT_ONCE; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, come, &fd[i]), 0);
		for (unsigned i = 0; i < NR_AT_ONCE; i++) {
			void *failed;

			assert_int_equal(pthread_join(thread[i], &failed), 0);
			nr_failed += failed != NULL;
		}
		for (unsigned i = 0; i < NR_AT_ONCE; i++)
			(void)close(fd[i]);
		(void)pthread_barrier_destroy(&start);
	}
	assert_int_equal(nr_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whoever_is_there),
		cmocka_unit_test(test_owner_of_all),
		cmocka_unit_test(test_all_at_once),
	};

	node = memfd_create("node", MFD_CLOEXEC);
	if (node < 0)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
