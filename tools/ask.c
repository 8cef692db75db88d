#include "tools/ask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".sock"

/* Asked at the same time: as many descriptors as any process may have. */
#define BATCH 256u

/* No answer is longer than this; a worker's longest is some kilobytes. */
#define ANSWER_MAX (1u << 20)

/* ---- whom ---- */

static bool is_socket_name(const char *file, struct disk_name *ret_disk, char name[DISK_NAME_MAX])
{
	size_t n = strlen(file);

	if (n <= strlen(SUFFIX) || n - strlen(SUFFIX) >= DISK_NAME_MAX ||
		strcmp(file + n - strlen(SUFFIX), SUFFIX) != 0)
		return false;
	(void)memcpy(name, file, n - strlen(SUFFIX));
	name[n - strlen(SUFFIX)] = '\0';
	return disk_name_parse_exact(name, ret_disk) == 0;
}

static int compare(const void *a, const void *b)
{
	return disk_name_compare(
		&((const struct asked *)a)->disk, &((const struct asked *)b)->disk);
}

static int add(struct asked **list, unsigned *n, const char *file)
{
	struct asked new = {.fd = -1};
	struct asked *longer;

	if (!is_socket_name(file, &new.disk, new.name))
		return 0;
	longer = reallocarray(*list, *n + 1, sizeof(**list));
	if (longer == NULL)
		return -ENOMEM;
	*list = longer;
	longer[(*n)++] = new;
	return 0;
}

int ask_find(
	const char *run_dir, struct asked **ret_list, unsigned *ret_n, struct problem *ret_problem)
{
	struct asked *list = NULL;
	struct dirent *entry;
	DIR *dir = opendir(run_dir);
	unsigned n = 0;
	int r = 0;

	if (dir == NULL && errno != ENOENT)
		return problem_set(ret_problem, -errno, "run directory '%s' cannot be read: %s%s",
			run_dir, strerror(errno), errno == EACCES ? ": only root may" : "");
	while (dir && r == 0 && (entry = readdir(dir)) != NULL)
		r = add(&list, &n, entry->d_name);
	if (dir)
		(void)closedir(dir);
	if (r) {
		free(list);
		return problem_set(ret_problem, r, "no memory for the list of disks");
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), compare);
	*ret_list = list;
	*ret_n = n;
	return 0;
}

/* ---- one of them ---- */

static void end(struct asked *a, enum ask_result result)
{
	a->result = result;
	if (a->fd >= 0)
		(void)close(a->fd);
	a->fd = -1;
}

static void end_with_errno(struct asked *a, int error)
{
	switch (error) {
	case ENOENT:
		(void)problem_set(&a->problem, 0, "its worker has just ended");
		end(a, ASK_GONE);
		break;
	case ECONNREFUSED:
		(void)problem_set(&a->problem, 0,
			"its worker is dead and has left its socket: detach the disk and attach it again");
		end(a, ASK_DEAD);
		break;
	case EACCES:
		(void)problem_set(&a->problem, 0, "its worker may be asked by root only");
		end(a, ASK_FORBIDDEN);
		break;
	case EAGAIN:
		(void)problem_set(
			&a->problem, 0, "its worker does not answer: too many wait for it already");
		end(a, ASK_SILENT);
		break;
	default:
		(void)problem_set(
			&a->problem, 0, "its worker cannot be asked: %s", strerror(error));
		end(a, ASK_FAILED);
	}
}

