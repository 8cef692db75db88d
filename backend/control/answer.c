#include "backend/control/answer.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/control/counters.h"
#include "backend/control/image_answer.h"
#include "backend/control/latency.h"
#include "backend/control/vbd.h"
#include "backend/util/json.h"
#include "backend/util/log.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

/* An answer that comes later. */
#define LATER ((struct json_object *)&later)
static const char later;

/* More words than any request has. */
#define WORDS_MAX 4

/* ---- show ---- */

/* The helpers return NULL when memory is short; json_set() passes that on. */
static struct json_object *whole(struct json_object *object, bool ok)
{
	if (ok)
		return object;
	json_object_put(object);
	return NULL;
}

/* What moves data by direct I/O, whether that is so in this mode, and who has chosen it. */
static struct json_object *engine_json(const struct connection *conn)
{
	const struct storage *storage = &conn->disk.storage;
	const char *name = conn->engine == STORAGE_URING ? "io_uring" : "aio";
	bool is_used = cache_is_direct(storage->cache) && storage->kind != &storage_null;
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "name", json_object_new_string(name));

	ok = ok && json_set(o, "used", json_object_new_boolean(is_used));
	ok = ok && json_set(o, "asked_for",
			   json_object_new_boolean(conn->options.engine != DISK_ENGINE_AUTO));
	return whole(o, ok);
}

static struct json_object *storage_json(const struct connection *conn)
{
	const struct disk *disk = &conn->disk;
	const struct storage *storage = &disk->storage;
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "path", image_path_json(storage->fd));

	ok = ok && json_set(o, "type", json_object_new_string(storage->kind->name));
	ok = ok && json_set(o, "sectors", json_object_new_uint64(disk_nr_sectors(disk)));
	ok = ok && json_set(o, "physical_sector_size",
			   json_object_new_uint64(storage->physical_sector_size));
	ok = ok && json_set(o, "cache", json_object_new_string(cache_mode_name(storage->cache)));
	ok = ok && json_set(o, "engine", engine_json(conn));
	ok = ok && json_set(o, "read_only", json_object_new_boolean(storage->read_only));
	return whole(o, ok);
}

static struct json_object *features_json(
	const struct handshake *keys, const struct disk_features *features)
{
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "protocol", json_object_new_string(handshake_protocol(keys)));

	ok = ok && json_set(o, "persistent",
			   json_object_new_boolean(keys->persistent && features->persistent));
	ok = ok && json_set(o, "queues", json_object_new_uint64(keys->nr_queues));
	ok = ok && json_set(o, "ring_pages", json_object_new_uint64(keys->nr_ring_pages));
	ok = ok && json_set(o, "flush", json_object_new_boolean(features->flush));
	ok = ok && json_set(o, "barrier", json_object_new_boolean(features->barrier));
	ok = ok && json_set(o, "discard", json_object_new_boolean(features->discard.possible));
	ok = ok && json_set(o, "indirect", json_object_new_boolean(features->indirect));
	return whole(o, ok);
}

static struct json_object *fault_json(int fault)
{
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "errno", json_object_new_int(-fault));

	ok = ok && json_set(o, "text", json_text(strerror(-fault)));
	return whole(o, ok);
}

static struct json_object *queue_json(unsigned index, const struct queue *queue)
{
	struct queue_stats stats = queue_stats(queue);
	struct queue_times times = {0};
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "queue", json_object_new_uint64(index));

	ok = ok && json_set(o, "status",
			   json_object_new_string(
				   queue_status(queue) == QUEUE_BROKEN ? "broken" : "running"));
	ok = ok && json_set(o, "counters", counters_json(&stats));
	queue_add_times(queue, &times);
	ok = ok && json_set(o, "times", latency_json(&times));
	return whole(o, ok);
}

static struct json_object *queues_json(const struct connection *conn)
{
	struct json_object *queues = json_object_new_array();
	bool ok = queues != NULL;

	for (unsigned i = 0; i < conn->nr_queues && ok; i++) {
		struct json_object *queue = queue_json(i, conn->queue[i]);

		ok = queue && json_object_array_add(queues, queue) == 0;
		if (!ok)
			json_object_put(queue);
	}
	return whole(queues, ok);
}

static const char *frontend_state(const struct vbd *vbd)
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->frontend};
	enum xenbus_state state = XENBUS_UNKNOWN;

	/* Not to be read: unknown is what we know. */
	if (state_read(&dir, &state))
		state = XENBUS_UNKNOWN;
	return xenbus_state_name(state);
}

