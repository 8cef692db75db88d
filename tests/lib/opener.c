#include "tests/lib/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS  30000
#define COMMAND_SIZE 512u
/* The longest answer fits: QEMU does not wait for room where it talks QMP, so what it prints would be cut. */
#define PIPE_BYTES (1 << 20)

/* What ends an answer: qemu-io asks for the next command; QMP answers, after what the command itself has printed. */
static const char prompt[] = "qemu-io> ";
static const char done[] = "{\"return\": ";
static const char refused[] = "{\"error\": ";

static void complain(const struct opener *opener, const char *what)
{
	(void)fprintf(stderr, "opener: %s: %.400s\n", what, opener->answer);
}

/* ---- its life ---- */

/* Nothing of ours is loaded into it. */
static void become(const struct opener *opener, const char *path)
{
	char drive[COMMAND_SIZE];

	(void)unsetenv("LD_PRELOAD");
	if (opener->kind == OPENER_QEMU_IO) {
		(void)execlp("qemu-io", "qemu-io", "-f", "raw", "-t", "writeback", path, NULL);
		_exit(127);
	}
	(void)snprintf(
		drive, sizeof(drive), "file=%s,format=raw,if=ide,id=disk,cache=writeback", path);
	/* What commands print comes before the answer to them. */
	(void)execlp("stdbuf", "stdbuf", "-oL", "qemu-system-i386", "-machine", "pc", "-nodefaults",
		"-display", "none", "-S", "-qmp", "stdio", "-drive", drive, NULL);
	_exit(127);
}

static void let_go(struct opener *opener)
{
	(void)close(opener->to);
	(void)close(opener->from);
	free(opener->answer);
	opener->answer = NULL;
}

static bool spawn(struct opener *opener, const char *path)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0)
		return false;
	if (pipe2(from, O_CLOEXEC) < 0) {
		(void)close(to[0]);
		(void)close(to[1]);
		return false;
	}
	(void)fcntl(from[1], F_SETPIPE_SZ, PIPE_BYTES);
	opener->pid = fork();
	if (opener->pid == 0) {
		(void)dup2(to[0], STDIN_FILENO);
		(void)dup2(from[1], STDOUT_FILENO);
		become(opener, path);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	opener->to = to[1];
	opener->from = from[0];
	return opener->pid > 0;
}

/* ---- talking ---- */

static bool has_ended(const struct opener *opener)
{
	const char *line = opener->answer;

	if (opener->kind == OPENER_QEMU_IO) {
		size_t n = sizeof(prompt) - 1;

		return opener->length >= n &&
		       strcmp(opener->answer + opener->length - n, prompt) == 0;
	}
	if (opener->length == 0 || opener->answer[opener->length - 1] != '\n')
		return false;
	while (line && strncmp(line, done, sizeof(done) - 1) != 0 &&
		strncmp(line, refused, sizeof(refused) - 1) != 0) {
		line = strchr(line, '\n');
		line = line && line[1] ? line + 1 : NULL;
	}
	return line != NULL;
}

static bool make_room(struct opener *opener)
{
	size_t room = opener->room ? 2 * opener->room : 65536;
	char *answer;

	if (opener->room - opener->length > 4096)
		return true;
	answer = realloc(opener->answer, room);
	if (!answer)
		return false;
	opener->answer = answer;
	opener->room = room;
	return true;
}

/* One answer, whatever it says. */
static bool listen_to(struct opener *opener)
{
	struct pollfd fd = {.fd = opener->from, .events = POLLIN};

	opener->length = 0;
	do {
		ssize_t n;

		if (!make_room(opener))
			return false;
		opener->answer[opener->length] = '\0';
		if (poll(&fd, 1, DEADLINE_MS) <= 0) {
			complain(opener, "does not answer");
			return false;
		}
		n = read(opener->from, opener->answer + opener->length,
			opener->room - opener->length - 1);
		if (n <= 0) {
			complain(opener, "has ended");
			return false;
		}
		opener->length += (size_t)n;
		opener->answer[opener->length] = '\0';
	} while (!has_ended(opener));
	return true;
}

static bool say(struct opener *opener, const char *text)
{
	size_t n = strlen(text);

	return write(opener->to, text, n) == (ssize_t)n;
}

/* Both have the same commands. */
static bool tell(struct opener *opener, const char *command)
{
	char text[COMMAND_SIZE * 2];

	if (opener->kind == OPENER_QEMU_IO)
		(void)snprintf(text, sizeof(text), "%s\n", command);
	else
		(void)snprintf(text, sizeof(text),
			"{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"qemu-io disk \\\"%s\\\"\"}}\n",
			command);
	return say(opener, text) && listen_to(opener);
}

bool opener_start(struct opener *opener, enum opener_kind kind, const char *path)
{
	bool is_ready;

	*opener = (struct opener){.kind = kind};
	if (!spawn(opener, path))
		return false;
	is_ready = kind == OPENER_QEMU_IO || say(opener, "{\"execute\": \"qmp_capabilities\"}\n");
	if (is_ready && listen_to(opener))
		return true;
	(void)opener_end(opener, true);
	return false;
}

/* ---- commands ---- */

/* "00100000:  01 02 ... 10  ................", 16 bytes in a line */
static bool parse_line(const char *line, unsigned char *data)
{
	char *end = strchr(line, ':');

	if (!end || end - line < 8)
		return false;
	end++;
	for (unsigned i = 0; i < 16; i++) {
		const char *at = end;
		unsigned long byte = strtoul(at, &end, 16);

		if (end == at || byte > 255)
			return false;
		data[i] = (unsigned char)byte;
	}
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool opener_read(struct opener *opener, uint64_t offset, unsigned size_bytes, unsigned char *data)
{
	char command[COMMAND_SIZE];
	unsigned nr_bytes = 0;
	const char *line;

	(void)snprintf(command, sizeof(command), "read -v %" PRIu64 " %u", offset, size_bytes);
	if (!tell(opener, command))
		return false;
	for (line = opener->answer; line && nr_bytes < size_bytes; nr_bytes += 16) {
		if (!is_hex(*line) || !parse_line(line, data + nr_bytes))
			break;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (nr_bytes == size_bytes && line && strncmp(line, "read ", 5) == 0)
		return true;
	complain(opener, "cannot read");
	return false;
}

bool opener_write(
	struct opener *opener, uint64_t offset, unsigned size_bytes, const char *data_path)
{
	char command[COMMAND_SIZE];

	(void)snprintf(command, sizeof(command), "write -s %s %" PRIu64 " %u", data_path, offset,
		size_bytes);
	if (tell(opener, command) && strncmp(opener->answer, "wrote ", 6) == 0)
		return true;
	complain(opener, "cannot write");
	return false;
}

bool opener_flush(struct opener *opener)
{
	const char *expected = opener->kind == OPENER_QEMU_IO ? prompt : done;

	if (tell(opener, "flush") && strncmp(opener->answer, expected, strlen(expected)) == 0)
		return true;
	complain(opener, "cannot flush");
	return false;
}

bool opener_end(struct opener *opener, bool is_killed)
{
	bool is_told = true;
	int status = -1;

	if (is_killed)
		(void)kill(opener->pid, SIGKILL);
	else
		is_told = say(opener,
			opener->kind == OPENER_QEMU_IO ? "quit\n" : "{\"execute\": \"quit\"}\n");
	while (waitpid(opener->pid, &status, 0) < 0 && errno == EINTR)
		;
	let_go(opener);
	return is_told &&
	       (is_killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
