/*
 * blkbackctl: what an operator asks the workers of this host. Arguments and verbs; whom to ask and
 * how is ask.c, what it looks like is layout.c.
 */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/json.h"
#include "backend/util/usage.h"
#include "tools/ask.h"
#include "tools/disk_name.h"
#include "tools/image_look.h"
#include "tools/layout.h"

#define PROGRAM     "blkbackctl"
#define RUN_DIR     "/run/blkback"
#define RUN_DIR_ENV "BLKBACK_RUNDIR"
#define TIMEOUT     5
#define TIMEOUT_MAX 3600
/* Longer than a worker tries to change a disk's cache mode. */
#define TIMEOUT_CHANGE 20

/* See the manual. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_DISK = 3,   /* no worker serves it */
	CTL_NO_ANSWER = 4, /* a worker is dead or silent */
	CTL_FORBIDDEN = 5,
};

static const char usage[] =
	"Usage: " PROGRAM " list [--json]\n"
	"       " PROGRAM " show DISK [--json]\n"
	"       " PROGRAM " resize DISK [--json]\n"
	"       " PROGRAM " set-cache DISK none|directsync|writethrough|writeback|unsafe [--json]\n"
	"       " PROGRAM " resume DISK [--json]\n"
	"       " PROGRAM " clear-fault DISK --accept-loss [--json]\n"
	"       " PROGRAM " log-level DISK error|warn|info|debug\n"
	"Ask the workers that serve the virtual disks of this host. DISK is 5/51712, 5/xvda,\n"
	"vbd-5-51712 or backend/vbd/5/51712.\n"
	"\n"
	"  -j, --json             one line of JSON, in the form the manual describes\n"
	"  -t, --timeout SECONDS  how long to wait for answers (5; set-cache and clear-fault: 20)\n"
	"      --accept-loss      yes, what the disk has lost is lost\n"
	"  -h, --help             show this text\n"
	"  -V, --version          show the version\n"
	"\n" RUN_DIR_ENV " names the directory of the workers' sockets (" RUN_DIR ").\n"
	"Exit codes: 0 done, 1 failure, 2 usage, 3 no worker serves the disk, 4 a worker is dead\n"
	"or does not answer, 5 not permitted.\n";

struct options {
	bool json;
	bool accept_loss;
	unsigned timeout_ms; /* 0: the verb's own */
	const char *run_dir;
};

static enum ctl_exit misuse(const char *complaint, const char *object)
{
	usage_complain(PROGRAM, complaint, object);
	return CTL_USAGE;
}

static void complain(const char *name, const struct problem *problem)
{
	(void)fprintf(stderr, "%s: %s%s%s\n", PROGRAM, name, *name ? ": " : "", problem->text);
}

static enum ctl_exit exit_of(enum ask_result result)
{
	switch (result) {
	case ASK_ANSWERED:
		return CTL_OK;
	case ASK_GONE:
		return CTL_NO_DISK;
	case ASK_DEAD:
	case ASK_SILENT:
		return CTL_NO_ANSWER;
	case ASK_FORBIDDEN:
		return CTL_FORBIDDEN;
	case ASK_PENDING:
	case ASK_REFUSED:
	case ASK_FAILED:
		break;
	}
	return CTL_FAILED;
}

static enum ctl_exit find(const struct options *o, struct asked **ret_list, unsigned *ret_n)
{
	struct problem problem;
	int r = ask_find(o->run_dir, ret_list, ret_n, &problem);

	if (r == 0)
		return CTL_OK;
	complain("", &problem);
	return r == -EACCES ? CTL_FORBIDDEN : CTL_FAILED;
}

static enum ctl_exit no_memory(void)
{
	(void)fprintf(stderr, "%s: no memory\n", PROGRAM);
	return CTL_FAILED;
}

