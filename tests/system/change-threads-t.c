/*
 * A disk under load whose cache mode is changed again and again (D7): two queues, each a thread, real storage, and a thread that is
 * control. No request fails, and what was written is read back, whichever mode it went through. For the thread sanitizer, too.
 */
#include "tests/lib/loop.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUES      2u
#define LANES       24u
#define NR_CHANGES  60u
#define NR_STOPS    20u
#define DEADLINE_MS 20000 /* reached only by a test that fails */

/* A lane is an id, its page, its block on the disk, and what was written there last. */
struct lane {
	bool busy;
	uint8_t op;
	unsigned round;
	uint64_t value;
};

static struct loop ring[QUEUES];
static struct lane lane[QUEUES][LANES];
static int change_fd;

static int set_up(void **state)
{
	(void)state;
	change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memset(lane, 0, sizeof(lane));
	for (unsigned i = 0; i < QUEUES; i++) {
		if (i == 0)
			loop_init(&ring[i], true);
		else
			loop_init_beside(&ring[i], &ring[i - 1]);
		loop_connect(&ring[i]);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(queue_start(ring[i].queue), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = QUEUES; i-- > 0;) {
		loop_disconnect(&ring[i]);
		loop_fini(&ring[i]);
	}
	(void)close(change_fd);
	return 0;
}

/* ---- the guest --------------------------------------------------------------------------------- */

static uint64_t *page_of(unsigned i, unsigned k)
{
	return (uint64_t *)(void *)(ring[i].pages + (size_t)k * WIRE_PAGE_SIZE);
}

/* Written and read by turns, with a flush or a barrier now and then. */
static void ask(unsigned i, unsigned k)
{
	static const uint8_t ops[] = {BLKIF_OP_WRITE, BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_READ,
		BLKIF_OP_WRITE_BARRIER, BLKIF_OP_READ, BLKIF_OP_FLUSH_DISKCACHE};
	struct lane *l = &lane[i][k];
	uint64_t *page = page_of(i, k);

	l->op = ops[(l->round++ + k) % sizeof(ops)];
	if (l->op == BLKIF_OP_READ) {
		page[0] = page[511] = ~l->value;
	} else if (l->op != BLKIF_OP_FLUSH_DISKCACHE) {
		l->value = (uint64_t)i << 60 | (uint64_t)k << 40 | l->round;
		for (unsigned at = 0; at < 512; at++)
			page[at] = l->value;
	}
	l->busy = true;
	loop_put(&ring[i], k, l->op, (i * LANES + k) * 8, k, l->op != BLKIF_OP_FLUSH_DISKCACHE);
}

static void ask_all(void)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		for (unsigned k = 0; k < LANES; k++)
			if (!lane[i][k].busy)
				ask(i, k);
		loop_push(&ring[i]);
	}
}

/* How many there were. */
static unsigned take_answers(void)
{
	struct frontring_response rsp;
	unsigned n = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		for (; loop_get(&ring[i], &rsp); n++) {
			struct lane *l = &lane[i][rsp.id];

			assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
			assert_true(l->busy);
			l->busy = false;
			if (l->op != BLKIF_OP_READ)
				continue;
			assert_int_equal(page_of(i, (unsigned)rsp.id)[0], l->value);
			assert_int_equal(page_of(i, (unsigned)rsp.id)[511], l->value);
		}
	return n;
}

static bool is_busy(void)
{
	for (unsigned i = 0; i < QUEUES; i++)
		for (unsigned k = 0; k < LANES; k++)
			if (lane[i][k].busy)
				return true;
	return false;
}

static void finish(void)
{
	while (is_busy())
		if (take_answers() == 0)
			loop_wait_any(ring, QUEUES);
}

/* ---- control ----------------------------------------------------------------------------------- */

/* What went wrong, in a thread that cannot fail the test. */
struct control {
	atomic_bool ended;
	unsigned nr_changed, nr_abandoned;
	const char *wrong;
};

