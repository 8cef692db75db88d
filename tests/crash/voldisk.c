/*
 * voldisk - a disk with a volatile cache, as a file system with one file; what a power cut would leave of it follows from the
 * journal it writes.
 *
 *   voldisk MOUNTPOINT SIZE JOURNAL CLOCK [--OPTION=VALUE]...
 *
 * It records every write, flush and discard with a number of CLOCK (ticks.h) at its start, before anything of it can be on the
 * media, and at its end, before whoever asked can know of it. JOURNAL is written at the end; its format is in crash_log.h.
 *
 * What others than crash-guest write is no stamp: --data=FILE keeps the data of all writes, one behind the other by their numbers,
 * for crash-image.
 *
 * It keeps operations back, by a seed: a few are always pending, and it is a random one that ends. Flushes like to stay
 * for longest, so that what must not happen before their end has time to happen. When nothing comes any more, what
 * is pending ends one by one; there is no other use of time.
 *
 * Commands on standard input, a line each, are answered by "ok" or "what?"; its end unmounts:
 *   hold KIND | pass KIND          from now on those stay pending; no more (KIND: read, write, flush, discard)
 *   fail KIND NTH ERRNO            the NTH from now on fails
 *   forgive KIND                   what was to fail does not
 *   count KIND                     how many of them have begun, a number instead of "ok"
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
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <fuse3/fuse_lowlevel.h>
#include <linux/falloc.h>
#include <linux/fuse.h>

#include "tests/crash/stamp.h"
#include "tests/crash/ticks.h"
#include "tests/lib/dice.h"

#define IMAGE_INODE  2
#define MAX_PENDING  4096
#define MAX_FAILURES 16
/* Nothing has come for so long: something ends. */
#define PATIENCE_NS 250000

/* Linux 6.2; an older kernel ignores it, and lets one direct write in at a time. */
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

enum kind {
	KIND_READ,
	KIND_WRITE,
	KIND_FLUSH,
	KIND_DISCARD,
	KIND_COUNT,
};

static const char *const kind_names[KIND_COUNT] = {"read", "write", "flush", "discard"};

struct operation {
	fuse_req_t req;
	enum kind kind;
	unsigned number;
	unsigned patience; /* of a flush: so many times it is passed over */
	int error;
	uint64_t offset;
	uint64_t length;
	uint8_t *data; /* of a write */
};

/* The one that makes .left 0 fails. */
struct failure {
	enum kind kind;
	unsigned left;
	int error;
};

static struct {
	uint8_t *image;
	uint64_t size;
	FILE *journal, *data;
	struct ticks ticks;
	struct dice dice;
	unsigned depth, patience; /* operations kept back, at most; how often a flush is */
	bool page_cache;
	unsigned one_in[KIND_COUNT]; /* fails, 0 for none */

	unsigned limit; /* operations kept back now */
	unsigned nr_begun[KIND_COUNT], nr_numbers;
	bool hold[KIND_COUNT];
	struct failure failure[MAX_FAILURES];
	unsigned nr_failures;
	struct operation pending[MAX_PENDING];
	unsigned nr_pending;
} vd = {.depth = 8, .patience = 6};

/* ---- the journal ------------------------------------------------------------------------------ */

static void note_start(const struct operation *op, bool fua)
{
	if (op->kind == KIND_READ)
		return;
	(void)fprintf(vd.journal, "%" PRIu64 " %s %u", ticks_take(&vd.ticks), kind_names[op->kind],
		op->number);
	if (op->kind != KIND_FLUSH)
		(void)fprintf(vd.journal, " %" PRIu64 " %" PRIu64, op->offset / STAMP_SECTOR,
			op->length / STAMP_SECTOR);
	if (op->kind == KIND_WRITE) {
		(void)fputs(fua ? " fua" : " volatile", vd.journal);
		stamps_print(
			vd.journal, op->offset / STAMP_SECTOR, op->length / STAMP_SECTOR, op->data);
	}
	(void)fputc('\n', vd.journal);
}

static void note_end(const struct operation *op)
{
	if (op->kind != KIND_READ)
		(void)fprintf(vd.journal, "%" PRIu64 " end %u %d\n", ticks_take(&vd.ticks),
			op->number, op->error);
}

/* ---- operations: they arrive, stay for a while, end ------------------------------------------- */

static int due_error(enum kind kind)
{
	for (unsigned i = 0; i < vd.nr_failures; i++) {
		struct failure *failure = &vd.failure[i];

		if (failure->kind == kind && failure->left > 0 && --failure->left == 0)
			return failure->error;
	}
	return vd.one_in[kind] && dice_one_in(&vd.dice, vd.one_in[kind]) ? EIO : 0;
}

