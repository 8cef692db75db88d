#include "qemu-dm-bridge/dialect/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/util/problem.h"

#define CHUNK 65536

/* What one run holds; -1 and NULL where there is nothing. */
struct child {
	pid_t pid; /* 0: none */
	int pidfd, output_fd;
	char *output; /* of @size bytes, @len of them used */
	size_t size, len;
	bool said_last;
	int status;
};

uint64_t run_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const char *name_of(const struct run *run)
{
	return run->argv[0];
}

/* ---- starting it ---- */

/* The input waits in the pipe before there is a reader, so nobody waits and no SIGPIPE comes. */
static int open_input(const char *input)
{
	int fds[2];
	size_t len = strlen(input);
	ssize_t n;

	assert(len <= RUN_INPUT_MAX);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	n = write(fds[1], input, len);
	(void)close(fds[1]);
	if (n == (ssize_t)len)
		return fds[0];
	(void)close(fds[0]);
	return -EIO;
}

/* A group of its own, so that all of it can be ended; signals as a program expects them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int e;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	e = posix_spawnattr_setsigmask(attributes, &none);
	if (e == 0)
		e = posix_spawnattr_setsigdefault(attributes, &all);
	if (e == 0)
		e = posix_spawnattr_setpgroup(attributes, 0);
	if (e == 0)
		e = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	return -e;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int input, int output)
{
	int e;

	if (input >= 0)
		e = posix_spawn_file_actions_adddup2(actions, input, 0);
	else
		e = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	if (e == 0)
		e = posix_spawn_file_actions_adddup2(actions, output, 1);
	if (e == 0)
		e = posix_spawn_file_actions_adddup2(actions, output, 2);
	if (e == 0)
		e = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return -e;
}

static int spawn(const struct run *run, int input, int output, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attributes);
	if (r < 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return r;
	}
	r = set_descriptors(&actions, input, output);
	if (r == 0)
		r = set_attributes(&attributes);
	if (r == 0)
		r = -posix_spawnp(ret_pid, run->argv[0], &actions, &attributes,
			(char *const *)run->argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int start(const struct run *run, struct child *c)
{
	int fds[2], input = -1, r;

	if (run->input) {
		input = open_input(run->input);
		if (input < 0)
			return input;
	}
	if (pipe2(fds, O_CLOEXEC) < 0) {
		r = -errno;
		if (input >= 0)
			(void)close(input);
		return r;
	}
	c->output_fd = fds[0];
	r = spawn(run, input, fds[1], &c->pid);
	(void)close(fds[1]);
	if (input >= 0)
		(void)close(input);
	if (r < 0) {
		c->pid = 0;
		return r;
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0 || fcntl(c->output_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* ---- listening to it ---- */

/* @n bytes of output have come; what is looked for may have begun before them. */
static void hear(const struct run *run, struct child *c, size_t n)
{
	size_t before = run->last ? strlen(run->last) : 0;
	size_t from = c->len > before ? c->len - before : 0;

	c->len += n;
	if (run->last && memmem(c->output + from, c->len - from, run->last, strlen(run->last)))
		c->said_last = true;
}

/* 1: the end, 0: nothing more for now, or no more is wanted. */
static int take_output(const struct run *run, struct child *c)
{
	for (;;) {
		ssize_t n;

		if (c->len > run->output_max)
			return -EFBIG;
		if (c->size - c->len < CHUNK) {
			char *larger = realloc(c->output, c->size + CHUNK + 1);

			if (larger == NULL)
				return -ENOMEM;
			c->output = larger;
			c->size += CHUNK;
		}
		n = read(c->output_fd, c->output + c->len, c->size - c->len);
		if (n == 0)
			return 1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		hear(run, c, (size_t)n);
		if (c->said_last)
			return 0;
	}
}

/*
 * Until the process has ended, or said all that is wanted. When it ends, what is in the pipe is all there is: a child of its own may hold
 * the pipe for as long as it likes, and it may close its output long before its end.
 */
static int listen_to(const struct run *run, struct child *c)
{
	struct pollfd fds[2] = {
		{.fd = c->pidfd, .events = POLLIN}, {.fd = c->output_fd, .events = POLLIN}};

	for (;;) {
		uint64_t now = run_clock_ms();
		bool ended;
		int r;

		if (now >= run->deadline_ms)
			return -ETIMEDOUT;
		r = poll(fds, 2,
			run->deadline_ms - now > 60000 ? 60000 : (int)(run->deadline_ms - now));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		/* Of a process that has ended all output is in the pipe. */
		ended = fds[0].revents != 0;
		r = take_output(run, c);
		if (r < 0)
			return r;
		if (ended || c->said_last)
			return 0;
		if (r == 1)
			fds[1].fd = -1;
	}
}

/* ---- its end ---- */

/*
 * Nothing of its group stays. The process is not reaped before, so that the group's number is its own;
 * SIGKILL leaves it no choice, so waiting is short.
 */
static void finish(struct child *c)
{
	if (c->pid > 0) {
		(void)kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			;
	}
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	if (c->output_fd >= 0)
		(void)close(c->output_fd);
}

static int explain(const struct run *run, const struct child *c, int r, struct problem *problem)
{
	const char *argument = run->argv[1] ? run->argv[1] : "";

	switch (r) {
	case -ENOENT:
		return problem_set(problem, r, "there is no program '%s'", name_of(run));
	case -ETIMEDOUT:
		return problem_set(problem, r, "'%s %s' has not %s in time, and was killed",
			name_of(run), argument, run->last ? "answered" : "ended");
	case -EFBIG:
		return problem_set(problem, r, "'%s %s' says more than %zu bytes, and was killed",
			name_of(run), argument, run->output_max);
	case -ECHILD:
		return problem_set(problem, r, "'%s %s' was ended by signal %d", name_of(run),
			argument, WTERMSIG(c->status));
	default:
		return problem_set(
			problem, r, "running '%s %s': %s", name_of(run), argument, strerror(-r));
	}
}

/* As text: ended by a NUL, with none before. */
static void make_text(struct child *c)
{
	for (size_t i = 0; i < c->len; i++)
		if (c->output[i] == '\0')
			c->output[i] = ' ';
	c->output[c->len] = '\0';
}

int run_program(const struct run *run, char **ret_output, struct problem *problem)
{
	struct child c = {.pidfd = -1, .output_fd = -1, .output = malloc(CHUNK + 1), .size = CHUNK};
	int r;

	if (c.output == NULL)
		return problem_set(problem, -ENOMEM, "no memory");
	r = start(run, &c);
	if (r == 0)
		r = listen_to(run, &c);
	finish(&c);
	if (r == 0 && WIFSIGNALED(c.status) && !c.said_last)
		r = -ECHILD;
	if (r < 0) {
		free(c.output);
		return explain(run, &c, r, problem);
	}
	make_text(&c);
	*ret_output = c.output;
	return 0;
}
