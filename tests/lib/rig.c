#include "tests/lib/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xen/io/xenbus.h>
#include <xenstore.h>

#include "tests/lib/judge.h"

/* Reached only by a test that fails. */
#define DEADLINE_MS 60000
/* Of a toolstack's command: it waits for a backend's state and runs a script. */
#define TOOL_DEADLINE_MS 120000

#define DOM0_STORE "RIG_DOM0_STORE"

/* ---- the program ------------------------------------------------------------------------------- */

static void skip_all(const char *why)
{
	(void)printf("1..0 # SKIP %s\n", why);
	exit(0);
}

void rig_enter(char **argv)
{
	const char *store = getenv("XENSTORED_PATH");
	char path[PATH_MAX];
	int fd;

	if (getenv(DOM0_STORE))
		return;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip_all(
			"/dev/fuse cannot be opened: the storage of this test is a FUSE file system");
	(void)close(fd);
	(void)setenv(DOM0_STORE, store ? store : "", 1);
	if (rig_dom0("xensim", "domain-create", "5"))
		exit(1);
	(void)snprintf(path, sizeof(path), "%s/dom5/xenstored", getenv("XENSIM_DIR"));
	(void)setenv("XENSIM_DOMID", "5", 1);
	(void)setenv("XENSTORED_PATH", path, 1);
	(void)execv("/proc/self/exe", argv);
	exit(1);
}

static void become_dom0(void)
{
	const char *store = getenv(DOM0_STORE);

	(void)unsetenv("XENSIM_DOMID");
	if (store)
		(void)setenv("XENSTORED_PATH", store, 1);
}

/*
 * The domain is gone when xenstored has let go of its ring, and that is some time after the toolstack
 * has finished: xenstored says so with @releaseDomain, at shutdown and at the end.
 */
int rig_leave(int nr_failed)
{
	struct pollfd pfd = {.events = POLLIN};
	struct xs_handle *xs;
	unsigned n;
	int r;

	become_dom0();
	xs = xs_open(0);
	if (xs == NULL || !xs_watch(xs, "@releaseDomain", "x"))
		return 1;
	pfd.fd = xs_fileno(xs);
	r = rig_dom0("xensim", "domain-destroy", "5");
	while (r == 0 && rig_dom0("xensim", "counters", "--check")) {
		if (poll(&pfd, 1, DEADLINE_MS) != 1)
			r = 1;
		else
			free(xs_read_watch(xs, &n));
	}
	xs_close(xs);
	return r || nr_failed;
}

/* ---- the toolstack ----------------------------------------------------------------------------- */

pid_t rig_dom0_start(const char **argv)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	become_dom0();
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)execvp(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

int rig_dom0_wait(pid_t child)
{
	struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
	int status;

	if (pfd.fd < 0 || poll(&pfd, 1, TOOL_DEADLINE_MS) != 1)
		(void)kill(child, SIGKILL);
	if (pfd.fd >= 0)
		(void)close(pfd.fd);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int rig_attach(struct rig *rig)
{
	char image[PATH_MAX], script[PATH_MAX + 64], cwd[PATH_MAX];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	(void)snprintf(script, sizeof(script), "--script=%s/tools/block-blkback", cwd);
	(void)snprintf(image, sizeof(image), "%s/mnt/image%s", rig->dir, rig->options);
	return rig_dom0("xensim", "vbd-attach", script, "5", "xvda", image);
}

int rig_detach(struct rig *rig)
{
	(void)rig;
	return rig_dom0("xensim", "vbd-detach", "5", "xvda");
}

static int open_pidfile(const struct rig *rig)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/run/vbd-5-51712.pid", rig->dir);
	return open(path, O_RDONLY | O_CLOEXEC);
}

pid_t rig_worker(const struct rig *rig)
{
	char text[16] = "";
	int fd = open_pidfile(rig);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	(void)close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

void rig_worker_gone(const struct rig *rig, pid_t worker)
{
	struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, worker, 0), .events = POLLIN};

	(void)rig;
	if (pfd.fd < 0 && errno == ESRCH)
		return;
	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	(void)close(pfd.fd);
}

/* ---- the storage ------------------------------------------------------------------------------- */

/* Its next line, which has to come before the deadline. Ours of "await" ends first. */
static void hear(struct rig *rig, char *ret_line, size_t room)
{
	char *end;
	size_t length;

	while ((end = memchr(rig->heard, '\n', rig->nr_heard)) == NULL) {
		struct pollfd pfd = {.fd = rig->from_storage, .events = POLLIN};
		ssize_t n;

		assert_true(rig->nr_heard < sizeof(rig->heard));
		if (poll(&pfd, 1, 2 * DEADLINE_MS) != 1)
			fail_msg("the storage does not answer");
		n = read(rig->from_storage, rig->heard + rig->nr_heard,
			sizeof(rig->heard) - rig->nr_heard);
		assert_true(n > 0);
		rig->nr_heard += (size_t)n;
	}
	length = (size_t)(end - rig->heard) + 1;
	assert_true(length < room);
	memcpy(ret_line, rig->heard, length);
	ret_line[length] = '\0';
	rig->nr_heard -= length;
	memmove(rig->heard, rig->heard + length, rig->nr_heard);
}

