/*
 * The first disk of a QEMU's IDE controller, driven port by port as a guest's driver would, by the qtest protocol; no guest runs.
 *
 *   ide-disk SOCKET COMMAND... -- PROGRAM ARGUMENT...
 *
 * Listens at SOCKET, starts PROGRAM, whose QEMU is to connect there (-qtest unix:SOCKET), does the commands one after the other, each
 * until the disk's status register says that it is done, and has the QEMU end.
 *
 *   write N      WRITE SECTORS, one, the Nth
 *   flush        FLUSH CACHE
 *   cache-on     SET FEATURES 02h
 *   cache-off    SET FEATURES 82h
 *   reset        the machine's reset button
 *   identify     IDENTIFY DEVICE; says whether the write cache is on
 *
 * Prints a line for each. Exit codes: 0 all were done, 1 one was not, 2 usage.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For an answer, and for a command. */
#define DEADLINE_S 30

/* The data port takes two words at a time. */
#define SECTOR_PAIRS 128u

/* The primary channel's registers, as a PC has had them since 1984; and the reset control of the PIIX. */
#define PORT_DATA     0x1f0u
#define PORT_FEATURES 0x1f1u
#define PORT_COUNT    0x1f2u
#define PORT_LBA      0x1f3u /* and the next two */
#define PORT_DEVICE   0x1f6u
#define PORT_COMMAND  0x1f7u /* written; read it is the status */
#define PORT_RESET    0xcf9u

#define DEVICE_0_LBA 0xe0u

#define STATUS_BUSY  0x80u
#define STATUS_READY 0x40u
#define STATUS_FAULT 0x20u
#define STATUS_DATA  0x08u
#define STATUS_ERROR 0x01u

#define COMMAND_WRITE        0x30u
#define COMMAND_FLUSH        0xe7u
#define COMMAND_IDENTIFY     0xecu
#define COMMAND_SET_FEATURES 0xefu

#define WORD_ENABLED  85u
#define ENABLED_CACHE 0x20u

struct machine {
	int fd;     /* qtest's; -1 */
	FILE *from; /* the same, by lines */
	pid_t qemu; /* who is connected there: PROGRAM, or a child of its */
};

static int complain(const char *what)
{
	(void)fprintf(stderr, "ide-disk: %s: %s\n", what, strerror(errno));
	return -1;
}

/* ---- one line there, one back ---- */

static int hear(struct machine *m, unsigned *ret_value)
{
	char line[256];

	do {
		if (!fgets(line, sizeof(line), m->from))
			return complain("QEMU does not answer");
	} while (strncmp(line, "IRQ ", 4) == 0);
	if (strncmp(line, "OK", 2) != 0) {
		(void)fprintf(stderr, "ide-disk: QEMU answers %s", line);
		return -1;
	}
	if (ret_value)
		*ret_value = (unsigned)strtoul(line + 2, NULL, 16);
	return 0;
}