/* Of a write that fails any sectors may get there. */
static void put_data(const struct operation *op)
{
	for (uint64_t at = 0; at < op->length; at += STAMP_SECTOR)
		if (!op->error || dice_one_in(&vd.dice, 2))
			memcpy(vd.image + op->offset + at, op->data + at, STAMP_SECTOR);
}

static void finish(unsigned index)
{
	struct operation op = vd.pending[index];

	vd.pending[index] = vd.pending[--vd.nr_pending];
	if (op.kind == KIND_WRITE)
		put_data(&op);
	else if (op.kind == KIND_DISCARD && !op.error && op.offset < vd.size)
		memset(vd.image + op.offset, 0, op.length);
	note_end(&op);
	if (op.error)
		(void)fuse_reply_err(op.req, op.error);
	else if (op.kind == KIND_READ)
		(void)fuse_reply_buf(op.req, (const char *)vd.image + op.offset, op.length);
	else if (op.kind == KIND_WRITE)
		(void)fuse_reply_write(op.req, op.length);
	else
		(void)fuse_reply_err(op.req, 0);
	free(op.data);
}

/* Takes over @op->data. */
static void arrive(struct operation *op, bool fua)
{
	if (vd.nr_pending == MAX_PENDING) {
		(void)fprintf(stderr, "voldisk: too many operations are pending\n");
		exit(1);
	}
	vd.nr_begun[op->kind]++;
	op->number = ++vd.nr_numbers;
	op->error = due_error(op->kind);
	if (op->kind == KIND_FLUSH)
		op->patience = (unsigned)dice_below(&vd.dice, vd.patience + 1u);
	note_start(op, fua);
	if (op->kind == KIND_WRITE && vd.data)
		(void)fwrite(op->data, 1, op->length, vd.data);
	vd.pending[vd.nr_pending++] = *op;
}

static unsigned nr_free(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vd.nr_pending; i++)
		n += !vd.hold[vd.pending[i].kind];
	return n;
}

/* End a random one that may. A flush is passed over as long as it has patience. */
static void end_one(void)
{
	unsigned nth = (unsigned)dice_below(&vd.dice, nr_free());

	for (unsigned i = 0; i < vd.nr_pending; i++) {
		struct operation *op = &vd.pending[i];

		if (vd.hold[op->kind] || nth-- > 0)
			continue;
		if (op->patience > 0)
			op->patience--;
		else
			finish(i);
		return;
	}
}

static void schedule(bool nothing_came)
{
	if (nothing_came && nr_free() > 0)
		end_one();
	while (nr_free() > vd.limit)
		end_one();
	if (dice_one_in(&vd.dice, 16))
		vd.limit = (unsigned)dice_below(&vd.dice, vd.depth + 1u);
}

/* ---- what the kernel asks --------------------------------------------------------------------- */

static void on_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	/* Or io_submit would wait for a free place among twelve. */
	conn->max_background = MAX_PENDING;
	conn->congestion_threshold = MAX_PENDING;
	if (vd.page_cache)
		conn->want |= FUSE_CAP_WRITEBACK_CACHE & conn->capable;
}

static bool fill_attr(fuse_ino_t inode, struct stat *ret_st)
{
	*ret_st = (struct stat){.st_ino = inode, .st_nlink = 1};
	if (inode == FUSE_ROOT_ID) {
		ret_st->st_mode = S_IFDIR | 0755;
		return true;
	}
	ret_st->st_mode = S_IFREG | 0666;
	ret_st->st_size = (off_t)vd.size;
	ret_st->st_blksize = STAMP_SECTOR;
	ret_st->st_blocks = (blkcnt_t)(vd.size / STAMP_SECTOR);
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

/* Times may be set, the size may not. */
static void on_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *attr, int to_set,
	struct fuse_file_info *info)
{
	if (to_set & FUSE_SET_ATTR_SIZE && (uint64_t)attr->st_size != vd.size)
		(void)fuse_reply_err(req, EPERM);
	else
		on_getattr(req, inode, info);
}

static void on_statfs(fuse_req_t req, fuse_ino_t inode)
{
	struct statvfs st = {.f_bsize = STAMP_SECTOR,
		.f_frsize = STAMP_SECTOR,
		.f_blocks = vd.size / STAMP_SECTOR,
		.f_namemax = 255};

	(void)inode;
	(void)fuse_reply_statfs(req, &st);
}

/* Answered as raw bytes: Debian 12's libfuse has no name for parallel direct writes. */
static void on_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};

	(void)inode;
	if (vd.page_cache)
		out.open_flags = FOPEN_KEEP_CACHE |
				 (info->flags & O_DIRECT ? FOPEN_PARALLEL_DIRECT_WRITES : 0u);
	(void)fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void on_read(
	fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct operation op = {.req = req, .kind = KIND_READ, .offset = (uint64_t)offset};

	(void)inode;
	(void)info;
	if (op.offset < vd.size)
		op.length = size < vd.size - op.offset ? size : vd.size - op.offset;
	arrive(&op, false);
}

