#include "tests/crash/crash_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 100000000u
#define SECTOR_MAX 100000000u
/* The value of the first torn sector there is; beyond all requests. */
#define VALUE_TORN 0x80000000u

const char *const mode_names[MODE_COUNT] = {
	"none", "directsync", "writethrough", "writeback", "unsafe"};
const char *const request_names[REQUEST_KIND_COUNT] = {
	"write", "flush", "barrier", "discard", "read"};

/* One line, being read. */
struct line {
	const char *path;
	unsigned long number;
	char *next;
};

__attribute__((noreturn)) static void bad_line(const struct line *line, const char *why)
{
	(void)fprintf(stderr, "crash-check: %s:%lu: %s\n", line->path, line->number, why);
	exit(2);
}

void *grow(void *memory, size_t n, size_t size)
{
	size_t room = 4;

	/* Only when it has just become full: the room follows from what is in it. */
	if (n > 4 && (n & (n - 1)) != 0)
		return memory;
	if (n >= 4)
		room = 2 * n;
	else if (n > 0)
		return memory;
	memory = realloc(memory, room * size);
	if (!memory) {
		(void)fputs("crash-check: no memory\n", stderr);
		exit(2);
	}
	return memory;
}

/* ---- words ------------------------------------------------------------------------------------ */

static const char *word(struct line *line)
{
	char *begin = line->next;

	while (*begin == ' ')
		begin++;
	if (*begin == '\0')
		return NULL;
	line->next = begin + strcspn(begin, " ");
	if (*line->next)
		*line->next++ = '\0';
	return begin;
}

static uint64_t number(struct line *line, uint64_t max)
{
	const char *text = word(line);
	uint64_t value;
	char *end;

	if (!text || *text < '0' || *text > '9')
		bad_line(line, "a number is missing");
	value = strtoull(text, &end, 10);
	if (*end || value > max)
		bad_line(line, "not a number, or too large");
	return value;
}

static int status(struct line *line)
{
	const char *text = word(line);

	if (!text)
		bad_line(line, "a status is missing");
	return (int)strtol(text, NULL, 10);
}

const uint32_t *crash_log_parts(const struct crash_log *log, const uint32_t *value, unsigned *ret_n)
{
	bool is_torn = *value >= VALUE_TORN && *value - VALUE_TORN < log->nr_torn;

	*ret_n = is_torn ? 2 : 1;
	return is_torn ? log->torn[*value - VALUE_TORN].part : value;
}

static uint32_t torn_between(struct crash_log *log, uint32_t a, uint32_t b)
{
	log->torn = grow(log->torn, log->nr_torn, sizeof(*log->torn));
	log->torn[log->nr_torn] = (struct torn){{a, b}};
	return VALUE_TORN + (uint32_t)log->nr_torn++;
}

/* The rest of the line: as many as there are sectors. */
static uint32_t *stamps(struct crash_log *log, struct line *line, uint32_t n)
{
	uint32_t *value = calloc(n ? n : 1, sizeof(*value));
	const char *text;
	uint32_t i = 0;

	while (value && (text = word(line))) {
		char *end;
		uint32_t id = (uint32_t)strtoul(text, &end, 10);
		unsigned long count;

		if (*end == '+')
			id = torn_between(log, id, (uint32_t)strtoul(end + 1, &end, 10));
		count = *end == '*' ? strtoul(end + 1, &end, 10) : 1;
		if (*end || count > n - i)
			bad_line(line, "the stamps are not as many as the sectors");
		while (count-- > 0)
			value[i++] = id;
	}
	if (!value || i != n)
		bad_line(line, "the stamps are not as many as the sectors");
	return value;
}

/* ---- lines ------------------------------------------------------------------------------------ */

static void mention(struct crash_log *log, uint64_t sector, uint32_t n)
{
	if (sector + n > log->nr_sectors)
		log->nr_sectors = sector + n;
}

static struct op *op_at(struct crash_log *log, uint32_t nr)
{
	while (log->nr_ops <= nr) {
		log->op = grow(log->op, log->nr_ops, sizeof(*log->op));
		log->op[log->nr_ops++] = (struct op){0};
	}
	return &log->op[nr];
}

static struct request *request_at(struct crash_log *log, uint32_t nr)
{
	while (log->nr_requests <= nr) {
		log->request = grow(log->request, log->nr_requests, sizeof(*log->request));
		log->request[log->nr_requests++] = (struct request){0};
	}
	return &log->request[nr];
}

static void read_start(
	struct crash_log *log, struct line *line, struct event *event, enum op_kind kind)
{
	struct op *op;
	const char *how;

	event->what = WHAT_OP_START;
	event->index = (uint32_t)number(line, NUMBER_MAX);
	op = op_at(log, event->index);
	if (op->start)
		bad_line(line, "this operation has begun before");
	*op = (struct op){.start = event->tick, .kind = (uint8_t)kind};
	if (kind == OP_FLUSH)
		return;
	op->sector = number(line, SECTOR_MAX);
	op->nr_sectors = (uint32_t)number(line, SECTOR_MAX);
	mention(log, op->sector, op->nr_sectors);
	if (kind == OP_DISCARD)
		return;
	how = word(line);
	if (!how || (strcmp(how, "fua") != 0 && strcmp(how, "volatile") != 0))
		bad_line(line, "fua or volatile?");
	op->fua = *how == 'f';
	op->value = stamps(log, line, op->nr_sectors);
}

