/*
 * crash-check - was every promise kept, wherever the power might have failed?
 *
 *   crash-check [--mode=MODE] [--random=N] [--seed=N] FILE...
 *
 * FILEs are a disk's journal and its guests' logs (crash_log.h). Every tick is a moment at which the power may fail. For each
 * of them crash_model.h knows what the media may hold, and what has been promised. The rules:
 *
 *   a  What was answered before a flush was submitted that is answered: it is there, or something not older is.
 *   b  A disk that writes through: what is answered is there.
 *   c  A barrier that is answered: its data is there, and everything ahead of it. Answered or not: if its data is there, or
 *      anything behind it, then everything ahead of it is. Ahead is what stands before it in its ring, what was
 *      answered before it was submitted, and what came to the disk before its data did. Behind is what
 *      follows in its ring, and what came to the disk after its data.
 *   d  A sector holds nothing but what was written there, whole; zeros only if somebody discarded it. From the page cache one that is
 *      being written may come torn between two, and none of both may be older than what is promised.
 *   e  After an orderly end of the connection everything that was answered is there, in every mode; mode unsafe promises nothing else.
 *   f  A flush that failed: what it was to cover may be gone, and no later flush may be answered as if it were there.
 *   r  A read finds nothing older than what was answered before it was submitted, and nothing torn; in the page cache what is just
 *      being written may be.
 *
 * Exit status: 0 no violation; 1 violations, the first of which are printed; 2 no such files, or wrong lines; 3 the checker is
 * wrong: random states, worked out from the definitions, are not what it thinks there may be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/crash/crash_model.h"
#include "tests/crash/crash_reads.h"
#include "tests/crash/stamp.h"
#include "tests/lib/dice.h"

#define MAX_PRINTED 4u

struct check {
	struct crash_log log;
	struct model model;
	struct dice dice;
	uint64_t seed, nr_random, nr_states;
	unsigned mode;
};

static uint64_t roll(void *dice)
{
	return dice_roll(dice);
}

/* ---- what was found --------------------------------------------------------------------------- */

static void print_request(const struct check *check, const char *what, uint32_t nr)
{
	const struct request *req = &check->log.request[nr];
	const struct fate *fate = &check->model.fate[nr];

	printf("    %s request %" PRIu32 ": %s", what, nr, request_names[req->kind]);
	if (req->nr_sectors > 0)
		printf(" of sectors %" PRIu64 "-%" PRIu64, req->sector,
			req->sector + req->nr_sectors - 1);
	printf(", place %u in queue %u, submitted %" PRIu64, fate->position, req->queue,
		req->submit);
	if (fate->began)
		printf(", at the disk %" PRIu64, fate->began);
	if (req->answer)
		printf(", answered %" PRIu64 " with %d\n", req->answer, req->status);
	else
		printf(", never answered\n");
}

static void print_stamp(const struct check *check, uint32_t value)
{
	unsigned n;
	const uint32_t *part = crash_log_parts(&check->log, &value, &n);

	if (n > 1) {
		printf("    torn:\n");
		print_stamp(check, part[0]);
		print_stamp(check, part[1]);
	} else if (value == STAMP_ZERO) {
		printf("    instead: zeros\n");
	} else if (value == STAMP_INITIAL) {
		printf("    instead: what was there in the beginning\n");
	} else if (value >= check->log.nr_requests) {
		printf("    instead: another sector's stamp, or none\n");
	} else {
		print_request(check, "instead:", value);
	}
}

static void print_op(const struct check *check, uint32_t nr)
{
	const struct op *op;

	if (nr == 0)
		return;
	op = &check->log.op[nr];
	printf("    at the disk: operation %" PRIu32 ", %s%s, %" PRIu64 " to %" PRIu64, nr,
		op->kind == OP_DISCARD ? "discard" : "write", op->fua ? " (FUA)" : "", op->start,
		op->end);
	printf(op->error                       ? ", failed\n"
		: check->model.course[nr].lost ? ", lost by a flush that failed\n"
					       : "\n");
}

static void print_violation(const struct check *check, const struct violation *v)
{
	printf("VIOLATION of rule (%c) at cut %" PRIu64 ", sector %" PRIu32 "\n", v->rule, v->tick,
		v->sector);
	if (v->missing)
		print_request(check, "missing:", v->missing);
	printf("    %s\n", v->why);
	print_stamp(check, v->instead);
	print_op(check, v->op);
	if (v->by && v->by != v->missing)
		print_request(check,
			v->rule == 'r'   ? "the read:"
			: v->rule == 'c' ? "the one behind, or the barrier:"
					 : "promised by",
			v->by);
}

/* ---- the walk --------------------------------------------------------------------------------- */

