/*
 * A hostile frontend's nodes: the input is their values. handshake_read() accepts exactly what a second reading of R19,
 * R20 and R25 accepts, and reads the same from it; what it refuses it says in a sentence that is fit for a log. The
 * state node of the same directory means one of the states there are.
 *
 * An input is a list of: which node (1 byte), how long (1), the value. From 240 on the length is a longer one, or the
 * node cannot be read.
 */
#include <errno.h>

#include "backend/control/handshake.h"
#include "ring/wire.h"
#include "tests/fuzz/fake_store.h"
#include "tests/fuzz/fuzz.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

#define FRONTEND  "/local/domain/7/device/vbd/51712"
#define RING_REFS 17u /* ring-ref, ring-ref0 .. ring-ref15 */

struct value {
	const uint8_t *at;
	size_t n;
	int error; /* ENOENT: no such node */
};

/* ---- the nodes ---- */

static const char *const single[] = {"multi-queue-num-queues", "ring-page-order", "protocol",
	"feature-persistent", "state", "queue-8/event-channel"};

#define NR_SINGLE (sizeof(single) / sizeof(single[0]))

/* The @i-th name there is: the single ones, then the ring's above, then those of each queue. */
static void name_of(unsigned i, char name[64])
{
	unsigned ref = (i - NR_SINGLE) % (RING_REFS + 1), queue = (i - NR_SINGLE) / (RING_REFS + 1);
	char prefix[24] = "";

	if (i < NR_SINGLE) {
		(void)snprintf(name, 64, "%s", single[i]);
		return;
	}
	if (queue > 0)
		(void)snprintf(prefix, sizeof(prefix), "queue-%u/", queue - 1);
	if (ref == 0)
		(void)snprintf(name, 64, "%sring-ref", prefix);
	else if (ref == RING_REFS)
		(void)snprintf(name, 64, "%sevent-channel", prefix);
	else
		(void)snprintf(name, 64, "%sring-ref%u", prefix, ref - 1);
}

#define NR_NAMES (NR_SINGLE + (LIMIT_QUEUES + 1) * (RING_REFS + 1))

static struct value values[NR_NAMES];

static void read_values(struct fuzz_input *in)
{
	static const int errors[] = {EACCES, EIO, ENOMEM, ENOENT};

	for (unsigned i = 0; i < NR_NAMES; i++)
		values[i] = (struct value){.error = ENOENT};
	while (fuzz_more(in)) {
		struct value *value = &values[fuzz_u8(in) % NR_NAMES];
		unsigned n = fuzz_u8(in);
		char name[64], path[128];

		*value = (struct value){.error = n >= 248 ? errors[n % 4] : 0, .at = in->at};
		if (n >= 240)
			n = n < 248 ? fuzz_u16(in) : 0;
		value->at = in->at;
		value->n = (size_t)(in->end - in->at) < n ? (size_t)(in->end - in->at) : n;
		in->at += value->n;
		name_of((unsigned)(value - values), name);
		(void)snprintf(path, sizeof(path), FRONTEND "/%s", name);
		FUZZ_CHECK(fake_store_set(path, value->at, value->n, value->error), "no room");
	}
}

/* ---- the second reading ---- */

static const struct value *value_of(const char *name)
{
	char other[64];

	for (unsigned i = 0; i < NR_NAMES; i++) {
		name_of(i, other);
		if (strcmp(other, name) == 0)
			return &values[i];
	}
	FUZZ_CHECK(false, "no node '%s'", name);
}

static bool is_text(const struct value *value, const char *text)
{
	return value->error == 0 && value->n == strlen(text) &&
	       memcmp(value->at, text, value->n) == 0;
}

