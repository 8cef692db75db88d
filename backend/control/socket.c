#include "backend/control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/util/json.h"

void socket_init(struct control_socket *s,
	bool (*answer)(void *ctx, char *line, struct json_object **ret_answer), void *ctx)
{
	*s = (struct control_socket){
		.listen_fd = -1, .dir_fd = -1, .spare_fd = -1, .answer = answer, .ctx = ctx};
	for (unsigned i = 0; i < SOCKET_CLIENTS; i++)
		s->client[i].fd = -1;
}

/* ---- listening ---- */

/*
 * Through /proc, because a socket's address has room for 107 bytes and a directory's name may have
 * more. The mode is set before there is a name: Linux gives the file that of the descriptor.
 */
static int bind_in(const struct control_socket *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
		s->dir_fd, s->name);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (unlinkat(s->dir_fd, s->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (fchmod(s->listen_fd, 0600) < 0)
		return -errno;
	if (bind(s->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return listen(s->listen_fd, SOCKET_CLIENTS) < 0 ? -errno : 0;
}

static int watch(const struct control_socket *s, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int take_spare(const struct control_socket *s)
{
	return fcntl(s->dir_fd, F_DUPFD_CLOEXEC, 0);
}

int socket_open(struct control_socket *s, const char *dir, const char *disk, int epoll_fd,
	struct problem *ret_problem)
{
	int r = 0;

	s->epoll_fd = epoll_fd;
	(void)snprintf(s->name, sizeof(s->name), "%s.sock", disk);
	s->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		r = -errno;
	if (r == 0)
		s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r == 0 && s->listen_fd < 0)
		r = -errno;
	if (r == 0)
		r = bind_in(s);
	if (r == 0)
		r = watch(s, s->listen_fd);
	if (r == 0)
		s->spare_fd = take_spare(s);
	if (r) {
		(void)problem_set(ret_problem, r,
			"no control socket '%s/%s', blkbackctl cannot reach this disk: %s", dir,
			s->name, strerror(-r));
		socket_fini(s);
	}
	return r;
}

/* ---- clients ---- */

/* Closing takes it out of the epoll, too. */
static void drop(struct socket_client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	client->fd = -1;
	client->n = 0;
	client->waits = false;
}

static struct socket_client *find_place(struct control_socket *s)
{
	struct socket_client *oldest = &s->client[0];

	for (unsigned i = 0; i < SOCKET_CLIENTS; i++) {
		struct socket_client *client = &s->client[i];

		if (client->fd < 0)
			return client;
		if (client->heard < oldest->heard)
			oldest = client;
	}
	drop(oldest);
	return oldest;
}

/* There is no descriptor for it. As long as it waited, we would be woken for it again and again. */
static void turn_away(struct control_socket *s)
{
	int fd;

	if (s->spare_fd < 0)
		return;
	(void)close(s->spare_fd);
	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	s->spare_fd = take_spare(s);
}

static void accept_one(struct control_socket *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct socket_client *client;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		turn_away(s);
	/* Else it has gone again. */
	if (fd < 0)
		return;
	if (watch(s, fd)) {
		(void)close(fd);
		return;
	}
	client = find_place(s);
	client->fd = fd;
	client->n = 0;
	client->waits = false;
	client->heard = s->events;
}

/* All of it or nothing: a socket's buffer has room for many answers, unless nobody reads them. */
static bool send_answer(int fd, struct json_object *object)
{
	const char *text = object ? json_object_to_json_string_ext(object,
					    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
				  : NULL;
	char newline[] = "\n";
	struct iovec iov[2];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (text == NULL)
		text = "{\"error\":\"the worker has no memory\"}";
	iov[0] = (struct iovec){.iov_base = (void *)text, .iov_len = strlen(text)};
	iov[1] = (struct iovec){.iov_base = newline, .iov_len = 1};
	n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	json_object_put(object);
	return n >= 0 && (size_t)n == iov[0].iov_len + 1;
}

/* Answer every whole line there is. False when the client is to be dropped. */
static bool answer_lines(struct control_socket *s, struct socket_client *client)
{
	char *newline;

	while (!client->waits && (newline = memchr(client->line, '\n', client->n)) != NULL) {
		size_t n = (size_t)(newline - client->line) + 1;
		struct json_object *answer = NULL;

		*newline = '\0';
		/* A NUL would hide what follows it. */
		if (strlen(client->line) + 1 != n)
			client->line[0] = '\x7f';
		client->waits = !s->answer(s->ctx, client->line, &answer);
		if (!client->waits && !send_answer(client->fd, answer))
			return false;
		client->n -= n;
		(void)memmove(client->line, newline + 1, client->n);
	}
	if (client->n < SOCKET_LINE)
		return true;
	(void)send_answer(
		client->fd, json_error("too long: a request has less than %d bytes", SOCKET_LINE));
	return false;
}

static void serve(struct control_socket *s, struct socket_client *client)
{
	ssize_t n =
		recv(client->fd, client->line + client->n, SOCKET_LINE - client->n, MSG_DONTWAIT);

	client->heard = s->events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->n += (size_t)n;
	if (!answer_lines(s, client))
		drop(client);
}

bool socket_heed(struct control_socket *s, int fd)
{
	s->events++;
	if (fd == s->listen_fd) {
		accept_one(s);
		return true;
	}
	for (unsigned i = 0; i < SOCKET_CLIENTS; i++) {
		if (s->client[i].fd != fd)
			continue;
		serve(s, &s->client[i]);
		return true;
	}
	return false;
}

void socket_answer(struct control_socket *s, struct json_object *answer)
{
	for (unsigned i = 0; i < SOCKET_CLIENTS; i++) {
		struct socket_client *client = &s->client[i];

		if (client->fd < 0 || !client->waits)
			continue;
		client->waits = false;
		if (!send_answer(client->fd, json_object_get(answer)) || !answer_lines(s, client))
			drop(client);
	}
	json_object_put(answer);
}

/* ---- the end ---- */

void socket_fini(struct control_socket *s)
{
	for (unsigned i = 0; i < SOCKET_CLIENTS; i++)
		drop(&s->client[i]);
	if (s->listen_fd >= 0) {
		(void)unlinkat(s->dir_fd, s->name, 0);
		(void)close(s->listen_fd);
	}
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	if (s->spare_fd >= 0)
		(void)close(s->spare_fd);
	s->spare_fd = -1;
	s->listen_fd = -1;
	s->dir_fd = -1;
}