static void start_storage(struct rig *rig)
{
	char mount[PATH_MAX], size[16], line[16];
	int to[2], from[2];

	(void)snprintf(mount, sizeof(mount), "%s/mnt", rig->dir);
	(void)snprintf(size, sizeof(size), "%u", RIG_DISK_BYTES);
	assert_int_equal(mkdir(mount, 0700), 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	rig->storage = fork();
	if (rig->storage == 0) {
		(void)dup2(to[0], STDIN_FILENO);
		(void)dup2(from[1], STDOUT_FILENO);
		(void)unsetenv("LD_PRELOAD");
		(void)execlp("recordfs", "recordfs", mount, size, (char *)NULL);
		_exit(127);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	rig->to_storage = to[1];
	rig->from_storage = from[0];
	rig->has_storage = true;
	hear(rig, line, sizeof(line));
	assert_string_equal(line, "ready\n");
}

static void stop_storage(struct rig *rig)
{
	char path[PATH_MAX];

	if (!rig->has_storage)
		return;
	(void)close(rig->to_storage);
	(void)close(rig->from_storage);
	rig->has_storage = false;
	(void)rig_dom0_wait(rig->storage);
	(void)snprintf(path, sizeof(path), "%s/mnt", rig->dir);
	(void)rmdir(path);
}

__attribute__((format(printf, 2, 0))) static void say(
	struct rig *rig, const char *fmt, va_list args)
{
	char line[256];
	int n = vsnprintf(line, sizeof(line) - 1, fmt, args);

	line[n++] = '\n';
	assert_int_equal(write(rig->to_storage, line, (size_t)n), n);
}

__attribute__((format(printf, 4, 5))) static void converse(
	struct rig *rig, char *ret_line, size_t room, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(rig, fmt, args);
	va_end(args);
	hear(rig, ret_line, room);
}

bool rig_tell(struct rig *rig, const char *fmt, ...)
{
	char line[32];
	va_list args;

	va_start(args, fmt);
	say(rig, fmt, args);
	va_end(args);
	hear(rig, line, sizeof(line));
	assert_string_not_equal(line, "what?\n");
	return strcmp(line, "ok\n") == 0;
}

unsigned rig_count(struct rig *rig, const char *what)
{
	char line[32];

	converse(rig, line, sizeof(line), "%s", what);
	return (unsigned)strtoul(line, NULL, 10);
}

void rig_arrived(struct rig *rig, const char *kind, unsigned count)
{
	if (!rig_tell(rig, "await %s %u %d", kind, count, DEADLINE_MS))
		fail_msg("the storage saw no %s number %u", kind, count);
	if (rig_tell(rig, "await %s %u 0", kind, count + 1))
		fail_msg("the storage saw a %s number %u", kind, count + 1);
}

char *rig_record(struct rig *rig)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	char line[512];

	assert_non_null(out);
	converse(rig, line, sizeof(line), "log");
	while (strcmp(line, ".\n") != 0) {
		(void)fputs(line, out);
		hear(rig, line, sizeof(line));
	}
	(void)fclose(out);
	return text;
}

void rig_judge(struct rig *rig)
{
	char *record = rig_record(rig);
	unsigned nr_broken = judge(record);

	if (nr_broken)
		(void)fprintf(stderr, "%s", record);
	free(record);
	assert_int_equal(nr_broken, 0);
}

/* ---- the guest --------------------------------------------------------------------------------- */

void rig_connect(struct rig *rig)
{
	if (blkfront_connect(rig->front))
		fail_msg("%s", blkfront_error(rig->front));
}

void rig_close(struct rig *rig)
{
	if (blkfront_close(rig->front))
		fail_msg("%s", blkfront_error(rig->front));
}

void rig_await_closing(struct rig *rig)
{
	assert_int_equal(blkfront_wait_backend(rig->front, 1u << XenbusStateClosing), 0);
}

void rig_wait(struct rig *rig, int timeout_ms)
{
	int r = blkfront_wait(rig->front, timeout_ms);

	assert_true(r == 0 || r == -ETIMEDOUT);
}

static const char *kind_of(const struct blkfront_request *req)
{
	bool has_data = req->nr_sectors > 0;

	if (req->op == BLKIF_OP_WRITE)
		return "write";
	if (req->op == BLKIF_OP_WRITE_BARRIER)
		return has_data ? "barrier-write" : "barrier";
	return has_data ? "flush-write" : "flush";
}

static void on_done(struct blkfront_request *req)
{
	struct ask *ask = req->opaque;

	ask->answered = true;
	if (ask->serial)
		assert_true(rig_tell(ask->rig, "mark answer %u %d", ask->serial,
			req->error ? req->error : req->status));
}

static void submit(struct rig *rig, struct blkfront_request *req)
{
	assert_int_equal(blkfront_submit(rig->front, req), 0);
	assert_int_equal(blkfront_push(rig->front), 0);
}

void rig_ask(struct rig *rig, struct ask *ask, uint8_t op, uint64_t sector, unsigned nr_sectors)
{
	*ask = (struct ask){.rig = rig};
	ask->req = (struct blkfront_request){.op = op,
		.sector = sector,
		.nr_sectors = nr_sectors,
		.data = ask->data,
		.done = on_done,
		.opaque = ask};
	if (op != BLKIF_OP_READ) {
		ask->serial = ++rig->nr_asked;
		ask->data[0] = ask->serial;
		assert_true(rig_tell(rig, "mark ask %u %s", ask->serial, kind_of(&ask->req)));
	}
	submit(rig, &ask->req);
}

void rig_write(struct rig *rig, struct ask *ask, unsigned block)
{
	rig_ask(rig, ask, BLKIF_OP_WRITE, (uint64_t)block * RIG_BLOCK, RIG_BLOCK);
}

void rig_flush(struct rig *rig, struct ask *ask)
{
	rig_ask(rig, ask, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
}

void rig_barrier(struct rig *rig, struct ask *ask)
{
	rig_ask(rig, ask, BLKIF_OP_WRITE_BARRIER, RIG_NO_SECTOR, 0);
}

void rig_barrier_write(struct rig *rig, struct ask *ask, unsigned block)
{
	rig_ask(rig, ask, BLKIF_OP_WRITE_BARRIER, (uint64_t)block * RIG_BLOCK, RIG_BLOCK);
}

struct rig_deadline rig_deadline(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct rig_deadline){.s = now.tv_sec + DEADLINE_MS / 1000};
}

void rig_in_time(struct rig_deadline deadline)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > deadline.s)
		fail_msg("nothing has come of it in %d s", DEADLINE_MS / 1000);
}

