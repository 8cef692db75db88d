#include "backend/control/image_answer.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/control/backing_nodes.h"
#include "backend/control/vbd.h"
#include "backend/util/json.h"

struct json_object *image_path_json(int fd)
{
	char name[32];
	char path[PATH_MAX];
	ssize_t n;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return json_text(path);
}

static bool set_path(struct json_object *o, const struct vbd *vbd)
{
	struct problem ignored;
	char *path = NULL;
	bool ok;

	if (vbd->conn.has_disk)
		return json_set(o, "path", image_path_json(vbd->conn.disk.storage.fd));
	ok = backing_path(vbd->store, vbd->backend, &path, &ignored) == 0
		     ? json_set(o, "path", json_text(path))
		     : json_set_null(o, "path");
	free(path);
	return ok;
}

static bool set_wait(struct json_object *o, const struct vbd *vbd, uint64_t now_ms)
{
	uint64_t until_ms = vbd->image_until_ms;

	if (until_ms == 0)
		return json_set_null(o, "waits_for") && json_set_null(o, "waits_ms");
	return json_set(o, "waits_for", json_text(vbd->image_cause.text)) &&
	       json_set(o, "waits_ms",
		       json_object_new_uint64(until_ms > now_ms ? until_ms - now_ms : 0));
}

static struct json_object *hand_over_json(const struct image_hand_over *last)
{
	const struct hand_over_result *result = &last->result;
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "time", json_object_new_uint64(last->at_s));

	ok = ok && json_set(o, "duration_us", json_object_new_uint64(result->duration_ns / 1000));
	ok = ok && json_set(o, "nodes", json_object_new_uint64(result->nr_nodes));
	ok = ok && json_set(o, "rounds", json_object_new_uint64(result->nr_rounds));
	ok = ok && json_set(o, "pages", json_object_new_uint64(result->pages_before));
	ok = ok && (result->dirty_known ? json_set(o, "dirty",
						  json_object_new_uint64(result->dirty_before))
					: json_set_null(o, "dirty"));
	ok = ok && json_set(o, "left", json_object_new_uint64(result->pages_left));
	ok = ok && (last->problem.text[0] ? json_set(o, "problem", json_text(last->problem.text))
					  : json_set_null(o, "problem"));
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

static struct json_object *hand_overs_json(const struct image_story *story)
{
	struct json_object *o = json_object_new_object();
	bool ok = o != NULL;

	for (unsigned heir = 0; heir < IMAGE_HEIRS && ok; heir++) {
		const struct image_hand_over *last = &story->last[heir];

		ok = last->at_s ? json_set(o, image_heir_name(heir), hand_over_json(last))
				: json_set_null(o, image_heir_name(heir));
	}
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

struct json_object *image_answer(const struct vbd *vbd, uint64_t now_ms)
{
	const struct image_story *story = &vbd->conn.image.story;
	struct json_object *o = json_object_new_object();
	bool ok = o && set_path(o, vbd);

	ok = ok && json_set(o, "owned", json_object_new_boolean(story->is_ours));
	ok = ok && json_set(o, "since", json_object_new_uint64(story->since_s));
	ok = ok && set_wait(o, vbd, now_ms);
	ok = ok && json_set(o, "handed_over", hand_overs_json(story));
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}