static void on_write(fuse_req_t req, fuse_ino_t inode, const char *data, size_t size, off_t offset,
	struct fuse_file_info *info)
{
	struct operation op = {
		.req = req, .kind = KIND_WRITE, .offset = (uint64_t)offset, .length = size};

	(void)inode;
	if (op.offset > vd.size || size > vd.size - op.offset) {
		(void)fuse_reply_err(req, ENOSPC);
		return;
	}
	if (op.offset % STAMP_SECTOR || size % STAMP_SECTOR) {
		(void)fuse_reply_err(req, EINVAL);
		return;
	}
	op.data = malloc(size);
	if (op.data == NULL) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	memcpy(op.data, data, size);
	arrive(&op, (info->flags & O_DSYNC) != 0);
}

static void on_fsync(fuse_req_t req, fuse_ino_t inode, int datasync, struct fuse_file_info *info)
{
	struct operation op = {.req = req, .kind = KIND_FLUSH};

	(void)datasync;
	(void)info;
	if (inode == IMAGE_INODE)
		arrive(&op, false);
	else
		(void)fuse_reply_err(req, 0);
}

/* A hole behind the end is what tries whether holes can be made. */
static void on_fallocate(fuse_req_t req, fuse_ino_t inode, int mode, off_t offset, off_t length,
	struct fuse_file_info *info)
{
	struct operation op = {.req = req, .kind = KIND_DISCARD, .offset = (uint64_t)offset};

	(void)inode;
	(void)info;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
		(void)fuse_reply_err(req, EOPNOTSUPP);
	} else if (op.offset >= vd.size) {
		(void)fuse_reply_err(req, 0);
	} else if (op.offset % STAMP_SECTOR || length % STAMP_SECTOR) {
		(void)fuse_reply_err(req, EINVAL);
	} else {
		op.length = (uint64_t)length;
		if (op.length > vd.size - op.offset)
			op.length = vd.size - op.offset;
		arrive(&op, false);
	}
}

static const struct fuse_lowlevel_ops operations = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.statfs = on_statfs,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.fallocate = on_fallocate,
};

/* ---- what the test asks ----------------------------------------------------------------------- */

static void answer(const char *text)
{
	(void)puts(text);
	(void)fflush(stdout);
}

static bool kind_of(const char *word, enum kind *ret_kind)
{
	for (unsigned kind = 0; kind < KIND_COUNT; kind++)
		if (strcmp(word, kind_names[kind]) == 0) {
			*ret_kind = (enum kind)kind;
			return true;
		}
	return false;
}

static bool add_failure(enum kind kind, unsigned nth, int error)
{
	struct failure *place = vd.failure;

	while (place < vd.failure + vd.nr_failures && place->left > 0)
		place++;
	if (place == vd.failure + MAX_FAILURES || nth == 0)
		return false;
	if (place == vd.failure + vd.nr_failures)
		vd.nr_failures++;
	*place = (struct failure){kind, nth, error};
	return true;
}

static void command(const char *line)
{
	char verb[16] = "", word[16] = "";
	unsigned a = 0, b = 0;
	enum kind kind;

	if (sscanf(line, "%15s %15s %u %u", verb, word, &a, &b) < 2 || !kind_of(word, &kind)) {
		answer("what?");
	} else if (strcmp(verb, "hold") == 0 || strcmp(verb, "pass") == 0) {
		vd.hold[kind] = verb[0] == 'h';
		answer("ok");
	} else if (strcmp(verb, "fail") == 0) {
		answer(add_failure(kind, a, (int)b) ? "ok" : "what?");
	} else if (strcmp(verb, "forgive") == 0) {
		for (unsigned i = 0; i < vd.nr_failures; i++)
			if (vd.failure[i].kind == kind)
				vd.failure[i].left = 0;
		answer("ok");
	} else if (strcmp(verb, "count") == 0) {
		(void)printf("%u\n", vd.nr_begun[kind]);
		(void)fflush(stdout);
	} else {
		answer("what?");
	}
}

/* Lines are read with read(), not stdio: poll() must see what is left. False at the end. */
static bool serve_commands(void)
{
	static char text[512];
	static size_t n;
	ssize_t got = read(STDIN_FILENO, text + n, sizeof(text) - 1 - n);
	char *end;

	if (got <= 0)
		return false;
	n += (size_t)got;
	text[n] = '\0';
	while ((end = strchr(text, '\n'))) {
		size_t length = (size_t)(end - text) + 1;

		*end = '\0';
		command(text);
		n -= length;
		memmove(text, text + length, n + 1);
	}
	return n < sizeof(text) - 1;
}