/* Written as printf would, the only way there is. */
static bool is_number(const struct value *value, uint64_t min, uint64_t max, uint32_t *ret_number)
{
	uint64_t number = 0;
	char text[24];

	if (value->error || value->n == 0 || value->n > 20)
		return false;
	for (size_t i = 0; i < value->n; i++)
		number = number * 10 + (uint64_t)(value->at[i] - '0');
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	if (!is_text(value, text) || number < min || number > max)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static bool expect_queue(
	const char *prefix, unsigned nr_pages, bool numbered, struct handshake_queue *queue)
{
	char name[64];

	for (unsigned i = 0; i < nr_pages; i++) {
		if (numbered)
			(void)snprintf(name, sizeof(name), "%sring-ref%u", prefix, i);
		else
			(void)snprintf(name, sizeof(name), "%sring-ref", prefix);
		if (!is_number(value_of(name), 0, UINT32_MAX, &queue->ring_ref[i]))
			return false;
	}
	(void)snprintf(name, sizeof(name), "%sevent-channel", prefix);
	return is_number(value_of(name), 1, 131071, &queue->event_channel);
}

static bool expect(unsigned max_queues, struct handshake *ret_keys)
{
	const struct value *order = value_of("ring-page-order"), *protocol = value_of("protocol");
	const struct value *queues = value_of("multi-queue-num-queues");
	const struct value *persistent = value_of("feature-persistent");
	struct handshake keys = {.nr_queues = 1, .abi = WIRE_ABI_32};
	uint32_t n = 0;
	bool ok = queues->error == ENOENT || is_number(queues, 1, max_queues, &keys.nr_queues);

	ok = ok && (order->error == ENOENT || is_number(order, 0, 4, &n));
	keys.nr_ring_pages = 1u << n;
	for (unsigned i = 0; ok && i < keys.nr_queues; i++) {
		char prefix[24] = "";

		if (keys.nr_queues > 1)
			(void)snprintf(prefix, sizeof(prefix), "queue-%u/", i);
		ok = expect_queue(
			prefix, keys.nr_ring_pages, order->error != ENOENT, &keys.queue[i]);
	}
	if (is_text(protocol, "x86_64-abi"))
		keys.abi = WIRE_ABI_64;
	else
		ok = ok && (protocol->error == ENOENT || is_text(protocol, "x86_32-abi"));
	if (is_text(persistent, "1"))
		keys.persistent = 1;
	else
		ok = ok && (persistent->error == ENOENT || is_text(persistent, "0"));
	*ret_keys = keys;
	return ok;
}

/* ---- the two compared ---- */

/* It goes to the log and into a node: no line breaks, no escapes, nothing a terminal would obey. */
static void check_sentence(const struct problem *problem)
{
	const char *end = memchr(problem->text, '\0', sizeof(problem->text));

	FUZZ_CHECK(end && end > problem->text, "a refusal without a sentence");
	for (const char *c = problem->text; c < end; c++)
		FUZZ_CHECK(*c >= ' ' && *c <= '~', "byte %#x in a sentence", *c);
	FUZZ_CHECK(strstr(problem->text, FRONTEND "/"), "'%s' names no node", problem->text);
}

static void check_handshake(struct store *store, unsigned max_queues)
{
	struct problem problem;
	struct handshake keys, expected, untouched;
	bool good = expect(max_queues, &expected);
	int r;

	memset(&problem, 0xa5, sizeof(problem));
	memset(&untouched, 0xa5, sizeof(untouched));
	keys = untouched;
	r = handshake_read(store, FRONTEND, max_queues, &keys, &problem);
	FUZZ_CHECK((r == 0) == good, "%d: %s", r, r ? problem.text : "accepted");
	if (r) {
		FUZZ_CHECK(r == -EPROTO || r == -EIO || r == -ENOMEM, "error %d", r);
		check_sentence(&problem);
		FUZZ_CHECK(memcmp(&keys, &untouched, sizeof(keys)) == 0, "keys after a refusal");
		return;
	}
	FUZZ_CHECK(handshake_same(&keys, &expected), "other keys than there are");
	FUZZ_CHECK(
		is_text(value_of("protocol"), handshake_protocol(&keys)) || keys.abi == WIRE_ABI_32,
		"protocol %s", handshake_protocol(&keys));
}

static void check_state(struct store *store)
{
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = FRONTEND};
	const struct value *value = value_of("state");
	enum xenbus_state state = XENBUS_CLOSED, expected = XENBUS_UNKNOWN;
	uint32_t number;
	int r = state_read(&dir, &state);

	if (value->error && value->error != ENOENT) {
		FUZZ_CHECK(r == -value->error && state == XENBUS_CLOSED, "%d, state %u", r, state);
		return;
	}
	if (value->error == ENOENT)
		expected = XENBUS_ABSENT;
	else if (is_number(value, 0, XENBUS_RECONFIGURED, &number))
		expected = (enum xenbus_state)number;
	FUZZ_CHECK(r == 0 && state == expected, "%d, state %u, not %u", r, state, expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};
	unsigned max_queues = 1 + fuzz_u8(&in) % LIMIT_QUEUES;
	struct store *store;

	fake_store_reset();
	read_values(&in);
	FUZZ_CHECK(store_open(&store) == 0, "no store");
	check_handshake(store, max_queues);
	check_state(store);
	store_close(store);
	return 0;
}
