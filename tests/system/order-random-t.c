/*
 * D2 and D3 under random traffic: writes, reads, flushes and barriers with and without data, asked as
 * fast as the ring takes them, while the storage finishes what it has in random order. What came of
 * it is judged from the record. The seed is printed; ORDER_SEED=N repeats a run.
 */
#include "tests/lib/rig.h"

#include <stdlib.h>
#include <time.h>

#define NR_REQUESTS 2000u
#define NR_ASKS     24u

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static void ask_anything(struct rig *rig, struct ask *ask)
{
	uint64_t sector = (uint64_t)random_below(RIG_DISK_BYTES / 512 / RIG_BLOCK) * RIG_BLOCK;

	switch (random_below(10)) {
	case 0:
		rig_flush(rig, ask);
		break;
	case 1:
		rig_ask(rig, ask, BLKIF_OP_FLUSH_DISKCACHE, sector, RIG_BLOCK);
		break;
	case 2:
		rig_barrier(rig, ask);
		break;
	case 3:
		rig_ask(rig, ask, BLKIF_OP_WRITE_BARRIER, sector, RIG_BLOCK);
		break;
	case 4:
		rig_ask(rig, ask, BLKIF_OP_READ, sector, RIG_BLOCK);
		break;
	default:
		rig_ask(rig, ask, BLKIF_OP_WRITE, sector, RIG_BLOCK);
		break;
	}
}

/* Let one thing happen in the storage, or wait until the worker has brought something: not for ever. */
static void let_something_happen(struct rig *rig, struct rig_deadline *deadline)
{
	if (rig_tell(rig, "any %u", random_below(1u << 20)))
		*deadline = rig_deadline();
	else
		rig_wait(rig, 1);
	rig_in_time(*deadline);
	assert_int_equal(blkfront_reap(rig->front), 0);
}

static void test_random(void **state)
{
	struct rig *rig = *state;
	static struct ask ask[NR_ASKS];
	struct rig_deadline deadline = rig_deadline();
	unsigned n = 0;

	for (unsigned i = 0; i < NR_ASKS; i++)
		ask[i].answered = true;
	rig_tell(rig, "hold write");
	rig_tell(rig, "hold sync");
	rig_tell(rig, "hold read");
	while (n < NR_REQUESTS) {
		struct ask *one = &ask[random_below(NR_ASKS)];

		if (one->answered) {
			ask_anything(rig, one);
			n++;
		}
		if (random_below(2) == 0)
			let_something_happen(rig, &deadline);
	}
	while (blkfront_outstanding(rig->front) > 0)
		let_something_happen(rig, &deadline);
	for (unsigned i = 0; i < NR_ASKS; i++)
		assert_int_equal(rig_status(&ask[i]), BLKIF_RSP_OKAY);
	rig_judge(rig);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("ORDER_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, rig_setup, rig_teardown),
	};

	(void)argc;
	rig_enter(argv);
	random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	(void)fprintf(stderr, "# ORDER_SEED=%llu\n", (unsigned long long)random_state);
	return rig_leave(cmocka_run_group_tests(tests, NULL, NULL));
}