int rig_status(struct ask *ask)
{
	struct blkfront *front = ask->rig->front;

	assert_int_equal(blkfront_reap(front), 0);
	while (!ask->answered) {
		if (blkfront_wait(front, DEADLINE_MS))
			fail_msg("request %u (%s) is not answered: %s", ask->serial,
				ask->serial ? kind_of(&ask->req) : "read", blkfront_error(front));
		assert_int_equal(blkfront_reap(front), 0);
	}
	assert_int_equal(ask->req.error, 0);
	assert_true(ask->req.padding_is_zero);
	return ask->req.status;
}

bool rig_answered(struct ask *ask)
{
	assert_int_equal(blkfront_reap(ask->rig->front), 0);
	return ask->answered;
}

void rig_settle(struct rig *rig)
{
	struct ask ask;

	for (unsigned i = 0; i < 10; i++) {
		rig_ask(rig, &ask, BLKIF_OP_READ, 0, RIG_BLOCK);
		assert_int_equal(rig_status(&ask), BLKIF_RSP_OKAY);
	}
}

/* ---- each test --------------------------------------------------------------------------------- */

int rig_setup(void **state)
{
	return rig_setup_with(state, "");
}

int rig_setup_with(void **state, const char *disk_options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const char *tmp = getenv("TMPDIR");
	struct blkfront_options options;
	char run[PATH_MAX];

	assert_non_null(rig);
	*state = rig;
	rig->options = disk_options;
	(void)snprintf(rig->dir, sizeof(rig->dir), "%s/rig.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(rig->dir));
	(void)snprintf(run, sizeof(run), "%s/run", rig->dir);
	(void)setenv("BLKBACK_RUNDIR", run, 1);
	start_storage(rig);
	assert_int_equal(rig_attach(rig), 0);
	blkfront_options_init(&options);
	options.timeout_ms = DEADLINE_MS;
	assert_int_equal(blkfront_create(&options, &rig->front, NULL), 0);
	rig_connect(rig);
	return 0;
}

/* A test that failed leaves things held: let go first. */
int rig_teardown(void **state)
{
	struct rig *rig = *state;
	int r = 0;

	(void)rig_tell(rig, "pass write");
	(void)rig_tell(rig, "pass sync");
	(void)rig_tell(rig, "pass read");
	if (blkfront_is_connected(rig->front)) {
		while (r == 0 && blkfront_outstanding(rig->front) > 0) {
			r = blkfront_wait(rig->front, DEADLINE_MS);
			if (r == 0)
				r = blkfront_reap(rig->front);
		}
		r |= blkfront_close(rig->front);
	}
	blkfront_destroy(rig->front);
	if (rig_dom0("xenstore-exists", RIG_BACKEND) == 0)
		r |= rig_detach(rig);
	stop_storage(rig);
	(void)rig_dom0("rm", "-rf", rig->dir);
	free(rig);
	return r;
}
