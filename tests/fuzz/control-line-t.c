/*
 * A line on a worker's control socket: the input is its bytes, as backend/control/socket.c hands them on. The disk has no
 * connection. There is one answer, an object of printable text in one line, that is an error or what was asked for.
 */
#include <json-c/json.h>

#include "backend/control/answer.h"
#include "backend/control/vbd.h"
#include "backend/util/log.h"
#include "tests/fuzz/fake_store.h"
#include "tests/fuzz/fuzz.h"
#include "xenstore/store.h"

/* One for each request there is: the key that only its answer has. */
static const struct {
	const char *request;
	const char *key;
} requests[] = {
	{"show", "frontend_state"},
	{"help", "requests"},
	{"log-level error", "log_level"},
	{"log-level warn", "log_level"},
	{"log-level info", "log_level"},
	{"log-level debug", "log_level"},
};

static bool is_answered(const char *request, struct json_object *object)
{
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (strcmp(requests[i].request, request) == 0)
			return json_object_object_get_ex(object, requests[i].key, NULL);
	return false;
}

static void check(const char *request, struct json_object *object)
{
	const char *text;

	FUZZ_CHECK(object && json_object_is_type(object, json_type_object), "no answer");
	FUZZ_CHECK(json_object_object_get_ex(object, "error", NULL) != is_answered(request, object),
		"'%s' is answered %s", request, json_object_to_json_string(object));
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	for (; *text; text++)
		FUZZ_CHECK(*text >= ' ' && *text <= '~', "byte %#x in an answer", *text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char frontend[] = "/local/domain/7/device/vbd/51712";
	static char backend[] = "/local/domain/0/backend/vbd/7/51712";
	static struct vbd vbd;
	struct json_object *object;
	char *line = malloc(size + 1), *request;

	FUZZ_CHECK(line, "no memory");
	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	request = strdup(line);
	FUZZ_CHECK(request, "no memory");
	vbd = (struct vbd){.frontend = frontend,
		.backend = backend,
		.id = {.kind = "vbd", .domid = 7, .devid = 51712}};
	fake_store_reset();
	FUZZ_CHECK(store_open(&vbd.store) == 0, "no store");
	vbd.pub = (struct publisher){.store = vbd.store, .backend = "backend/vbd/7/51712"};
	log_set_level(LOG_ERR);
	FUZZ_CHECK(answer(&vbd, 0, line, &object), "an answer that comes later");
	check(request, object);
	json_object_put(object);
	store_close(vbd.store);
	free(request);
	free(line);
	return 0;
}