static bool add_identity(struct json_object *o, const struct vbd *vbd)
{
	char backend[VBD_PATH_MAX];
	char name[VBD_PATH_MAX];
	bool ok;

	vbd_path_relative(&vbd->id, backend);
	(void)snprintf(name, sizeof(name), "%s-%u-%u", vbd->id.kind, vbd->id.domid, vbd->id.devid);
	ok = json_set(o, "disk", json_object_new_string(name));
	ok = ok && json_set(o, "backend", json_object_new_string(backend));
	ok = ok && json_set(o, "kind", json_object_new_string(vbd->id.kind));
	ok = ok && json_set(o, "domid", json_object_new_uint64(vbd->id.domid));
	ok = ok && json_set(o, "devid", json_object_new_uint64(vbd->id.devid));
	ok = ok && json_set(o, "pid", json_object_new_int(getpid()));
	return ok && json_set(o, "version", json_object_new_string(BLKBACK_VERSION));
}

static bool add_connection(struct json_object *o, struct vbd *vbd)
{
	struct connection *conn = &vbd->conn;
	struct queue_stats totals = connection_totals(conn);
	struct queue_times times;
	int fault = conn->has_disk ? disk_fault(&conn->disk) : conn->fault;
	bool ok = conn->has_disk ? json_set(o, "storage", storage_json(conn))
				 : json_set_null(o, "storage");

	if (conn->nr_queues > 0)
		ok = ok && json_set(o, "features", features_json(&vbd->keys, &conn->features));
	else
		ok = ok && json_set_null(o, "features");
	ok = ok && (fault ? json_set(o, "fault", fault_json(fault)) : json_set_null(o, "fault"));
	ok = ok && json_set(o, "stopped",
			   json_object_new_boolean(conn->has_disk && disk_is_stopped(&conn->disk)));
	ok = ok && json_set(o, "counters", counters_json(&totals));
	connection_times(conn, &times);
	ok = ok && json_set(o, "times", latency_json(&times));
	return ok && json_set(o, "queues", queues_json(conn));
}

static struct json_object *show(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct json_object *o = json_object_new_object();
	bool ok = o && add_identity(o, vbd);

	(void)words;
	ok = ok && json_set(o, "state", json_object_new_string(xenbus_state_name(vbd->self)));
	ok = ok && json_set(o, "frontend_state", json_object_new_string(frontend_state(vbd)));
	ok = ok && json_set(o, "log_level", json_object_new_string(log_level_name(log_level())));
	ok = ok && add_connection(o, vbd);
	return whole(o, ok && json_set(o, "image", image_answer(vbd, now_ms)));
}

/* ---- the others ---- */

static struct json_object *set_log_level(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct json_object *o;
	int level;

	(void)vbd;
	(void)now_ms;
	if (!log_level_parse(words[1], &level))
		return json_error(
			"'%s' is no log level: there are error, warn, info and debug", words[1]);
	o = json_object_new_object();
	if (!json_set(o, "log_level", json_object_new_string(words[1])))
		return whole(o, false);
	/* At whichever of the two levels more is shown. */
	if (level > log_level())
		log_set_level(level);
	log_info("log level '%s', by blkbackctl", words[1]);
	log_set_level(level);
	return o;
}

/* Look at the size now; no harm if nothing has changed. */
static struct json_object *resize(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct connection *conn = &vbd->conn;
	struct problem problem;
	struct json_object *o;
	uint64_t before, now;
	bool ok;

	(void)words;
	if (conn->nr_queues == 0)
		return json_error(
			"the image is not open: its size is read when the guest's driver connects");
	before = conn->features.nr_sectors;
	if (vbd_look_at_size(vbd, now_ms, &problem) != VBD_LIVES)
		return json_error("xenstore could not be written: the log says why");
	if (problem.text[0])
		return json_error("%s", problem.text);
	now = disk_nr_sectors(&conn->disk);
	o = json_object_new_object();
	ok = json_set(o, "sectors", json_object_new_uint64(now));
	ok = ok && json_set(o, "changed", json_object_new_boolean(now != before));
	ok = ok && json_set(o, "told", json_object_new_boolean(now == conn->features.nr_sectors));
	return whole(o, ok);
}

