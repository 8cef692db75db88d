/*
 * recordfs - a storage that writes down what reaches it, and does each thing only when told.
 *
 *   recordfs MOUNTPOINT SIZE        mounts a file system with one file, MOUNTPOINT/image, of SIZE bytes
 *
 * Commands come on standard input, a line each; each answer is one line on standard output:
 *
 *   hold KIND              from now on operations of that kind wait (KIND: read, write, sync)
 *   pass KIND              no more; those that wait are done
 *   one KIND               the oldest that waits is done           -> ok | none
 *   any RANDOM             one of all that wait, by that number    -> ok | none
 *   fail KIND ERRNO COUNT  the next COUNT of that kind fail when they are done
 *   await KIND COUNT MS    until so many have arrived, ever        -> ok | late
 *   held KIND              how many wait                           -> a number
 *   mark WORD...           write a line into the record
 *   log                    the record, ended by a line "."
 *
 * The record: begin write|read NUMBER OFFSET LENGTH FIRST, begin sync NUMBER, end KIND NUMBER ERRNO, mark ...
 * FIRST is the first eight bytes as a number: who wrote. Several requests may share a write: each block of 4096 bytes is
 * recorded, counted and numbered by itself, and all of them are held and done together. One thread takes requests from the kernel
 * and commands from standard input, the kernel first: the record is one order of all events, and
 * what the kernel had when a command was sent is in it. Ends, unmounting, with standard input.
 *
 * What FUSE cannot show: the kernel holds the inode's lock during an fsync, so that a write submitted
 * meanwhile waits in io_submit. Holding a sync therefore stalls whoever lets a write pass it.
 */
#define FUSE_USE_VERSION 34

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>

#define BLOCK       4096u
#define IMAGE_INODE 2
#define MAX_WAITING 256
#define MAX_RECORD  (16u << 20)

/* Linux 6.2; an older kernel ignores it, and lets one direct write in at a time. */
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

enum kind {
	KIND_READ,
	KIND_WRITE,
	KIND_SYNC,
	KIND_COUNT,
};

static const char *const kind_names[KIND_COUNT] = {"read", "write", "sync"};

struct operation {
	fuse_req_t req;
	enum kind kind;
	unsigned number;    /* of its first block */
	unsigned nr_blocks; /* 1 for a sync */
	uint64_t offset;
	size_t length;
	uint8_t *data; /* of a write */
};

/* Of one kind. */
struct rule {
	bool hold;
	int error;
	unsigned nr_errors;
	unsigned nr_begun;
};

/* An await command that is not answered yet. */
struct waiting {
	bool active;
	enum kind kind;
	unsigned count;
	int64_t deadline_ms;
};

static struct {
	uint8_t *image;
	uint64_t size;
	struct rule rule[KIND_COUNT];
	struct operation held[MAX_WAITING]; /* oldest first */
	unsigned nr_held;
	struct waiting await;
	char *record;
	size_t record_size;
} fs;

/* ---- the record ------------------------------------------------------------------------------ */

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t room = MAX_RECORD - fs.record_size;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(fs.record + fs.record_size, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		(void)fprintf(stderr, "recordfs: the record is full\n");
		exit(1);
	}
	fs.record_size += (size_t)n;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- operations: they arrive, wait if they are to, are done ---------------------------------- */

static int due_error(enum kind kind)
{
	struct rule *rule = &fs.rule[kind];

	if (rule->nr_errors == 0)
		return 0;
	rule->nr_errors--;
	return rule->error;
}

static void finish(struct operation *op)
{
	int error = due_error(op->kind);

	for (unsigned i = 0; i < op->nr_blocks; i++)
		note("end %s %u %d\n", kind_names[op->kind], op->number + i, error);
	if (error) {
		(void)fuse_reply_err(op->req, error);
	} else if (op->kind == KIND_READ) {
		(void)fuse_reply_buf(op->req, (const char *)fs.image + op->offset, op->length);
	} else if (op->kind == KIND_WRITE) {
		memcpy(fs.image + op->offset, op->data, op->length);
		(void)fuse_reply_write(op->req, op->length);
	} else {
		(void)fuse_reply_err(op->req, 0);
	}
	free(op->data);
}

static void note_block(const struct operation *op, unsigned i)
{
	size_t at = (size_t)i * BLOCK, length = op->length - at < BLOCK ? op->length - at : BLOCK;
	uint64_t first = 0;

	if (op->data && length >= sizeof(first))
		memcpy(&first, op->data + at, sizeof(first));
	note("begin %s %u %" PRIu64 " %zu %" PRIu64 "\n", kind_names[op->kind], op->number + i,
		op->offset + at, length, first);
}

