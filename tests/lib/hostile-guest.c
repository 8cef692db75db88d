/*
 * A guest that means harm, for as long as it is told: random requests, and connections that come and go.
 *
 *   hostile-guest [--seed=N] [--requests=N] [--cycles=N] [--OPTION=VALUE...]
 *
 * First so many requests, over many connections of all kinds: good ones; good ones with a few members, bits or bytes
 * changed; and random bytes. Then so many more connections with hardly a request. Some connections end in order, some
 * are just left, some with a ring that was scribbled over. OPTION is blkfront's; what is not given is random.
 *
 * Asserted here: each request is answered once, with its id and operation, a status that blkif.h or we know, and zero
 * padding; pages that were granted but named in no request stay as they are. What else has to hold, and that nothing
 * leaks, the caller looks at. The same seed makes the same requests; how they meet the worker is up to the two.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/blkfront/blkfront.h"

#define PER_CONNECTION 2000u /* requests, about */
#define NR_DATA        64u   /* pages of the pool that requests name */
#define NR_DESCRIPTORS 16u
#define NR_CANARIES    8u
#define NR_PAGES       (NR_DATA + NR_DESCRIPTORS + NR_CANARIES)
#define CANARY         0xca
#define MAX_FLIGHT     544u
#define WAIT_MS        60000

struct guest {
	uint64_t random;
	struct blkfront_options options; /* as given */
	bool given_protocol, given_persistent, given_order, given_queues;
	struct blkfront *front;
	enum wire_abi abi;
	struct blkfront_page page[NR_PAGES];
	struct blkfront_request req[MAX_FLIGHT];
	bool busy[MAX_FLIGHT];
	uint64_t nr_requests, nr_cycles, nr_connections;
	uint64_t nr_ok, nr_error, nr_unsupported;
};

static struct guest guest;

static void die(const char *what, int error)
{
	(void)printf("hostile-guest: %s: %s (%s)\n", what, strerror(-error),
		guest.front ? blkfront_error(guest.front) : "no frontend");
	exit(1);
}

/* ---- chance ------------------------------------------------------------------------------------ */

/* xorshift64*: the same everywhere. */
static uint64_t any(void)
{
	uint64_t x = guest.random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	guest.random = x;
	return x * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned n)
{
	return (unsigned)((any() >> 33) % n);
}

static bool once_in(unsigned n)
{
	return below(n) == 0;
}

/* Numbers that are wrong somewhere: around 0, powers of two, the end of the disk, and all others. */
static uint64_t odd_number(void)
{
	uint64_t size = blkfront_disk(guest.front)->nr_sectors;

	switch (below(5)) {
	case 0:
		return below(16);
	case 1:
		return -(uint64_t)below(16);
	case 2:
		return ((uint64_t)1 << below(64)) + below(5) - 2;
	case 3:
		return size + below(16) - 8;
	default:
		return any();
	}
}

/*
 * One of the pages that may be named, or a reference that is none. Never the ring or the store's page: a guest may well
 * destroy those, but then it has nothing more to say.
 */
static uint32_t any_gref(void)
{
	switch (below(16)) {
	case 0:
		return UINT32_MAX - below(4);
	case 1:
		return (uint32_t)any() | 0x00100000;
	default:
		return guest.page[below(NR_DATA)].gref;
	}
}