static int tell(const struct machine *m, const char *text, size_t length)
{
	return send(m->fd, text, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : complain("send");
}

static int ask(struct machine *m, unsigned *ret_value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int ask(struct machine *m, unsigned *ret_value, const char *fmt, ...)
{
	char line[64];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (tell(m, line, (size_t)n))
		return -1;
	return hear(m, ret_value);
}

static int out(struct machine *m, unsigned port, unsigned value)
{
	return ask(m, NULL, "outb 0x%x 0x%02x\n", port, value);
}

/* A sector in one go: a process that is traced answers slowly. */
static int move_sector(struct machine *m, const char *line, uint32_t *pairs)
{
	char text[SECTOR_PAIRS * 32];
	size_t length = 0;

	for (unsigned i = 0; i < SECTOR_PAIRS; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\n", line);
	if (tell(m, text, length))
		return -1;
	for (unsigned i = 0; i < SECTOR_PAIRS; i++) {
		unsigned value;

		if (hear(m, &value))
			return -1;
		if (pairs)
			pairs[i] = value;
	}
	return 0;
}

/* ---- the disk ---- */

static time_t now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Until it is no longer busy; then the data bit is as @with_data has it, and nothing failed. */
static int await(struct machine *m, bool with_data)
{
	unsigned wanted = STATUS_READY | (with_data ? STATUS_DATA : 0);
	unsigned status = STATUS_BUSY;
	time_t end_s = now_s() + DEADLINE_S;

	while (status & STATUS_BUSY && now_s() < end_s)
		if (ask(m, &status, "inb 0x%x\n", PORT_COMMAND))
			return -1;
	if ((status & (STATUS_BUSY | STATUS_READY | STATUS_FAULT | STATUS_DATA | STATUS_ERROR)) ==
		wanted)
		return 0;
	(void)fprintf(stderr, "ide-disk: the disk's status is %02x\n", status);
	return -1;
}

static int command(struct machine *m, unsigned code)
{
	return out(m, PORT_DEVICE, DEVICE_0_LBA) || out(m, PORT_COMMAND, code) ? -1 : 0;
}

static int do_write(struct machine *m, unsigned sector)
{
	if (out(m, PORT_COUNT, 1) || out(m, PORT_LBA, sector) || out(m, PORT_LBA + 1, 0) ||
		out(m, PORT_LBA + 2, 0) || command(m, COMMAND_WRITE) || await(m, true) ||
		move_sector(m, "outl 0x1f0 0x5aa55aa5", NULL))
		return -1;
	return await(m, false);
}

static int do_flush(struct machine *m, unsigned ignored)
{
	(void)ignored;
	return command(m, COMMAND_FLUSH) ? -1 : await(m, false);
}

static int do_set_features(struct machine *m, unsigned feature)
{
	return out(m, PORT_FEATURES, feature) || command(m, COMMAND_SET_FEATURES) ? -1
										  : await(m, false);
}

static int do_reset(struct machine *m, unsigned ignored)
{
	(void)ignored;
	return out(m, PORT_RESET, 0x06) ? -1 : await(m, false);
}

static int do_identify(struct machine *m, unsigned ignored)
{
	uint32_t pairs[SECTOR_PAIRS];
	uint32_t enabled;

	(void)ignored;
	if (command(m, COMMAND_IDENTIFY) || await(m, true) || move_sector(m, "inl 0x1f0", pairs))
		return -1;
	enabled = pairs[WORD_ENABLED / 2] >> WORD_ENABLED % 2 * 16;
	(void)printf("write cache %s\n", enabled & ENABLED_CACHE ? "on" : "off");
	return await(m, false);
}

static const struct act {
	const char *name;
	bool has_number;
	unsigned number; /* if it has none */
	int (*run)(struct machine *m, unsigned number);
} acts[] = {
	{"write", true, 0, do_write},
	{"flush", false, 0, do_flush},
	{"cache-on", false, 0x02, do_set_features},
	{"cache-off", false, 0x82, do_set_features},
	{"reset", false, 0, do_reset},
	{"identify", false, 0, do_identify},
};

static const struct act *find_act(const char *name)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(acts[i].name, name) == 0)
			return &acts[i];
	return NULL;
}

/* All of @words, which end with "--". 2: there is no such command. */
static int play(struct machine *m, char **words)
{
	for (; strcmp(*words, "--") != 0; words++) {
		const struct act *act = find_act(*words);
		unsigned number = act ? act->number : 0;

		if (!act)
			return 2;
		if (act->has_number)
			number = (unsigned)strtoul(*++words, NULL, 10);
		if (act->run(m, number)) {
			(void)fprintf(stderr, "ide-disk: '%s' failed\n", act->name);
			return 1;
		}
	}
	return 0;
}

/* ---- the machine ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 1) < 0) {
		(void)complain(path);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

static pid_t start(char **program)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execvp(program[0], program);
		(void)complain(program[0]);
		_exit(127);
	}
	return pid;
}

/* -1 if @child ends before its QEMU has come. */
static int meet(struct machine *m, int listener, pid_t child)
{
	struct timeval patience = {.tv_sec = DEADLINE_S};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct pollfd polled[2] = {{.fd = listener, .events = POLLIN}, {.events = POLLIN}};
	int n;

	polled[1].fd = (int)syscall(SYS_pidfd_open, child, 0);
	n = poll(polled, 2, DEADLINE_S * 1000);
	if (polled[1].fd >= 0)
		(void)close(polled[1].fd);
	if (n <= 0 || !(polled[0].revents & POLLIN)) {
		(void)fprintf(stderr, "ide-disk: no QEMU has come\n");
		return -1;
	}
	m->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (m->fd < 0 || getsockopt(m->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return complain("the connection");
	m->qemu = peer.pid;
	m->from = fdopen(m->fd, "r");
	return m->from ? 0 : complain("the connection");
}

int main(int argc, char **argv)
{
	struct machine m = {.fd = -1, .qemu = -1};
	char **program = argv + 2;
	int listener, result = 1;
	pid_t child;

	while (program < argv + argc && strcmp(*program, "--") != 0)
		program++;
	if (argc < 3 || program + 1 >= argv + argc)
		return 2;
	listener = listen_at(argv[1]);
	if (listener < 0)
		return 1;
	child = start(program + 1);
	if (child < 0)
		return complain("fork") ? 1 : 0;
	if (meet(&m, listener, child) == 0)
		result = play(&m, argv + 2);
	/* One that has not come is PROGRAM, or below it. */
	(void)kill(m.qemu > 0 ? m.qemu : child, SIGTERM);
	(void)waitpid(child, NULL, 0);
	if (m.from)
		(void)fclose(m.from);
	(void)close(listener);
	return result;
}