/* Takes over @op->data. */
static void arrive(struct operation *op)
{
	struct rule *rule = &fs.rule[op->kind];

	op->nr_blocks = op->length > BLOCK ? (unsigned)((op->length - 1) / BLOCK) + 1 : 1;
	op->number = rule->nr_begun + 1;
	rule->nr_begun += op->nr_blocks;
	if (op->kind == KIND_SYNC)
		note("begin sync %u\n", op->number);
	else
		for (unsigned i = 0; i < op->nr_blocks; i++)
			note_block(op, i);
	if (!rule->hold) {
		finish(op);
		return;
	}
	if (fs.nr_held == MAX_WAITING) {
		(void)fprintf(stderr, "recordfs: too many operations are held\n");
		exit(1);
	}
	fs.held[fs.nr_held++] = *op;
}

static void let_go(unsigned index)
{
	struct operation op = fs.held[index];

	fs.nr_held--;
	memmove(&fs.held[index], &fs.held[index + 1], (fs.nr_held - index) * sizeof(op));
	finish(&op);
}

static bool let_go_oldest(enum kind kind)
{
	for (unsigned i = 0; i < fs.nr_held; i++)
		if (fs.held[i].kind == kind) {
			let_go(i);
			return true;
		}
	return false;
}

/* ---- what the kernel asks -------------------------------------------------------------------- */

static void on_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	/* Or io_submit would wait for a free place among twelve. */
	conn->max_background = MAX_WAITING;
	conn->congestion_threshold = MAX_WAITING;
}

static bool fill_attr(fuse_ino_t inode, struct stat *ret_st)
{
	*ret_st = (struct stat){.st_ino = inode, .st_nlink = 1};
	if (inode == FUSE_ROOT_ID) {
		ret_st->st_mode = S_IFDIR | 0755;
		return true;
	}
	ret_st->st_mode = S_IFREG | 0666;
	ret_st->st_size = (off_t)fs.size;
	return inode == IMAGE_INODE;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.ino = IMAGE_INODE, .attr_timeout = 3600, .entry_timeout = 3600};

	if (parent != FUSE_ROOT_ID || strcmp(name, "image") != 0) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	(void)fill_attr(IMAGE_INODE, &entry.attr);
	(void)fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct stat st;

	(void)info;
	if (fill_attr(inode, &st))
		(void)fuse_reply_attr(req, &st, 3600);
	else
		(void)fuse_reply_err(req, ENOENT);
}

/* Answered as raw bytes: Debian 12's libfuse has no name for parallel direct writes. */
static void on_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};

	(void)inode;
	(void)info;
	(void)fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void on_read(
	fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct operation op = {.req = req, .kind = KIND_READ, .offset = (uint64_t)offset};

	(void)inode;
	(void)info;
	if (op.offset < fs.size)
		op.length = size < fs.size - op.offset ? size : fs.size - op.offset;
	arrive(&op);
}

static void on_write(fuse_req_t req, fuse_ino_t inode, const char *data, size_t size, off_t offset,
	struct fuse_file_info *info)
{
	struct operation op = {
		.req = req, .kind = KIND_WRITE, .offset = (uint64_t)offset, .length = size};

	(void)inode;
	(void)info;
	if (op.offset > fs.size || size > fs.size - op.offset) {
		(void)fuse_reply_err(req, ENOSPC);
		return;
	}
	op.data = malloc(size);
	if (op.data == NULL) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	memcpy(op.data, data, size);
	arrive(&op);
}

static void on_fsync(fuse_req_t req, fuse_ino_t inode, int datasync, struct fuse_file_info *info)
{
	struct operation op = {.req = req, .kind = KIND_SYNC};

	(void)inode;
	(void)datasync;
	(void)info;
	arrive(&op);
}

static const struct fuse_lowlevel_ops operations = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
};

/* ---- what the test asks ---------------------------------------------------------------------- */

static void answer(const char *text)
{
	(void)puts(text);
	(void)fflush(stdout);
}

static void check_await(void)
{
	struct waiting *await = &fs.await;

	if (!await->active)
		return;
	if (fs.rule[await->kind].nr_begun >= await->count) {
		await->active = false;
		answer("ok");
	} else if (now_ms() >= await->deadline_ms) {
		await->active = false;
		answer("late");
	}
}

static void pass(enum kind kind)
{
	fs.rule[kind].hold = false;
	while (let_go_oldest(kind))
		;
	answer("ok");
}

static void let_go_any(unsigned long random)
{
	if (fs.nr_held == 0) {
		answer("none");
		return;
	}
	let_go((unsigned)(random % fs.nr_held));
	answer("ok");
}