static struct blkfront_page *any_descriptor(void)
{
	return &guest.page[NR_DATA + below(NR_DESCRIPTORS)];
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void good_segments(struct blk_request *req, unsigned max)
{
	req->nr_segments = (uint16_t)(1 + below(max));
	for (unsigned i = 0; i < req->nr_segments; i++) {
		uint8_t first = (uint8_t)(once_in(4) ? below(8) : 0);

		req->seg[i] = (struct blk_segment){
			.gref = guest.page[below(NR_DATA)].gref,
			.first_sect = first,
			.last_sect = (uint8_t)(once_in(4) ? first + below(8u - first) : 7),
		};
	}
	req->sector = any() % blkfront_disk(guest.front)->nr_sectors;
}

static void good_indirect(struct blk_request *req)
{
	req->indirect = true;
	req->op = once_in(2) ? BLKIF_OP_READ : BLKIF_OP_WRITE;
	good_segments(req, once_in(8) ? BLK_SEGMENTS_MAX : 32);
}

static void good_request(struct blk_request *req)
{
	memset(req, 0, sizeof(*req));
	req->id = any();
	switch (below(16)) {
	case 0:
		req->op = once_in(2) ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;
		if (once_in(2))
			good_segments(req, WIRE_SEGMENTS_MAX);
		break;
	case 1:
	case 2:
		req->op = BLKIF_OP_DISCARD;
		req->sector = any() % blkfront_disk(guest.front)->nr_sectors;
		req->nr_sectors = 1 + below(256);
		req->secure = once_in(2);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		good_indirect(req);
		break;
	default:
		req->op = once_in(2) ? BLKIF_OP_READ : BLKIF_OP_WRITE;
		good_segments(req, WIRE_SEGMENTS_MAX);
		break;
	}
}

/* One member of the request goes wrong. */
static void mutate(struct blk_request *req)
{
	unsigned n = req->nr_segments ? req->nr_segments : 1;
	unsigned i = below(n < BLK_SEGMENTS_MAX ? n : BLK_SEGMENTS_MAX);

	switch (below(9)) {
	case 0:
		req->op = (uint8_t)(once_in(2) ? below(8) : any());
		break;
	case 1:
		req->nr_segments = (uint16_t)(once_in(2) ? below(300) : any());
		break;
	case 2:
	case 3:
		req->sector = odd_number();
		break;
	case 4:
		req->nr_sectors = odd_number();
		break;
	case 5:
		req->seg[i].first_sect = (uint8_t)any();
		break;
	case 6:
		req->seg[i].last_sect = (uint8_t)any();
		break;
	case 7:
		req->seg[i].gref = any_gref();
		break;
	default:
		req->indirect = !req->indirect;
		break;
	}
}

/* What the bytes name must not be the ring, even by chance: see any_gref(). */
static void tame(struct wire_slot *slot)
{
	struct wire_segment *seg = guest.abi == WIRE_ABI_32 ? slot->r32.seg : slot->r64.seg;
	uint32_t *gref = guest.abi == WIRE_ABI_32 ? slot->i32.gref : slot->i64.gref;

	if (slot->r64.operation == BLKIF_OP_INDIRECT)
		for (unsigned i = 0; i < WIRE_INDIRECT_PAGES; i++)
			gref[i] |= 0x00100000;
	else
		for (unsigned i = 0; i < WIRE_SEGMENTS_MAX; i++)
			seg[i].gref |= 0x00100000;
}

static void random_slot(struct wire_slot *slot)
{
	for (unsigned i = 0; i < sizeof(slot->bytes); i++)
		slot->bytes[i] = (uint8_t)any();
	if (!once_in(4))
		slot->r64.operation = (uint8_t)below(8);
	tame(slot);
}

static void write_descriptor(struct blk_request *req)
{
	const struct blkfront_page *page = any_descriptor();
	unsigned n = req->nr_segments < BLK_SEGMENTS_MAX ? req->nr_segments : BLK_SEGMENTS_MAX;

	req->indirect_gref[0] = once_in(32) ? any_gref() : page->gref;
	frontring_encode_page(req->seg, n, page->address);
}

static void make_slot(struct wire_slot *slot)
{
	struct blk_request req;
	unsigned nr_wrong = below(10);

	memset(slot, 0, sizeof(*slot));
	if (nr_wrong > 7) {
		random_slot(slot);
		return;
	}
	good_request(&req);
	/* Three in ten are good. */
	for (nr_wrong = nr_wrong > 2 ? nr_wrong - 2 : 0; nr_wrong > 2; nr_wrong /= 2)
		mutate(&req);
	if (nr_wrong > 0)
		mutate(&req);
	if (req.indirect)
		write_descriptor(&req);
	frontring_encode(guest.abi, &req, slot);
}

static void on_done(struct blkfront_request *req)
{
	guest.busy[req - guest.req] = false;
	if (req->error)
		return;
	if (!req->padding_is_zero)
		die("dirty padding", -EPROTO);
	switch (req->status) {
	case BLKIF_RSP_OKAY:
		guest.nr_ok++;
		break;
	case BLKIF_RSP_ERROR:
	case WIRE_RSP_FLUSH_FAILED:
		guest.nr_error++;
		break;
	case BLKIF_RSP_EOPNOTSUPP:
		guest.nr_unsupported++;
		break;
	default:
		die("a status nobody knows", -EPROTO);
	}
}

static struct blkfront_request *free_request(void)
{
	for (unsigned i = 0; i < MAX_FLIGHT; i++)
		if (!guest.busy[i]) {
			guest.busy[i] = true;
			guest.req[i] = (struct blkfront_request){.done = on_done};
			return &guest.req[i];
		}
	return NULL;
}

static void push(void)
{
	int r = blkfront_push(guest.front);

	if (r == 0)
		r = blkfront_reap(guest.front);
	if (r)
		die("push", r);
}

static void wait_until(unsigned nr_left)
{
	push();
	while (blkfront_outstanding(guest.front) > nr_left) {
		int r = blkfront_wait(guest.front, WAIT_MS);

		if (r == 0)
			r = blkfront_reap(guest.front);
		if (r)
			die("wait", r);
	}
}

/* One request, pushed alone or with others. */
static void ask(void)
{
	struct blkfront_request *req = free_request();
	struct wire_slot slot;
	int r = -EAGAIN;

	make_slot(&slot);
	if (req) {
		req->queue = below(8);
		r = blkfront_submit_raw(guest.front, &slot, req);
	}
	if (r == 0) {
		guest.nr_requests++;
	} else if (r == -EAGAIN) {
		if (req)
			guest.busy[req - guest.req] = false;
		wait_until(blkfront_outstanding(guest.front) / 2);
	} else {
		die("submit", r);
	}
	if (once_in(8))
		push();
	if (once_in(64))
		(void)!blkfront_notify(guest.front, below(8));
}

/* ---- connections ------------------------------------------------------------------------------- */

static void take_pages(void)
{
	for (unsigned i = 0; i < NR_PAGES; i++)
		if (!blkfront_page_get(guest.front, &guest.page[i]))
			die("a page", -ENOMEM);
	for (unsigned i = NR_PAGES - NR_CANARIES; i < NR_PAGES; i++)
		memset(guest.page[i].address, CANARY, WIRE_PAGE_SIZE);
}

static void check_canaries(void)
{
	for (unsigned i = NR_PAGES - NR_CANARIES; i < NR_PAGES; i++) {
		const uint8_t *byte = guest.page[i].address;

		for (unsigned at = 0; at < WIRE_PAGE_SIZE; at++)
			if (byte[at] != CANARY)
				die("a page that was not named has changed", -EPROTO);
	}
}

/* Over the indexes, too: whatever the worker makes of it, we are gone. */
static void scribble(void)
{
	struct frontring *ring = blkfront_ring(guest.front, below(8));
	volatile uint8_t *byte = (volatile uint8_t *)ring->shared;

	for (unsigned i = 0; i < WIRE_PAGE_SIZE; i++)
		if (i < 16 || once_in(16))
			byte[i] = (uint8_t)any();
	(void)!blkfront_notify(guest.front, 0);
}

static void choose_options(struct blkfront_options *options)
{
	*options = guest.options;
	if (!guest.given_protocol)
		options->protocol = (enum blkfront_protocol)below(3);
	if (!guest.given_persistent)
		options->persistent = once_in(2);
	if (!guest.given_order)
		options->ring_order = once_in(2) ? below(5) : 0;
	if (!guest.given_queues)
		options->nr_queues = once_in(2) ? 1 + below(2) : 1;
	options->nr_pages = NR_PAGES;
}

/* A connection that was left with a broken ring is refused still when the next comes: then another time. */
static void connect_to(bool may_be_refused)
{
	struct blkfront_options options;
	char *error;
	int r;

	choose_options(&options);
	r = blkfront_create(&options, &guest.front, &error);
	if (r)
		die(error ? error : "create", r);
	r = blkfront_connect(guest.front);
	if (r == -ECONNREFUSED && may_be_refused)
		r = blkfront_connect(guest.front);
	if (r)
		die("connect", r);
	guest.abi = options.protocol == BLKFRONT_PROTOCOL_64 ? WIRE_ABI_64 : WIRE_ABI_32;
	memset(guest.busy, 0, sizeof(guest.busy));
	guest.nr_connections++;
	take_pages();
}

/* True if the next connection may meet what this one has left. */
static bool leave(void)
{
	bool in_order = !once_in(4), is_broken = false;
	int r;

	if (in_order) {
		wait_until(0);
		check_canaries();
		r = blkfront_close(guest.front);
		if (r)
			die("close", r);
	} else if (once_in(2)) {
		scribble();
		is_broken = true;
	}
	blkfront_destroy(guest.front);
	guest.front = NULL;
	return is_broken;
}

static void run(uint64_t nr_requests, uint64_t nr_cycles)
{
	bool is_broken = false;

	while (guest.nr_requests < nr_requests) {
		uint64_t end = guest.nr_requests + 1 + below(2 * PER_CONNECTION);

		if (end > nr_requests)
			end = nr_requests;
		connect_to(is_broken);
		while (guest.nr_requests < end)
			ask();
		is_broken = leave();
	}
	for (; guest.nr_cycles < nr_cycles; guest.nr_cycles++) {
		connect_to(is_broken);
		for (unsigned i = below(4); i > 0; i--)
			ask();
		is_broken = leave();
	}
	/* Whoever comes next finds things in order. */
	connect_to(is_broken);
	wait_until(0);
	if (blkfront_close(guest.front))
		die("the last close", -EIO);
	blkfront_destroy(guest.front);
	guest.front = NULL;
}

/* ---- the command line -------------------------------------------------------------------------- */

static bool number_option(const char *argument, const char *key, uint64_t *ret_value)
{
	size_t n = strlen(key);
	char *end;

	if (strncmp(argument, key, n) != 0)
		return false;
	*ret_value = strtoull(argument + n, &end, 10);
	return argument[n] && *end == '\0';
}

static bool blkfront_option(char *argument)
{
	char *value = strchr(argument, '=');

	if (strncmp(argument, "--", 2) != 0 || !value)
		return false;
	*value = '\0';
	argument += 2;
	guest.given_protocol |= strcmp(argument, "protocol") == 0;
	guest.given_persistent |= strcmp(argument, "persistent") == 0;
	guest.given_order |= strcmp(argument, "ring-order") == 0;
	guest.given_queues |= strcmp(argument, "queues") == 0;
	return blkfront_options_set(&guest.options, argument, value + 1) == 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, nr_requests = 0, nr_cycles = 0;

	blkfront_options_init(&guest.options);
	for (int i = 1; i < argc; i++)
		if (!number_option(argv[i], "--seed=", &seed) &&
			!number_option(argv[i], "--requests=", &nr_requests) &&
			!number_option(argv[i], "--cycles=", &nr_cycles) &&
			!blkfront_option(argv[i])) {
			(void)fprintf(stderr, "hostile-guest: not an option: \"%s\"\n", argv[i]);
			return 2;
		}
	/* Neighbouring seeds shall not begin alike; and 0 is none. */
	guest.random = (seed + 1) * 0x9e3779b97f4a7c15ull;
	(void)printf("hostile-guest: seed %llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	run(nr_requests, nr_cycles);
	(void)printf("requests=%llu ok=%llu error=%llu unsupported=%llu connections=%llu\n",
		(unsigned long long)guest.nr_requests, (unsigned long long)guest.nr_ok,
		(unsigned long long)guest.nr_error, (unsigned long long)guest.nr_unsupported,
		(unsigned long long)guest.nr_connections);
	return 0;
}