/* ---- the loop --------------------------------------------------------------------------------- */

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

static void serve(struct fuse_session *se)
{
	static const struct timespec patience = {.tv_nsec = PATIENCE_NS};
	struct pollfd fds[2] = {{.fd = fuse_session_fd(se), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN}};
	struct fuse_buf buf = {0};

	(void)fcntl(fds[0].fd, F_SETFL, fcntl(fds[0].fd, F_GETFL) | O_NONBLOCK);
	for (;;) {
		int n = ppoll(fds, 2, nr_free() > 0 ? &patience : NULL, NULL);

		if (n < 0 && errno != EINTR)
			break;
		if (!serve_kernel(se, &buf))
			break;
		if (n > 0 && (fds[1].revents & (POLLIN | POLLHUP)) && !serve_commands())
			break;
		schedule(n == 0);
	}
	free(buf.mem);
	while (vd.nr_pending > 0)
		finish(0);
}

/* ---- the program ------------------------------------------------------------------------------ */

static const char help[] =
	"usage: voldisk MOUNTPOINT SIZE JOURNAL CLOCK [--OPTION=VALUE]...\n"
	"seed=N                 of the order of ends, and of errors (default 1)\n"
	"depth=N                operations kept back, at most (default 8; 0: all end at once)\n"
	"patience=N             how often a flush is passed over, at most (default 6)\n"
	"fail=KIND:NTH:ERRNO    that one fails\n"
	"errors=KIND:N          one in N fails (EIO)\n"
	"data=FILE              what was written, without the journal's order and places\n"
	"page-cache=0|1         files opened without O_DIRECT are cached and written back by the kernel (default 0)\n";

static bool set_kind_option(const char *value, bool is_fail)
{
	char word[16];
	unsigned a = 0, b = 0;
	enum kind kind;
	int n = sscanf(value, "%15[a-z]:%u:%u", word, &a, &b);

	if (n != (is_fail ? 3 : 2) || !kind_of(word, &kind) || a == 0)
		return false;
	if (is_fail)
		return add_failure(kind, a, (int)b);
	vd.one_in[kind] = a;
	return true;
}

static bool set_option(const char *argument)
{
	const char *value = strchr(argument, '=');
	size_t length = value ? (size_t)(value - argument) : 0;
	unsigned long long number;
	char *end;

	if (value == NULL)
		return false;
	value++;
	if (strncmp(argument, "--fail", length) == 0 || strncmp(argument, "--errors", length) == 0)
		return set_kind_option(value, argument[2] == 'f');
	if (strncmp(argument, "--data", length) == 0) {
		vd.data = fopen(value, "we");
		return vd.data != NULL;
	}
	number = strtoull(value, &end, 10);
	if (end == value || *end)
		return false;
	if (strncmp(argument, "--seed", length) == 0)
		vd.dice.state = number;
	else if (strncmp(argument, "--depth", length) == 0)
		vd.depth = (unsigned)number;
	else if (strncmp(argument, "--patience", length) == 0)
		vd.patience = (unsigned)number;
	else if (strncmp(argument, "--page-cache", length) == 0)
		vd.page_cache = number != 0;
	else
		return false;
	return true;
}

static bool prepare(char **argv)
{
	vd.image = malloc(vd.size);
	vd.journal = fopen(argv[3], "we");
	if (!vd.image || !vd.journal || ticks_open(argv[4], &vd.ticks))
		return false;
	for (uint64_t at = 0; at < vd.size; at += STAMP_SECTOR)
		stamp_fill(STAMP_INITIAL, at / STAMP_SECTOR, vd.image + at);
	vd.limit = vd.depth;
	return true;
}

int main(int argc, char **argv)
{
	char *options[] = {argv[0], NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, options);
	struct fuse_session *se;
	char *end = NULL;
	bool good = argc >= 5;

	vd.dice.state = 1;
	if (good)
		vd.size = strtoull(argv[2], &end, 10);
	good = good && *end == '\0' && vd.size > 0 && vd.size % STAMP_SECTOR == 0;
	for (int i = 5; good && i < argc; i++)
		good = set_option(argv[i]);
	if (!good) {
		(void)fputs(help, stderr);
		return 2;
	}
	/* A test that is cut short takes its process group with it: unmount still. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	se = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!se || !prepare(argv) || fuse_session_mount(se, argv[1])) {
		(void)fprintf(stderr, "voldisk: cannot be set up\n");
		return 1;
	}
	answer("ready");
	serve(se);
	/* Whoever still waits is told that the storage is gone. */
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	free(vd.image);
	if (vd.data && fclose(vd.data))
		return 1;
	return fclose(vd.journal) ? 1 : 0;
}