/* Through /proc: a socket's address is short, a directory's name may be long. */
static int connect_in(int dir_fd, int fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s" SUFFIX,
		dir_fd, name);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static void begin(struct asked *a, int dir_fd, const char *request)
{
	size_t length = strlen(request);
	int r = 0;

	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		r = -errno;
	if (r == 0)
		r = connect_in(dir_fd, a->fd, a->name);
	/* A new socket has room for a line. */
	if (r == 0 && send(a->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		r = errno ? -errno : -EIO;
	if (r)
		end_with_errno(a, -r);
}

static void understand(struct asked *a)
{
	struct json_object *error;

	a->answer = json_tokener_parse(a->text);
	if (!json_object_is_type(a->answer, json_type_object)) {
		(void)problem_set(&a->problem, 0, "its worker's answer is not understood");
		end(a, ASK_FAILED);
		return;
	}
	if (json_object_object_get_ex(a->answer, "error", &error)) {
		(void)problem_set(
			&a->problem, 0, "its worker says: %s", json_object_get_string(error));
		end(a, ASK_REFUSED);
		return;
	}
	end(a, ASK_ANSWERED);
}

static bool has_room(struct asked *a)
{
	size_t size = a->size ? a->size * 2 : 8192;
	char *text;

	if (a->n + 1 < a->size)
		return true;
	text = size <= ANSWER_MAX ? realloc(a->text, size) : NULL;
	if (text == NULL)
		return false;
	a->text = text;
	a->size = size;
	return true;
}

static void hear(struct asked *a)
{
	ssize_t n;

	if (!has_room(a)) {
		end_with_errno(a, ENOMEM);
		return;
	}
	n = recv(a->fd, a->text + a->n, a->size - a->n - 1, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_with_errno(a, n < 0 ? errno : ECONNRESET);
		return;
	}
	a->n += (size_t)n;
	a->text[a->n] = '\0';
	if (a->text[a->n - 1] == '\n')
		understand(a);
}

/* ---- all of them ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False when nothing came any more, or nobody is left. */
static bool hear_some(struct asked *list, unsigned n, int64_t until_ms)
{
	struct pollfd polled[BATCH];
	struct asked *whose[BATCH];
	int64_t patience = until_ms - now_ms();
	nfds_t nr_polled = 0;

	for (unsigned i = 0; i < n; i++) {
		if (list[i].result != ASK_PENDING)
			continue;
		whose[nr_polled] = &list[i];
		polled[nr_polled++] = (struct pollfd){.fd = list[i].fd, .events = POLLIN};
	}
	if (nr_polled == 0 || patience <= 0)
		return false;
	if (poll(polled, nr_polled, (int)patience) < 0)
		return errno == EINTR;
	for (nfds_t i = 0; i < nr_polled; i++)
		if (polled[i].revents)
			hear(whose[i]);
	return true;
}

static void ask_batch(
	int dir_fd, struct asked *list, unsigned n, const char *line, unsigned timeout_ms)
{
	int64_t until_ms = now_ms() + timeout_ms;

	for (unsigned i = 0; i < n; i++)
		begin(&list[i], dir_fd, line);
	while (hear_some(list, n, until_ms))
		;
	for (unsigned i = 0; i < n; i++) {
		if (list[i].result != ASK_PENDING)
			continue;
		(void)problem_set(&list[i].problem, 0,
			"its worker has not answered within %u seconds: it may wait for its storage",
			timeout_ms / 1000);
		end(&list[i], ASK_SILENT);
	}
}

void ask_all(const char *run_dir, struct asked *list, unsigned n, const char *request,
	unsigned timeout_ms)
{
	int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error = errno;
	char line[256];

	(void)snprintf(line, sizeof(line), "%s\n", request);
	for (unsigned i = 0; i < n && dir_fd < 0; i++)
		end_with_errno(&list[i], error);
	for (unsigned i = 0; i < n && dir_fd >= 0; i += BATCH)
		ask_batch(dir_fd, list + i, n - i < BATCH ? n - i : BATCH, line, timeout_ms);
	if (dir_fd >= 0)
		(void)close(dir_fd);
}

void ask_free(struct asked *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		end(&list[i], list[i].result);
		json_object_put(list[i].answer);
		free(list[i].text);
	}
	free(list);
}

const char *ask_result_name(enum ask_result result)
{
	static const char *const names[] = {
		[ASK_PENDING] = "pending",
		[ASK_ANSWERED] = "answered",
		[ASK_REFUSED] = "refused",
		[ASK_GONE] = "gone",
		[ASK_DEAD] = "dead",
		[ASK_SILENT] = "silent",
		[ASK_FORBIDDEN] = "forbidden",
		[ASK_FAILED] = "failed",
	};

	return names[result];
}
