#include "qemu-dm-bridge/qmp/client.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "backend/util/limits.h"

#define ROOM_FIRST 4096u
#define EVENTS_MAX 1000u

struct qmp {
	int fd;
	uint64_t until_ms;
	char *text; /* what has come and was not looked at yet, up to .used */
	size_t used, room;
	size_t room_max; /* of one line */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int give_up(struct problem *problem, int error)
{
	return problem_set(problem, error, "the device model's QMP monitor: %s",
		error == -EPROTO     ? "what it says is not QMP"
		: error == -EMSGSIZE ? "there is no end to what it says"
				     : strerror(-error));
}

/* ---- bytes ---- */

static int await(const struct qmp *qmp, short events)
{
	struct pollfd fd = {.fd = qmp->fd, .events = events};
	uint64_t now = now_ms();
	int r;

	if (now >= qmp->until_ms)
		return -ETIMEDOUT;
	r = poll(&fd, 1, (int)(qmp->until_ms - now));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int send_all(const struct qmp *qmp, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = send(qmp->fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = n < 0 ? -errno : 0;

		if (r == -EAGAIN || r == -EINTR)
			r = await(qmp, POLLOUT);
		if (r)
			return r;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

static int make_room(struct qmp *qmp)
{
	size_t room = qmp->room ? qmp->room * 2 : ROOM_FIRST;
	char *text;

	if (qmp->room - qmp->used > 1)
		return 0;
	if (room > qmp->room_max)
		return -EMSGSIZE;
	text = realloc(qmp->text, room);
	if (!text)
		return -ENOMEM;
	qmp->text = text;
	qmp->room = room;
	return 0;
}

static int receive_more(struct qmp *qmp)
{
	int r = make_room(qmp);
	ssize_t n;

	if (r)
		return r;
	n = recv(qmp->fd, qmp->text + qmp->used, qmp->room - qmp->used - 1, MSG_DONTWAIT);
	if (n > 0) {
		qmp->used += (size_t)n;
		return 0;
	}
	if (n == 0)
		return -ECONNRESET;
	return errno == EAGAIN || errno == EINTR ? await(qmp, POLLIN) : -errno;
}

/* ---- lines ---- */

static bool is_late(const struct qmp *qmp)
{
	return now_ms() >= qmp->until_ms;
}

/* One line of it, read as an object. Who talks without a pause has the same time as who is silent. */
static int next_object(struct qmp *qmp, struct json_object **ret_object)
{
	char *end;
	size_t length;
	int r = 0;

	while (!(end = qmp->used ? memchr(qmp->text, '\n', qmp->used) : NULL) && r == 0)
		r = is_late(qmp) ? -ETIMEDOUT : receive_more(qmp);
	if (r == 0 && is_late(qmp))
		r = -ETIMEDOUT;
	if (r)
		return r;
	*end = '\0';
	length = (size_t)(end - qmp->text) + 1;
	*ret_object = json_tokener_parse(qmp->text);
	memmove(qmp->text, end + 1, qmp->used - length);
	qmp->used -= length;
	if (json_object_is_type(*ret_object, json_type_object))
		return 0;
	json_object_put(*ret_object);
	return -EPROTO;
}

static bool has(struct json_object *object, const char *name, struct json_object **ret_value)
{
	return json_object_object_get_ex(object, name, ret_value);
}

static int read_greeting(struct qmp *qmp)
{
	struct json_object *object, *value;
	int r = next_object(qmp, &object);

	if (r)
		return r;
	r = has(object, "QMP", &value) ? 0 : -EPROTO;
	json_object_put(object);
	return r;
}

/* QEMU tells of events in between. */
static int next_answer(struct qmp *qmp, struct json_object **ret_object)
{
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		struct json_object *value;
		int r = next_object(qmp, ret_object);

		if (r || !has(*ret_object, "event", &value))
			return r;
		json_object_put(*ret_object);
	}
	return -EMSGSIZE;
}

void qmp_text(const char *text, struct qmp_text *ret_text)
{
	size_t n = 0;

	for (; text[n] >= ' ' && text[n] <= '~' && n < sizeof(ret_text->text) - 1; n++)
		ret_text->text[n] = text[n];
	ret_text->text[n] = '\0';
}

static int take_answer(
	struct json_object *answer, struct json_object **ret_value, struct problem *problem)
{
	struct json_object *value, *text = NULL;
	struct qmp_text said;

	if (has(answer, "return", &value)) {
		*ret_value = json_object_get(value);
		return 0;
	}
	if (!has(answer, "error", &value) || !json_object_is_type(value, json_type_object) ||
		!has(value, "desc", &text) || !json_object_is_type(text, json_type_string))
		return give_up(problem, -EPROTO);
	qmp_text(json_object_get_string(text), &said);
	return problem_set(problem, -EREMOTEIO, "the device model says: %s", said.text);
}

static int send_command(const struct qmp *qmp, const char *command, struct json_object *arguments)
{
	struct json_object *object = json_object_new_object();
	struct json_object *name = json_object_new_string(command);
	int r = -ENOMEM;

	if (object && name && json_object_object_add(object, "execute", name) == 0) {
		name = NULL;
		if (!arguments || json_object_object_add(object, "arguments", arguments) == 0)
			r = 0;
		if (r == 0)
			arguments = NULL;
	}
	if (r == 0)
		r = send_all(qmp, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	if (r == 0)
		r = send_all(qmp, "\n");
	json_object_put(name);
	json_object_put(arguments);
	json_object_put(object);
	return r;
}

int qmp_run(struct qmp *qmp, const char *command, struct json_object *arguments,
	struct json_object **ret_value, struct problem *problem)
{
	struct json_object *answer = NULL;
	int r = send_command(qmp, command, arguments);

	qmp->room_max =
		strcmp(command, "query-qmp-schema") == 0 ? LIMIT_QMP_SCHEMA : LIMIT_QMP_ANSWER;
	if (r == 0)
		r = next_answer(qmp, &answer);
	if (r)
		return give_up(problem, r);
	r = take_answer(answer, ret_value, problem);
	json_object_put(answer);
	return r;
}

/* ---- beginning and end ---- */

static int reach(struct qmp *qmp, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	qmp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (qmp->fd < 0)
		return -errno;
	/* Its queue is full, of others who ask: that is as good as slow. */
	if (connect(qmp->fd, (const struct sockaddr *)&address, sizeof(address)))
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

int qmp_open(const char *path, unsigned timeout_ms, struct qmp **ret_qmp, struct problem *problem)
{
	struct qmp *qmp = malloc(sizeof(*qmp));
	struct json_object *ignored;
	int r;

	if (!qmp)
		return give_up(problem, -ENOMEM);
	*qmp = (struct qmp){
		.fd = -1, .until_ms = now_ms() + timeout_ms, .room_max = LIMIT_QMP_ANSWER};
	r = reach(qmp, path);
	if (r == 0)
		r = read_greeting(qmp);
	if (r) {
		qmp_close(qmp);
		return give_up(problem, r);
	}
	r = qmp_run(qmp, "qmp_capabilities", NULL, &ignored, problem);
	if (r) {
		qmp_close(qmp);
		return r;
	}
	json_object_put(ignored);
	*ret_qmp = qmp;
	return 0;
}

void qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return;
	if (qmp->fd >= 0)
		(void)close(qmp->fd);
	free(qmp->text);
	free(qmp);
}
