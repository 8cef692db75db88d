#include "backend/control/latency.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "backend/data/queue.h"
#include "backend/util/json.h"
#include "backend/util/log.h"

/* One name, the requests of that kind, and what the storage had to do with them. */
static const struct {
	const char *name;
	int answered; /* -1: these are no requests */
	int stored;   /* -1: the storage does it by another name */
} kinds[] = {
	{"read", TIMES_READ, TIMES_STORED_READ},
	{"write", TIMES_WRITE, TIMES_STORED_WRITE},
	{"flush", TIMES_FLUSH, -1},
	{"barrier", TIMES_BARRIER, -1},
	{"discard", TIMES_DISCARD, TIMES_STORED_DISCARD},
	{"fdatasync", -1, TIMES_STORED_SYNC},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct {
	const char *name;
	unsigned permille;
} quantiles[] = {{"p50_us", 500}, {"p99_us", 990}, {"p999_us", 999}};

#define NR_QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static struct json_object *buckets_json(const struct histogram *histogram)
{
	struct json_object *buckets = json_object_new_array();
	bool ok = buckets != NULL;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && ok; i++) {
		struct json_object *pair;

		if (histogram->count[i] == 0)
			continue;
		pair = json_object_new_array();
		ok = pair && json_object_array_add(buckets, pair) == 0;
		if (!ok)
			json_object_put(pair);
		ok = ok &&
		     json_object_array_add(pair, json_object_new_uint64(histogram_limit(i))) == 0;
		ok = ok &&
		     json_object_array_add(pair, json_object_new_uint64(histogram->count[i])) == 0;
	}
	if (ok)
		return buckets;
	json_object_put(buckets);
	return NULL;
}

static struct json_object *histogram_json(const struct histogram *histogram)
{
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "count", json_object_new_uint64(histogram_total(histogram)));

	for (unsigned i = 0; i < NR_QUANTILES && ok; i++) {
		uint64_t ns = histogram_quantile(histogram, quantiles[i].permille);

		ok = ns == UINT64_MAX ? json_set_null(o, quantiles[i].name)
				      : json_set(o, quantiles[i].name,
						json_object_new_uint64((ns + 999) / 1000));
	}
	ok = ok && json_set(o, "buckets", buckets_json(histogram));
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

/* The histogram of @kinds[k], or NULL when there is none or it is empty. */
static const struct histogram *answered(const struct queue_times *times, unsigned k)
{
	const struct histogram *h =
		kinds[k].answered < 0 ? NULL : &times->answered[kinds[k].answered];

	return h && histogram_total(h) > 0 ? h : NULL;
}

static const struct histogram *stored(const struct queue_times *times, unsigned k)
{
	const struct histogram *h = kinds[k].stored < 0 ? NULL : &times->stored[kinds[k].stored];

	return h && histogram_total(h) > 0 ? h : NULL;
}

static bool add_kind(struct json_object *o, const struct queue_times *times, unsigned k)
{
	const struct histogram *a = answered(times, k), *s = stored(times, k);
	struct json_object *kind;
	bool ok;

	if (!a && !s)
		return true;
	kind = json_object_new_object();
	ok = kind && (!a || json_set(kind, "answered", histogram_json(a))) &&
	     (!s || json_set(kind, "stored", histogram_json(s)));
	if (ok)
		return json_set(o, kinds[k].name, kind);
	json_object_put(kind);
	return false;
}

struct json_object *latency_json(const struct queue_times *times)
{
	struct json_object *o = json_object_new_object();
	bool ok = o != NULL;

	for (unsigned k = 0; k < NR_KINDS && ok; k++)
		ok = add_kind(o, times, k);
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

/* A name and four numbers, however large. */
#define TEXT_MAX 128

/* " answered=1000 p50=12us p99=40us p999=56us", or nothing. */
static void describe(const struct histogram *h, const char *name, char text[TEXT_MAX])
{
	uint64_t us[NR_QUANTILES];

	text[0] = '\0';
	if (!h)
		return;
	for (unsigned i = 0; i < NR_QUANTILES; i++)
		us[i] = histogram_quantile(h, quantiles[i].permille) / 1000;
	(void)snprintf(text, TEXT_MAX,
		" %s=%" PRIu64 " p50=%" PRIu64 "us p99=%" PRIu64 "us p999=%" PRIu64 "us", name,
		histogram_total(h), us[0], us[1], us[2]);
}

void latency_log(const struct queue_times *times)
{
	for (unsigned k = 0; k < NR_KINDS; k++) {
		char from_ring[TEXT_MAX], of_storage[TEXT_MAX];

		describe(answered(times, k), "answered", from_ring);
		describe(stored(times, k), "stored", of_storage);
		if (from_ring[0] || of_storage[0])
			log_info("times of %s:%s%s", kinds[k].name, from_ring, of_storage);
	}
}
