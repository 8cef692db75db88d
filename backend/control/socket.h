/*
 * The worker's control socket, <run dir>/<disk>.sock: few local clients, each sending lines and
 * getting a line of JSON for every one.
 *
 * Control thread only, driven by its epoll. Root's alone (mode 0600), and still nobody can hold the
 * worker up: reads and writes never block, and a client that sends too long a line or does not read
 * its answers is dropped. A client more than fit takes the place of the one that has been silent
 * longest. Logs nothing.
 */
#ifndef BACKEND_CONTROL_SOCKET_H
#define BACKEND_CONTROL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/util/problem.h"

struct json_object;

#define SOCKET_CLIENTS 8
#define SOCKET_LINE    256 /* bytes of a request, the newline included */

struct socket_client {
	int fd;         /* -1: free */
	uint64_t heard; /* when it was last heard, in events of this socket */
	bool waits;     /* its line is answered later; those behind it after that */
	size_t n;
	char line[SOCKET_LINE];
};

struct control_socket {
	int epoll_fd;  /* borrowed */
	int listen_fd; /* -1: not there */
	int dir_fd;
	int spare_fd;  /* given up to turn a client away when there are no more descriptors */
	char name[64]; /* in that directory */
	/* See socket_init(). */
	bool (*answer)(void *ctx, char *line, struct json_object **ret_answer);
	void *ctx;
	uint64_t events;
	struct socket_client client[SOCKET_CLIENTS];
};

/*
 * Nothing yet; lines will be given to @answer with @ctx. It may write to them, and returns true with the answer, NULL without
 * memory; or false, if that comes later, by socket_answer(). socket_fini() may be called.
 */
void socket_init(struct control_socket *s,
	bool (*answer)(void *ctx, char *line, struct json_object **ret_answer), void *ctx)
	__attribute__((nonnull));

/*
 * Listen as @disk.sock in @dir, replacing what a dead worker left: the caller holds the disk's pid
 * file. Descriptors are added to @epoll_fd, by their number. On failure -errno with a sentence.
 */
int socket_open(struct control_socket *s, const char *dir, const char *disk, int epoll_fd,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* The answer to every line that waits for one. Takes @answer over, which may be NULL. */
void socket_answer(struct control_socket *s, struct json_object *answer)
	__attribute__((nonnull(1)));

/* Drop all clients and remove the socket. May be called twice. */
void socket_fini(struct control_socket *s) __attribute__((nonnull));

/* @fd is readable: serve it. False when it is none of this socket's. */
bool socket_heed(struct control_socket *s, int fd) __attribute__((nonnull));

#endif