static void read_end(struct crash_log *log, struct line *line, struct event *event)
{
	struct op *op;

	event->what = WHAT_OP_END;
	event->index = (uint32_t)number(line, NUMBER_MAX);
	op = op_at(log, event->index);
	if (!op->start || op->end)
		bad_line(line, "this operation is not under way");
	op->end = event->tick;
	op->error = status(line);
}

static void read_submit(struct crash_log *log, struct line *line, struct event *event)
{
	struct request *req;
	const char *name;

	event->what = WHAT_SUBMIT;
	event->index = (uint32_t)number(line, NUMBER_MAX);
	req = request_at(log, event->index);
	if (event->index == 0 || req->submit)
		bad_line(line, "a request of this number there was before");
	*req = (struct request){
		.submit = event->tick,
		.queue = (uint8_t)number(line, 7),
		.kind = REQUEST_KIND_COUNT,
	};
	name = word(line);
	for (unsigned kind = 0; name && kind < REQUEST_KIND_COUNT; kind++)
		if (strcmp(name, request_names[kind]) == 0)
			req->kind = (uint8_t)kind;
	if (req->kind == REQUEST_KIND_COUNT)
		bad_line(line, "what kind of request?");
	req->sector = number(line, SECTOR_MAX);
	req->nr_sectors = (uint32_t)number(line, SECTOR_MAX);
	mention(log, req->sector, req->nr_sectors);
}

static void read_answer(struct crash_log *log, struct line *line, struct event *event)
{
	struct request *req;

	event->what = WHAT_ANSWER;
	event->index = (uint32_t)number(line, NUMBER_MAX);
	req = request_at(log, event->index);
	if (!req->submit || req->answer)
		bad_line(line, "this request is not under way");
	req->answer = event->tick;
	req->status = status(line);
	if (req->kind == REQUEST_READ && req->status == 0)
		req->value = stamps(log, line, req->nr_sectors);
}

static void read_mode(struct line *line, struct event *event, enum what what)
{
	const char *name = word(line);
	unsigned mode = name ? mode_of(name) : MODE_COUNT;

	if (mode == MODE_COUNT)
		bad_line(line, "what mode?");
	event->what = (uint8_t)what;
	event->index = mode;
}

static void read_line(struct crash_log *log, struct line *line)
{
	struct event event = {.tick = number(line, UINT64_MAX)};
	const char *verb = word(line);

	if (!verb)
		bad_line(line, "what happened?");
	if (strcmp(verb, "write") == 0) {
		read_start(log, line, &event, OP_WRITE);
	} else if (strcmp(verb, "discard") == 0) {
		read_start(log, line, &event, OP_DISCARD);
	} else if (strcmp(verb, "flush") == 0) {
		read_start(log, line, &event, OP_FLUSH);
	} else if (strcmp(verb, "end") == 0) {
		read_end(log, line, &event);
	} else if (strcmp(verb, "submit") == 0) {
		read_submit(log, line, &event);
	} else if (strcmp(verb, "answer") == 0) {
		read_answer(log, line, &event);
	} else if (strcmp(verb, "mode") == 0) {
		read_mode(line, &event, WHAT_MODE);
	} else if (strcmp(verb, "changing") == 0) {
		read_mode(line, &event, WHAT_CHANGING);
	} else if (strcmp(verb, "connect") == 0) {
		event.what = WHAT_CONNECT;
		event.index = (uint32_t)number(line, 8);
	} else if (strcmp(verb, "attach") == 0) {
		event.what = WHAT_ATTACH;
	} else if (strcmp(verb, "close") == 0) {
		event.what = WHAT_CLOSE;
	} else if (strcmp(verb, "lost") == 0) {
		event.what = WHAT_LOST;
	} else {
		bad_line(line, "what happened?");
	}
	if (word(line))
		bad_line(line, "there is more than that");
	log->event = grow(log->event, log->nr_events, sizeof(*log->event));
	log->event[log->nr_events++] = event;
}

/* ---- files ------------------------------------------------------------------------------------ */

void crash_log_read(struct crash_log *log, const char *path)
{
	struct line line = {.path = path};
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		bad_line(&line, strerror(errno));
	while (getline(&text, &room, file) >= 0) {
		line.number++;
		text[strcspn(text, "\n")] = '\0';
		line.next = text;
		if (*text && *text != '#')
			read_line(log, &line);
	}
	free(text);
	(void)fclose(file);
}

static int by_tick(const void *a, const void *b)
{
	uint64_t x = ((const struct event *)a)->tick, y = ((const struct event *)b)->tick;

	return (x > y) - (x < y);
}

void crash_log_sort(struct crash_log *log)
{
	if (log->nr_events > 0)
		qsort(log->event, log->nr_events, sizeof(*log->event), by_tick);
	for (size_t i = 1; i < log->nr_events; i++)
		if (log->event[i].tick == log->event[i - 1].tick) {
			(void)fprintf(stderr, "crash-check: two events have the tick %" PRIu64 "\n",
				log->event[i].tick);
			exit(2);
		}
}

void crash_log_fini(struct crash_log *log)
{
	for (size_t i = 0; i < log->nr_ops; i++)
		free(log->op[i].value);
	for (size_t i = 0; i < log->nr_requests; i++)
		free(log->request[i].value);
	free(log->op);
	free(log->request);
	free(log->event);
	free(log->torn);
	*log = (struct crash_log){0};
}

unsigned mode_of(const char *name)
{
	unsigned mode = 0;

	while (mode < MODE_COUNT && strcmp(name, mode_names[mode]) != 0)
		mode++;
	return mode;
}