static bool wait_until_ready(struct disk *disk)
{
	struct pollfd pfd = {.fd = change_fd, .events = POLLIN};
	uint64_t count;
	int error;

	return poll(&pfd, 1, DEADLINE_MS) == 1 &&
	       read(change_fd, &count, sizeof(count)) == sizeof(count) &&
	       disk_change(disk, &error) == ORDER_CHANGE_READY && error == 0;
}

static const char *change_mode(struct disk *disk, enum cache_mode mode)
{
	struct storage storage;
	struct problem problem;

	disk_begin_change(disk, change_fd);
	if (!wait_until_ready(disk))
		return "a change is never ready";
	if (storage_reopen(&disk->storage, mode, &storage, &problem))
		return "the image cannot be opened again";
	disk_end_change(disk, &storage, false);
	return storage.fd < 0 && disk->storage.cache == mode ? NULL : "it has not been changed";
}

/* Given up, perhaps when control has just been told. */
static void abandon_one(struct disk *disk)
{
	uint64_t count;

	disk_begin_change(disk, change_fd);
	disk_end_change(disk, NULL, false);
	(void)!read(change_fd, &count, sizeof(count));
}

static void *control_thread(void *arg)
{
	static const enum cache_mode modes[] = {CACHE_WRITEBACK, CACHE_NONE, CACHE_DIRECTSYNC,
		CACHE_NONE, CACHE_WRITETHROUGH, CACHE_UNSAFE, CACHE_NONE};
	struct control *control = arg;
	struct disk *disk = ring[0].disk;

	for (unsigned n = 0; n < NR_CHANGES && control->wrong == NULL; n++) {
		if (n % 4 == 3) {
			abandon_one(disk);
			control->nr_abandoned++;
		}
		control->wrong = change_mode(disk, modes[n % (sizeof(modes) / sizeof(modes[0]))]);
		control->nr_changed++;
	}
	atomic_store(&control->ended, true);
	return NULL;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_back_and_forth(void **state)
{
	struct control control = {.wrong = NULL};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, control_thread, &control), 0);
	while (!atomic_load(&control.ended)) {
		ask_all();
		if (take_answers() == 0)
			loop_wait_any(ring, QUEUES);
	}
	finish();
	(void)pthread_join(thread, NULL);
	if (control.wrong)
		fail_msg("%s", control.wrong);
	assert_int_equal(control.nr_changed, NR_CHANGES);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(queue_stats(ring[i].queue).failed, 0);
}

/*
 * The connection ends while a change is going on: control gives the change up, and the queues answer what they have taken. What they
 * have not taken stays in the ring.
 */
static void test_stopped_meanwhile(void **state)
{
	(void)state;
	for (unsigned n = 0; n < NR_STOPS; n++) {
		ask_all();
		disk_begin_change(ring[0].disk, change_fd);
		if (n % 3 == 0)
			assert_true(wait_until_ready(ring[0].disk));
		for (unsigned i = 0; i < QUEUES; i++)
			queue_begin_stop(ring[i].queue);
		(void)take_answers();
		disk_end_change(ring[0].disk, NULL, false);
		for (unsigned i = 0; i < QUEUES; i++)
			queue_stop(ring[i].queue);
		(void)take_answers();
		for (unsigned i = 0; i < QUEUES; i++) {
			struct queue_stats stats = queue_stats(ring[i].queue);

			assert_int_equal(stats.reads_taken, stats.reads_answered);
			assert_int_equal(stats.writes_taken, stats.writes_answered);
			assert_int_equal(stats.failed, 0);
			loop_disconnect(&ring[i]);
			loop_connect(&ring[i]);
		}
		/* Nobody knows whether those were written that have no answer: they are written anew. */
		memset(lane, 0, sizeof(lane));
		for (unsigned i = 0; i < QUEUES; i++)
			assert_int_equal(queue_start(ring[i].queue), 0);
		for (unsigned i = 0; i < QUEUES; i++)
			for (unsigned k = 0; k < LANES; k++)
				lane[i][k].round = 7 - k % 7;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_back_and_forth, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopped_meanwhile, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