static void print_json(struct json_object *object)
{
	(void)puts(json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- list ---- */

static struct json_object *problem_json(const struct asked *a)
{
	struct json_object *o = json_object_new_object();

	if (json_set(o, "disk", json_object_new_string(a->name)) &&
		json_set(o, "problem", json_object_new_string(ask_result_name(a->result))) &&
		json_set(o, "text", json_text(a->problem.text)))
		return o;
	json_object_put(o);
	return NULL;
}

static bool append(struct json_object *array, struct json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* {"disks": [...], "problems": [...]} */
static enum ctl_exit print_list_json(const struct asked *list, unsigned n)
{
	struct json_object *o = json_object_new_object();
	struct json_object *disks = json_object_new_array();
	struct json_object *problems = json_object_new_array();
	bool ok = json_set(o, "disks", disks);

	ok = json_set(o, "problems", problems) && ok;
	for (unsigned i = 0; i < n && ok; i++) {
		if (list[i].result == ASK_ANSWERED)
			ok = append(disks, json_object_get(list[i].answer));
		else if (list[i].result != ASK_GONE)
			ok = append(problems, problem_json(&list[i]));
	}
	if (ok)
		print_json(o);
	json_object_put(o);
	return ok ? CTL_OK : no_memory();
}

static enum ctl_exit do_list(const struct options *o)
{
	struct asked *list;
	unsigned n;
	enum ctl_exit result = find(o, &list, &n);

	if (result)
		return result;
	ask_all(o->run_dir, list, n, "show", o->timeout_ms ? o->timeout_ms : TIMEOUT * 1000);
	if (o->json)
		result = print_list_json(list, n);
	else
		layout_list(list, n);
	(void)fflush(stdout);
	/* Those that could not be asked do not hide the others. Whoever has gone is just not there. */
	for (unsigned i = 0; i < n; i++) {
		if (list[i].result == ASK_ANSWERED || list[i].result == ASK_GONE)
			continue;
		complain(list[i].name, &list[i].problem);
		if (result == CTL_OK)
			result = exit_of(list[i].result);
	}
	ask_free(list, n);
	return result;
}

/* ---- one disk ---- */

/* The one disk of @list that @word means goes to its front. */
static enum ctl_exit choose(
	const struct options *o, struct asked *list, unsigned n, const char *word)
{
	struct disk_name wanted;
	unsigned nr_found = 0;

	if (disk_name_parse(word, &wanted))
		return misuse("that is not a disk such as 5/51712 or 5/xvda: ", word);
	for (unsigned i = 0; i < n; i++) {
		struct asked chosen = list[i];

		if (!disk_name_matches(&wanted, &chosen.disk))
			continue;
		nr_found++;
		list[i] = list[0];
		list[0] = chosen;
	}
	if (nr_found == 1)
		return CTL_OK;
	if (nr_found > 1)
		return misuse("there are disks of several kinds with that number; say which, like ",
			list[0].name);
	(void)fprintf(stderr,
		"%s: no worker serves '%s' (in '%s'); %s list shows those there are\n", PROGRAM,
		word, o->run_dir, PROGRAM);
	return CTL_NO_DISK;
}

/* What may be done with one disk. The request is the verb, and the argument behind it. */
struct verb {
	const char *name;
	const char *argument; /* what it is, for a complaint; NULL: none */
	unsigned timeout;     /* seconds */
	bool looks;           /* at the image, too */
	void (*layout)(struct json_object *answer);
};

/* Beside what the worker says of its image; an older one says nothing. */
static enum ctl_exit look(struct json_object *answer, unsigned timeout_ms)
{
	struct json_object *image = NULL;

	(void)json_object_object_get_ex(answer, "image", &image);
	return !image || image_look(image, timeout_ms) ? CTL_OK : no_memory();
}

static enum ctl_exit ask_one(
	const struct options *o, const char *word, const char *request, const struct verb *verb)
{
	struct asked *list;
	unsigned n;
	unsigned timeout_ms = o->timeout_ms ? o->timeout_ms : verb->timeout * 1000;
	enum ctl_exit result = find(o, &list, &n);

	if (result)
		return result;
	result = choose(o, list, n, word);
	if (result == CTL_OK) {
		ask_all(o->run_dir, list, 1, request, timeout_ms);
		result = exit_of(list[0].result);
		if (result != CTL_OK)
			complain(list[0].name, &list[0].problem);
		else if (verb->looks)
			result = look(list[0].answer, timeout_ms);
	}
	if (result == CTL_OK) {
		if (o->json)
			print_json(list[0].answer);
		else if (verb->layout)
			verb->layout(list[0].answer);
	}
	ask_free(list, n);
	return result;
}

static const struct verb verbs[] = {
	{"show", NULL, TIMEOUT, true, layout_disk},
	{"resize", NULL, TIMEOUT, false, layout_size},
	{"set-cache", "a cache mode", TIMEOUT_CHANGE, false, layout_mode},
	{"resume", NULL, TIMEOUT, false, NULL},
	{"clear-fault", NULL, TIMEOUT_CHANGE, false, layout_mode},
	{"log-level", "a level", TIMEOUT, false, NULL},
};

/* ---- arguments ---- */

/* What it costs is in the request, too. */
static enum ctl_exit do_clear_fault(const struct options *o, const struct verb *verb, char **words)
{
	if (!o->accept_loss)
		return misuse(
			"clear-fault needs --accept-loss: what the disk has lost stays lost, and its guest may not know",
			"");
	return ask_one(o, words[1], "clear-fault accept-loss", verb);
}

static enum ctl_exit do_verb(
	const struct options *o, const struct verb *verb, unsigned n, char **words)
{
	unsigned wanted = verb->argument ? 3 : 2;
	char request[128], complaint[64];

	if (n != wanted || (wanted == 3 && (strlen(words[2]) > 16 || strpbrk(words[2], " \n")))) {
		(void)snprintf(complaint, sizeof(complaint), "%s takes one disk%s%s", verb->name,
			verb->argument ? " and " : "", verb->argument ? verb->argument : "");
		return misuse(complaint, "");
	}
	if (strcmp(verb->name, "clear-fault") == 0)
		return do_clear_fault(o, verb, words);
	(void)snprintf(request, sizeof(request), "%s%s%s", verb->name, wanted == 3 ? " " : "",
		wanted == 3 ? words[2] : "");
	return ask_one(o, words[1], request, verb);
}

static enum ctl_exit run(const struct options *o, unsigned n, char **words)
{
	if (n == 0)
		return misuse("what is to be done is missing", "");
	if (strcmp(words[0], "list") == 0)
		return n == 1 ? do_list(o) : misuse("list takes no disk", "");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(words[0], verbs[i].name) == 0)
			return do_verb(o, &verbs[i], n, words);
	return misuse("there is no such verb: ", words[0]);
}

static bool parse_timeout(const char *text, unsigned *ret_timeout_ms)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value == 0 || value > TIMEOUT_MAX)
		return false;
	*ret_timeout_ms = (unsigned)value * 1000;
	return true;
}

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *o)
{
	enum {
		OPT_ACCEPT_LOSS = 256
	};
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'},
		{"accept-loss", no_argument, NULL, OPT_ACCEPT_LOSS},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":jt:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 't':
			if (!parse_timeout(optarg, &o->timeout_ms))
				return misuse("a timeout is 1 to 3600 seconds, not ", optarg);
			break;
		case OPT_ACCEPT_LOSS:
			o->accept_loss = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return CTL_OK;
		case 'V':
			(void)puts(PROGRAM " " BLKBACK_VERSION);
			return CTL_OK;
		default:
			usage_refuse(PROGRAM, c, argv);
			return CTL_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const char *run_dir = getenv(RUN_DIR_ENV);
	struct options o = {.run_dir = RUN_DIR};
	int result = parse(argc, argv, &o);

	if (result >= 0)
		return result;
	if (run_dir && run_dir[0])
		o.run_dir = run_dir;
	result = (int)run(&o, (unsigned)(argc - optind), argv + optind);
	/* An output that was cut short is no success. */
	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "%s: standard output: %s\n", PROGRAM, strerror(errno));
		return CTL_FAILED;
	}
	return result;
}