static void happen(struct check *check, const struct event *event)
{
	struct model *m = &check->model;

	m->now = event->tick;
	switch ((enum what)event->what) {
	case WHAT_OP_START:
		media_op_start(m, event->index);
		break;
	case WHAT_OP_END:
		media_op_end(m, event->index);
		break;
	case WHAT_SUBMIT:
		guest_submit(m, event->index);
		break;
	case WHAT_ANSWER:
		guest_answer(m, event->index);
		if (check->log.request[event->index].value)
			reads_check(m, event->index);
		break;
	case WHAT_MODE:
	case WHAT_CHANGING:
		guest_mode(m, event->index, event->what == WHAT_MODE);
		break;
	case WHAT_ATTACH:
		guest_attach(m);
		break;
	case WHAT_CONNECT:
		guest_connect(m);
		break;
	case WHAT_CLOSE:
		guest_close(m);
		break;
	case WHAT_LOST:
		break;
	}
}

static int walk(struct check *check)
{
	struct oracle *oracle = oracle_create(&check->model);
	uint64_t n = check->log.nr_events;
	bool agreed = true;

	guest_mode(&check->model, check->mode, true);
	for (uint64_t i = 0; agreed && i < n; i++) {
		happen(check, &check->log.event[i]);
		/* None of what is volatile, all of it, each write alone. */
		check->nr_states += 2 + check->model.nr_volatile;
		if (dice_below(&check->dice, n) >= check->nr_random)
			continue;
		check->nr_states++;
		agreed = oracle_try(oracle, &check->model, roll, &check->dice);
		if (!agreed)
			(void)fprintf(stderr,
				"crash-check: seed=%" PRIu64 ": at cut %" PRIu64
				" a random state is not what the model thinks there may be\n",
				check->seed, check->model.now);
	}
	oracle_destroy(oracle);
	return agreed ? 0 : 3;
}

static void print_summary(const struct check *check)
{
	unsigned count[REQUEST_KIND_COUNT] = {0};
	unsigned flushes = 0;

	for (size_t i = 0; i < check->log.nr_requests; i++)
		if (check->log.request[i].submit)
			count[check->log.request[i].kind]++;
	for (size_t i = 0; i < check->log.nr_ops; i++)
		flushes += check->log.op[i].start && check->log.op[i].kind == OP_FLUSH;
	printf("crash-check: %zu cut points, %" PRIu64
	       " states, %u writes, %u flushes, %u barriers, %u discards, %u reads, %u flushes of the disk, seed=%" PRIu64
	       ": ",
		check->log.nr_events, check->nr_states, count[REQUEST_WRITE], count[REQUEST_FLUSH],
		count[REQUEST_BARRIER], count[REQUEST_DISCARD], count[REQUEST_READ], flushes,
		check->seed);
	if (check->model.nr_violations)
		printf("%zu violations\n", check->model.nr_violations);
	else
		printf("no violation\n");
}

/* ---- the program ------------------------------------------------------------------------------ */

static const char help[] =
	"usage: crash-check [--mode=MODE] [--random=N] [--seed=N] FILE...\n"
	"mode=MODE    the contract until a log says another: none (default), directsync, writethrough, writeback, unsafe\n"
	"random=N     try about so many random states (default 300)\n"
	"seed=N       of these (default: the time)\n";

static bool set_option(struct check *check, const char *argument)
{
	char *end;

	if (strncmp(argument, "--mode=", 7) == 0) {
		check->mode = mode_of(argument + 7);
		return check->mode < MODE_COUNT;
	}
	if (strncmp(argument, "--random=", 9) == 0)
		check->nr_random = strtoull(argument + 9, &end, 10);
	else if (strncmp(argument, "--seed=", 7) == 0)
		check->seed = strtoull(argument + 7, &end, 10);
	else
		return false;
	return *end == '\0';
}

int main(int argc, char **argv)
{
	static struct check check;
	int r, i = 1;

	check.seed = (uint64_t)time(NULL);
	check.nr_random = 300;
	for (; i < argc && argv[i][0] == '-'; i++)
		if (!set_option(&check, argv[i]))
			break;
	if (i == argc || argv[i][0] == '-') {
		(void)fputs(help, stderr);
		return 2;
	}
	for (; i < argc; i++)
		crash_log_read(&check.log, argv[i]);
	crash_log_sort(&check.log);
	check.dice = (struct dice){check.seed};
	model_init(&check.model, &check.log);
	r = walk(&check);
	for (size_t v = 0; v < check.model.nr_violations && v < MAX_PRINTED; v++)
		print_violation(&check, &check.model.violation[v]);
	print_summary(&check);
	if (r == 0 && check.model.nr_violations)
		r = 1;
	model_fini(&check.model);
	crash_log_fini(&check.log);
	return r;
}
