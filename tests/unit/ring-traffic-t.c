/*
 * The two ends together, single-threaded: random traffic in both ABIs. Requests arrive in order and
 * complete in any order; none is lost, doubled or altered; every id comes back once; and whoever
 * would be asleep is woken by exactly the notifications the ends decide on (R13, R15, R17, R18).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring-pair.h"

#define NR_REQUESTS 200000u
#define MAX_SLOTS   512u

static struct ring_pair pair;

static uint64_t random_state;

static uint64_t random_u64(void)
{
	/* xorshift64* */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

static unsigned random_below(unsigned limit)
{
	return (unsigned)(random_u64() >> 33) % limit;
}

struct traffic {
	uint64_t sent, taken, answered; /* counts; request n has id_of(n) */
	uint64_t flying[MAX_SLOTS];     /* taken, not answered, in no order */
	unsigned nr_flying;
	uint8_t done[NR_REQUESTS];
	bool front_sleeps, back_sleeps;
};

static struct traffic traffic;

static uint64_t id_of(uint64_t n)
{
	return n * 0x9e3779b97f4a7c15ull;
}

/* Any but the one that says the request is indirect. */
static uint8_t op_of(uint64_t n)
{
	return n % 251 == BLKIF_OP_INDIRECT ? 251 : (uint8_t)(n % 251);
}

/* Everything in the request follows from its number, so the other end can check all of it. */
static void make_request(uint64_t n, struct blk_request *req)
{
	*req = (struct blk_request){
		.id = id_of(n),
		.sector = ~n,
		.handle = (uint16_t)n,
		.op = op_of(n),
		.nr_segments = (uint8_t)(n % 253),
		.indirect = n % 7 == 0,
	};
	if (req->indirect) {
		req->nr_segments = (uint16_t)(n * 31);
		for (unsigned i = 0; i < WIRE_INDIRECT_PAGES; i++)
			req->indirect_gref[i] = (uint32_t)n * 8 + i;
		return;
	}
	if (req->op == BLKIF_OP_DISCARD) {
		req->nr_segments = 0;
		req->nr_sectors = n * n;
		req->secure = n & 1;
		return;
	}
	for (unsigned i = 0; i < WIRE_SEGMENTS_MAX; i++)
		req->seg[i] = (struct blk_segment){
			(uint32_t)n * 11 + i, (uint8_t)(n + i), (uint8_t)(n * 3 + i)};
}

static void frontend_sends(void)
{
	unsigned room = frontring_free(&pair.front);
	unsigned n = room ? random_below(room + 1) : 0;

	while (n-- > 0 && traffic.sent < NR_REQUESTS) {
		struct blk_request req;
		struct wire_slot slot;

		make_request(traffic.sent++, &req);
		frontring_encode(pair.front.abi, &req, &slot);
		frontring_put(&pair.front, &slot);
	}
	if (frontring_push(&pair.front))
		traffic.back_sleeps = false;
}

static void frontend_receives(void)
{
	struct frontring_response rsp;

	if (traffic.front_sleeps)
		return;
	while (frontring_get(&pair.front, &rsp)) {
		/* The multiplier is odd, so it has an inverse modulo 2^64: from id back to n. */
		uint64_t n = rsp.id * 0xf1de83e19937733dull;

		assert_true(n < traffic.sent);
		assert_int_equal(traffic.done[n], 0);
		assert_int_equal(rsp.op, op_of(n));
		assert_int_equal(rsp.status, (int16_t)n);
		assert_true(rsp.padding_is_zero);
		traffic.done[n] = 1;
		traffic.answered++;
	}
	traffic.front_sleeps = !frontring_final_check(&pair.front);
}

static void backend_takes(void)
{
	unsigned n = backring_available(&pair.back);

	assert_false(pair.back.broken);
	for (n = n ? random_below(n + 1) : 0; n > 0; n--) {
		struct blk_request req = {0}, want;
		struct wire_slot slot;

		backring_take(&pair.back, &slot);
		blk_request_decode(pair.back.abi, &slot, &req);
		make_request(traffic.taken, &want);
		assert_memory_equal(&req, &want, sizeof(req));
		traffic.flying[traffic.nr_flying++] = traffic.taken++;
	}
}

static void backend_answers(void)
{
	unsigned n = traffic.nr_flying ? random_below(traffic.nr_flying + 1) : 0;

	while (n-- > 0) {
		unsigned i = random_below(traffic.nr_flying);
		uint64_t number = traffic.flying[i];

		traffic.flying[i] = traffic.flying[--traffic.nr_flying];
		backring_respond(&pair.back, id_of(number), op_of(number), (int16_t)number);
	}
	if (backring_push(&pair.back))
		traffic.front_sleeps = false;
}

static void backend_runs(void)
{
	/* Asleep means asleep: only the frontend's notification, or our own work, wakes it. */
	if (traffic.back_sleeps && traffic.nr_flying == 0)
		return;
	backend_takes();
	backend_answers();
	assert_int_equal(backring_outstanding(&pair.back), traffic.nr_flying);
	traffic.back_sleeps = !backring_final_check(&pair.back);
}

static void run_traffic(enum wire_abi abi, unsigned nr_pages, uint32_t start)
{
	unsigned idle = 0;

	traffic = (struct traffic){0};
	random_state = 88172645463325252ull + start + nr_pages;
	ring_pair_init(&pair, abi, nr_pages, start);
	while (traffic.answered < NR_REQUESTS) {
		uint64_t before = traffic.sent + traffic.taken + traffic.answered;

		switch (random_below(3)) {
		case 0:
			frontend_sends();
			break;
		case 1:
			frontend_receives();
			break;
		default:
			backend_runs();
			break;
		}
		/* All random choices do nothing now and then; a lost wake-up does nothing for ever. */
		idle = traffic.sent + traffic.taken + traffic.answered == before ? idle + 1 : 0;
		assert_true(idle < 10000);
	}
	assert_int_equal(traffic.taken, NR_REQUESTS);
	assert_int_equal(traffic.nr_flying, 0);
	assert_int_equal(frontring_free(&pair.front), pair.front.nr_slots);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		assert_int_equal(traffic.done[i], 1);
}

static void abi_64(void **state)
{
	(void)state;
	run_traffic(WIRE_ABI_64, 1, 0);
}

static void abi_32(void **state)
{
	(void)state;
	run_traffic(WIRE_ABI_32, 1, 0);
}

static void across_the_wrap(void **state)
{
	(void)state;
	run_traffic(WIRE_ABI_64, 1, 0u - NR_REQUESTS / 2);
	run_traffic(WIRE_ABI_32, 1, 0u - NR_REQUESTS / 2);
}

static void several_pages(void **state)
{
	(void)state;
	run_traffic(WIRE_ABI_64, RING_PAIR_PAGES, 0u - NR_REQUESTS / 2);
	run_traffic(WIRE_ABI_32, RING_PAIR_PAGES, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abi_64),
		cmocka_unit_test(abi_32),
		cmocka_unit_test(across_the_wrap),
		cmocka_unit_test(several_pages),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