static void tell_held(enum kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fs.nr_held; i++)
		n += fs.held[i].kind == kind;
	(void)printf("%u\n", n);
	(void)fflush(stdout);
}

static bool command_about(enum kind kind, const char *verb, unsigned long a, unsigned long b)
{
	struct rule *rule = &fs.rule[kind];

	if (strcmp(verb, "hold") == 0) {
		rule->hold = true;
		answer("ok");
	} else if (strcmp(verb, "pass") == 0) {
		pass(kind);
	} else if (strcmp(verb, "one") == 0) {
		answer(let_go_oldest(kind) ? "ok" : "none");
	} else if (strcmp(verb, "held") == 0) {
		tell_held(kind);
	} else if (strcmp(verb, "fail") == 0) {
		rule->error = (int)a;
		rule->nr_errors = (unsigned)b;
		answer("ok");
	} else if (strcmp(verb, "await") == 0) {
		fs.await = (struct waiting){true, kind, (unsigned)a, now_ms() + (int64_t)b};
	} else {
		return false;
	}
	return true;
}

static void command(char *line)
{
	char verb[16] = "", word[16] = "";
	unsigned long a = 0, b = 0;

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "mark ", 5) == 0) {
		note("%s\n", line);
		answer("ok");
		return;
	}
	if (strcmp(line, "log") == 0) {
		(void)fwrite(fs.record, 1, fs.record_size, stdout);
		answer(".");
		return;
	}
	if (sscanf(line, "any %lu", &a) == 1) {
		let_go_any(a);
		return;
	}
	(void)sscanf(line, "%15s %15s %lu %lu", verb, word, &a, &b);
	for (unsigned kind = 0; kind < KIND_COUNT; kind++)
		if (strcmp(word, kind_names[kind]) == 0 && command_about(kind, verb, a, b))
			return;
	answer("what?");
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Everything the kernel has for us. False when it is unmounted. */
static bool serve_kernel(struct fuse_session *se, struct fuse_buf *buf)
{
	for (;;) {
		int n = fuse_session_receive_buf(se, buf);

		if (n == -EAGAIN || n == -EINTR)
			return true;
		if (n <= 0)
			return false;
		fuse_session_process_buf(se, buf);
	}
}

/* Lines are read with read(), not stdio: poll() must see what is left. False at the end. */
static bool serve_commands(void)
{
	static char line[512];
	static size_t n;
	ssize_t got = read(STDIN_FILENO, line + n, sizeof(line) - 1 - n);
	char *end;

	if (got <= 0)
		return false;
	n += (size_t)got;
	line[n] = '\0';
	while ((end = strchr(line, '\n'))) {
		char one[sizeof(line)];
		size_t length = (size_t)(end - line) + 1;

		memcpy(one, line, length);
		one[length] = '\0';
		n -= length;
		memmove(line, line + length, n + 1);
		command(one);
	}
	return n < sizeof(line) - 1;
}

static int timeout_ms(void)
{
	int64_t left = fs.await.deadline_ms - now_ms();

	if (!fs.await.active)
		return -1;
	return left > 0 ? (int)left : 0;
}

static void serve(struct fuse_session *se)
{
	struct pollfd fds[2] = {{.fd = fuse_session_fd(se), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN}};
	struct fuse_buf buf = {0};

	(void)fcntl(fds[0].fd, F_SETFL, fcntl(fds[0].fd, F_GETFL) | O_NONBLOCK);
	for (;;) {
		if (poll(fds, 2, timeout_ms()) < 0 && errno != EINTR)
			break;
		if (!serve_kernel(se, &buf))
			break;
		if ((fds[1].revents & (POLLIN | POLLHUP)) && !serve_commands())
			break;
		check_await();
	}
	free(buf.mem);
}

int main(int argc, char **argv)
{
	char *options[] = {argv[0], NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, options);
	struct fuse_session *se;
	char *end = NULL;

	if (argc == 3)
		fs.size = strtoull(argv[2], &end, 10);
	if (end == NULL || *end || fs.size == 0) {
		(void)fprintf(stderr, "usage: recordfs MOUNTPOINT SIZE\n");
		return 2;
	}
	/* A test that is cut short takes its process group with it: unmount still. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	fs.image = calloc(1, fs.size);
	fs.record = malloc(MAX_RECORD);
	se = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!fs.image || !fs.record || !se || fuse_session_mount(se, argv[1]))
		return 1;
	answer("ready");
	serve(se);
	/* Whoever still waits is told that the storage is gone. */
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	free(fs.record);
	free(fs.image);
	return 0;
}
