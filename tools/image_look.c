#include "tools/image_look.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/util/json.h"
#include "backend/util/problem.h"
#include "qemu-dm-bridge/ownership/ownership.h"
#include "qemu-dm-bridge/pagecache/hand_over.h"

/* What the child found. A pipe takes it as a whole. */
struct sight {
	bool is_held, is_counted;
	struct problem holder;
	struct hand_over_result pages;
	struct problem unknown; /* why something is not known */
};

/* ---- the child ---- */

static void look(const char *path, bool is_owned, struct sight *sight)
{
	int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		(void)problem_set(&sight->unknown, -errno, "'%s' cannot be opened: %s", path,
			strerror(errno));
		return;
	}
	/* Who owns it has the locks that would be found. */
	r = is_owned ? 0 : ownership_look(fd, &sight->holder);
	sight->is_held = r == -EBUSY;
	if (r && !sight->is_held)
		sight->unknown = sight->holder;
	sight->is_counted = hand_over_look(fd, path, &sight->pages, &sight->unknown) == 0;
	(void)close(fd);
}

/* One that is left behind must not keep a pipe open whose end somebody waits for. */
static void leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (fd < 0 || dup2(fd, i) < 0)
			(void)close(i);
}

static pid_t send_child(const char *path, bool is_owned, int to)
{
	struct sight sight = {.is_held = false};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	leave_terminal();
	look(path, is_owned, &sight);
	_exit(write(to, &sight, sizeof(sight)) == (ssize_t)sizeof(sight) ? 0 : 1);
}

/* ---- who waits for it ---- */

static void wait_for(const char *path, bool is_owned, unsigned timeout_ms, struct sight *sight)
{
	struct pollfd polled = {.events = POLLIN};
	pid_t child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		(void)problem_set(&sight->unknown, -errno, "no pipe: %s", strerror(errno));
		return;
	}
	child = send_child(path, is_owned, ends[1]);
	(void)close(ends[1]);
	polled.fd = ends[0];
	if (child < 0)
		(void)problem_set(&sight->unknown, -errno, "no process: %s", strerror(errno));
	else if (poll(&polled, 1, (int)timeout_ms) <= 0)
		(void)problem_set(&sight->unknown, -ETIMEDOUT,
			"'%s' could not be looked at within %u ms: see whether its storage is in order",
			path, timeout_ms);
	else if (read(ends[0], sight, sizeof(*sight)) != (ssize_t)sizeof(*sight))
		(void)problem_set(&sight->unknown, -EIO, "'%s' could not be looked at", path);
	(void)close(ends[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		/* Dead storage keeps it even then: who comes after us will see to it. */
		(void)waitpid(child, NULL, WNOHANG);
	}
}

static struct json_object *cache_json(const struct hand_over_result *pages)
{
	struct json_object *o = json_object_new_object();
	bool ok = json_set(o, "nodes", json_object_new_uint64(pages->nr_nodes));

	ok = ok && json_set(o, "pages", json_object_new_uint64(pages->pages_before));
	ok = ok &&
	     (pages->dirty_known ? json_set(o, "dirty", json_object_new_uint64(pages->dirty_before))
				 : json_set_null(o, "dirty"));
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

static bool set_text(struct json_object *o, const char *key, const char *text)
{
	return text[0] ? json_set(o, key, json_text(text)) : json_set_null(o, key);
}

bool image_look(struct json_object *image, unsigned timeout_ms)
{
	struct sight sight = {.is_held = false};
	struct json_object *path = NULL, *owned = NULL;
	bool ok;

	(void)json_object_object_get_ex(image, "path", &path);
	(void)json_object_object_get_ex(image, "owned", &owned);
	/* A bench's storage has none. */
	if (path && json_object_get_string(path)[0] == '/')
		wait_for(json_object_get_string(path), json_object_get_boolean(owned), timeout_ms,
			&sight);
	ok = set_text(image, "holder", sight.is_held ? sight.holder.text : "");
	ok = ok && (sight.is_counted ? json_set(image, "cache", cache_json(&sight.pages))
				     : json_set_null(image, "cache"));
	return ok && set_text(image, "unknown", sight.unknown.text);
}
