#include "backend/util/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent: pass on what becomes of the child until it is ready. */
static int wait_until_ready(const char *program, pid_t child, int ready_fd)
{
	char byte;
	int status;

	if (read(ready_fd, &byte, 1) == 1)
		return EXIT_SUCCESS;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILURE;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	(void)fprintf(stderr, "%s: killed by signal %d before it was ready; see syslog\n", program,
		WTERMSIG(status));
	return EXIT_FAILURE;
}

int background_enter(const char *program)
{
	int pipe_fd[2];
	pid_t child;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		(void)close(pipe_fd[1]);
		exit(wait_until_ready(program, child, pipe_fd[0]));
	}
	(void)close(pipe_fd[0]);
	(void)setsid();
	(void)!chdir("/");
	return pipe_fd[1];
}

void background_detach(bool keep_stderr)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return;
	(void)dup2(null_fd, STDIN_FILENO);
	(void)dup2(null_fd, STDOUT_FILENO);
	if (!keep_stderr)
		(void)dup2(null_fd, STDERR_FILENO);
	(void)close(null_fd);
}

void background_ready(int *ready_fd)
{
	if (*ready_fd < 0)
		return;
	(void)!write(*ready_fd, "", 1);
	(void)close(*ready_fd);
	*ready_fd = -1;
}