/* D9 */
static struct json_object *resume(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct json_object *o;

	(void)words;
	vbd->now_ms = now_ms;
	if (!vbd_go_on(vbd))
		return json_error("the disk is not stopped");
	o = json_object_new_object();
	return whole(o, json_set(o, "resumed", json_object_new_boolean(true)));
}

/* ---- the cache mode ---- */

static struct json_object *mode_json(const struct vbd *vbd)
{
	const struct connection *conn = &vbd->conn;
	struct json_object *o = json_object_new_object();
	bool ok =
		conn->has_disk
			? json_set(o, "cache",
				  json_object_new_string(cache_mode_name(conn->disk.storage.cache)))
			: json_set_null(o, "cache");

	return whole(o, ok);
}

static struct json_object *answer_mode(struct vbd *vbd, int result, const struct problem *problem)
{
	if (result < 0)
		return json_error("%s", problem->text);
	return result > 0 ? LATER : mode_json(vbd);
}

static struct json_object *set_cache(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct problem problem = {.text = ""};
	enum cache_mode mode;

	if (!cache_mode_parse(words[1], &mode))
		return json_error(
			"'%s' is no cache mode: there are none, directsync, writethrough, writeback and unsafe",
			words[1]);
	vbd->now_ms = now_ms;
	return answer_mode(vbd, mode_set(vbd, mode, &problem), &problem);
}

/* That it costs data is to be said. */
static struct json_object *clear_fault(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct problem problem = {.text = ""};

	if (strcmp(words[1], "accept-loss") != 0)
		return json_error(
			"what was lost stays lost, and the guest may not know: to accept that say accept-loss");
	vbd->now_ms = now_ms;
	return answer_mode(vbd, mode_clear_fault(vbd, &problem), &problem);
}

bool answer_change(struct vbd *vbd, struct json_object **ret_answer)
{
	struct problem problem;
	int error;

	if (!mode_heed(vbd, &error, &problem))
		return false;
	*ret_answer = answer_mode(vbd, error, &problem);
	return true;
}

static struct json_object *help(struct vbd *vbd, uint64_t now_ms, char *const words[]);

static const struct request {
	const char *name;
	unsigned nr_words;
	const char *arguments;
	struct json_object *(*answer)(struct vbd *vbd, uint64_t now_ms, char *const words[]);
} requests[] = {
	{"show", 1, "", show},
	{"log-level", 2, "error|warn|info|debug", set_log_level},
	{"resize", 1, "", resize},
	{"set-cache", 2, "none|directsync|writethrough|writeback|unsafe", set_cache},
	{"resume", 1, "", resume},
	{"clear-fault", 2, "accept-loss", clear_fault},
	{"help", 1, "", help},
};

#define NR_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static struct json_object *help(struct vbd *vbd, uint64_t now_ms, char *const words[])
{
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_object();
	bool ok = list != NULL;

	(void)vbd;
	(void)now_ms;
	(void)words;
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		ok = ok && json_set(list, requests[i].name,
				   json_object_new_string(requests[i].arguments));
	return whole(o, json_set(o, "requests", list) && ok);
}

/* ---- reading the line ---- */

/* Words are separated by single spaces. 0 when there is anything but printable ASCII, or too many. */
static unsigned split(char *line, char *words[WORDS_MAX])
{
	unsigned n = 0;

	for (const char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			return 0;
	while (line) {
		if (n == WORDS_MAX)
			return 0;
		words[n++] = strsep(&line, " ");
	}
	return n;
}

static struct json_object *answer_now(struct vbd *vbd, uint64_t now_ms, char *line)
{
	char *words[WORDS_MAX];
	unsigned n = split(line, words);

	if (n == 0)
		return json_error("not a request: one line of few words is expected");
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		if (strcmp(words[0], requests[i].name) != 0)
			continue;
		if (n != requests[i].nr_words)
			return json_error("the request is: %s%s%s", requests[i].name,
				requests[i].arguments[0] ? " " : "", requests[i].arguments);
		return requests[i].answer(vbd, now_ms, words);
	}
	return json_error(
		"unknown request '%s': there are show, log-level, resize, set-cache, resume, clear-fault and help",
		words[0]);
}

bool answer(struct vbd *vbd, uint64_t now_ms, char *line, struct json_object **ret_answer)
{
	*ret_answer = answer_now(vbd, now_ms, line);
	return *ret_answer != LATER;
}
