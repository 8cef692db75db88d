/*
 * blkback-drive-args: with which arguments a QEMU opens an image in a cache mode. Arguments and output; what
 * is found out, and what is made of it, is dialect/.
 */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/util/json.h"
#include "backend/util/problem.h"
#include "backend/util/usage.h"
#include "qemu-dm-bridge/dialect/drive_args.h"
#include "qemu-dm-bridge/dialect/probe.h"
#include "qemu-dm-bridge/dialect/usual.h"

#define PROGRAM     "blkback-drive-args"
#define TIMEOUT     10
#define TIMEOUT_MAX 3600
#define ID          "blkback0"

/* See the manual. */
enum drive_args_exit {
	ARGS_OK = 0,
	ARGS_FAILED = 1,
	ARGS_USAGE = 2,
	ARGS_REFUSED = 3, /* this QEMU cannot */
	ARGS_NO_QEMU = 4, /* there is none, or it does not answer as one */
};

static const char usage[] =
	"Usage: " PROGRAM
	" [OPTION...] IMAGE none|directsync|writethrough|writeback|unsafe [QEMU]\n"
	"Print the arguments with which QEMU opens a raw image in a cache mode, one in each line. QEMU is\n"
	"asked what it offers; what stands for a mode it does not have is safer, and said on standard error.\n"
	"\n"
	"  -d, --drive             only by -drive\n"
	"  -b, --blockdev          only by -blockdev and -device\n"
	"  -i, --interface TYPE    ide, scsi, virtio, or none for no device (ide)\n"
	"  -n, --id ID             of the drive or node (" ID ")\n"
	"  -r, --read-only         the guest cannot write\n"
	"  -u, --discard           the guest's discards reach the image\n"
	"  -k, --lock              QEMU must lock the image\n"
	"  -w, --rewrite           IMAGE is the value of a -drive: print it with other cache options\n"
	"  -j, --json              one line of JSON, with all that QEMU offers\n"
	"  -z, --null              a NUL behind each argument instead of a newline\n"
	"  -t, --timeout SECONDS   how long QEMU may take to answer (10)\n"
	"  -h, --help              show this text\n"
	"  -V, --version           show the version\n"
	"\n"
	"Exit codes: 0 done, 1 failure, 2 usage, 3 this QEMU cannot do it, 4 there is no such QEMU, or it\n"
	"does not answer.\n";

struct options {
	struct drive_request request;
	bool json, null, rewrite;
	unsigned timeout_ms;
};

static enum drive_args_exit misuse(const char *complaint, const char *object)
{
	usage_complain(PROGRAM, complaint, object);
	return ARGS_USAGE;
}

static enum drive_args_exit fail(enum drive_args_exit result, const struct problem *problem)
{
	(void)fprintf(stderr, "%s: %s\n", PROGRAM, problem->text);
	return result;
}

static enum drive_args_exit no_memory(void)
{
	(void)fprintf(stderr, "%s: no memory\n", PROGRAM);
	return ARGS_FAILED;
}

/* ---- output ---- */

static bool append(struct json_object *array, struct json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *offers_json(const struct dialect *dialect)
{
	struct json_object *array = json_object_new_array();
	bool ok = array != NULL;

	for (unsigned i = DIALECT_END + 1; i < DIALECT_COUNT && ok; i++) {
		const char *place = dialect_place((enum dialect_option)i);
		const char *name = dialect_name((enum dialect_option)i);
		const char *value = dialect_value((enum dialect_option)i);
		char text[96];

		(void)snprintf(text, sizeof(text), "%s%s%s%s%s", place, *place ? " " : "", name,
			*value ? "=" : "", value);
		if (dialect->has[i])
			ok = append(array, json_object_new_string(text));
	}
	if (ok)
		return array;
	json_object_put(array);
	return NULL;
}

static struct json_object *words_json(const struct drive_args *args)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < args->nr; i++) {
		if (append(array, json_text(args->words[i])))
			continue;
		json_object_put(array);
		return NULL;
	}
	return array;
}

/* @args is NULL when this QEMU cannot, for @problem. */
static enum drive_args_exit print_json(const struct options *o, const char *qemu,
	const struct dialect *dialect, const struct drive_args *args, const struct problem *problem)
{
	struct json_object *object = json_object_new_object();
	bool ok = json_set(object, "qemu", json_text(qemu));

	ok = ok && json_set(object, "offers", offers_json(dialect));
	ok = ok &&
	     json_set(object, "wanted", json_object_new_string(cache_mode_name(o->request.mode)));
	if (args) {
		ok = ok &&
		     json_set(object, "mode", json_object_new_string(cache_mode_name(args->mode)));
		ok = ok && json_set(object, "arguments", words_json(args));
		ok = ok && json_set(object, "guesses_format",
				   json_object_new_boolean(args->guesses_format));
	} else {
		ok = ok && json_set(object, "refused", json_text(problem->text));
	}
	if (ok)
		(void)puts(json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return ok ? ARGS_OK : no_memory();
}

static void print_words(const struct options *o, const struct drive_args *args)
{
	for (unsigned i = 0; i < args->nr; i++)
		(void)printf("%s%c", args->words[i], o->null ? '\0' : '\n');
}

static void warn_of(const struct options *o, const char *qemu, const struct drive_args *args)
{
	if (args->mode != o->request.mode)
		(void)fprintf(stderr, "%s: '%s' has no mode %s: %s, which is safer\n", PROGRAM,
			qemu, cache_mode_name(o->request.mode), cache_mode_name(args->mode));
	if (args->guesses_format)
		(void)fprintf(stderr,
			"%s: '%s' cannot be told that the image is raw: it guesses from what the guest has written\n",
			PROGRAM, qemu);
}

/* ---- what is to be done ---- */

static int make(const struct options *o, const struct dialect *dialect, struct drive_args *ret_args,
	struct problem *problem)
{
	if (!o->rewrite)
		return drive_args_make(dialect, &o->request, ret_args, problem);
	ret_args->nr = 1;
	return drive_args_rewrite(dialect, o->request.mode, o->request.path, &ret_args->words[0],
		&ret_args->mode, problem);
}

static enum drive_args_exit answer(
	const struct options *o, const char *qemu, const struct dialect *dialect)
{
	struct drive_args args = {0};
	struct problem problem;
	enum drive_args_exit result = ARGS_OK;
	int r = make(o, dialect, &args, &problem);

	if (r == -EINVAL)
		return fail(ARGS_USAGE, &problem);
	if (r < 0 && r != -ENOTSUP)
		return fail(ARGS_FAILED, &problem);
	if (o->json)
		result = print_json(o, qemu, dialect, r == 0 ? &args : NULL, &problem);
	if (r == 0) {
		warn_of(o, qemu, &args);
		if (!o->json)
			print_words(o, &args);
		drive_args_fini(&args);
		return result;
	}
	return result ? result : fail(ARGS_REFUSED, &problem);
}

/* The first one that is there. */
static enum drive_args_exit probe_usual(
	const struct options *o, const char **ret_qemu, struct dialect *ret_dialect)
{
	struct problem problem;
	const char *qemu;

	for (unsigned i = 0; (qemu = usual_qemu(i)); i++) {
		int r = probe_qemu(qemu, PROBE_ALL, o->timeout_ms, ret_dialect, &problem);

		*ret_qemu = qemu;
		if (r == 0)
			return ARGS_OK;
		if (r != -ENOENT)
			return fail(ARGS_NO_QEMU, &problem);
	}
	(void)fprintf(stderr, "%s: there is no QEMU where it usually is: say which\n", PROGRAM);
	return ARGS_NO_QEMU;
}

static enum drive_args_exit run(struct options *o, unsigned n, char **words)
{
	struct dialect dialect;
	struct problem problem;
	struct stat st;
	const char *qemu;
	enum drive_args_exit result = ARGS_OK;

	if (n < 2 || n > 3)
		return misuse("an image and a cache mode are wanted, and perhaps a QEMU", "");
	if (!cache_mode_parse(words[1], &o->request.mode))
		return misuse("that is not a cache mode: ", words[1]);
	o->request.path = words[0];
	/* One that is not there yet will be a file. */
	o->request.is_block = !o->rewrite && stat(words[0], &st) == 0 && S_ISBLK(st.st_mode);
	qemu = n > 2 ? words[2] : NULL;
	if (qemu == NULL)
		result = probe_usual(o, &qemu, &dialect);
	else if (probe_qemu(qemu, PROBE_ALL, o->timeout_ms, &dialect, &problem) < 0)
		result = fail(ARGS_NO_QEMU, &problem);
	return result ? result : answer(o, qemu, &dialect);
}

/* ---- arguments ---- */

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

/* The options that are a yes. */
static bool set_flag(struct options *o, int letter)
{
	struct drive_request *request = &o->request;

	switch (letter) {
	case 'd':
		request->style = DRIVE_STYLE_DRIVE;
		return true;
	case 'b':
		request->style = DRIVE_STYLE_BLOCKDEV;
		return true;
	case 'r':
		return request->read_only = true;
	case 'u':
		return request->discard = true;
	case 'k':
		return request->lock = true;
	case 'w':
		return o->rewrite = true;
	case 'j':
		return o->json = true;
	case 'z':
		return o->null = true;
	default:
		return false;
	}
}

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"drive", no_argument, NULL, 'd'},
		{"blockdev", no_argument, NULL, 'b'},
		{"interface", required_argument, NULL, 'i'},
		{"id", required_argument, NULL, 'n'},
		{"read-only", no_argument, NULL, 'r'},
		{"discard", no_argument, NULL, 'u'},
		{"lock", no_argument, NULL, 'k'},
		{"rewrite", no_argument, NULL, 'w'},
		{"json", no_argument, NULL, 'j'},
		{"null", no_argument, NULL, 'z'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":dbi:n:rukwjzt:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'i':
			if (!drive_if_parse(optarg, &o->request.interface))
				return misuse("that is not ide, scsi, virtio or none: ", optarg);
			break;
		case 'n':
			o->request.id = optarg;
			break;
		case 't':
			if (!parse_timeout(optarg, &o->timeout_ms))
				return misuse("a timeout is 1 to 3600 seconds, not ", optarg);
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return ARGS_OK;
		case 'V':
			(void)puts(PROGRAM " " BLKBACK_VERSION);
			return ARGS_OK;
		default:
			if (set_flag(o, c))
				break;
			usage_refuse(PROGRAM, c, argv);
			return ARGS_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = {.request = {.id = ID}, .timeout_ms = TIMEOUT * 1000};
	int result = parse(argc, argv, &o);

	if (result >= 0)
		return result;
	result = (int)run(&o, (unsigned)(argc - optind), argv + optind);
	/* An output that was cut short is no success. */
	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "%s: standard output: %s\n", PROGRAM, strerror(errno));
		return ARGS_FAILED;
	}
	return result;
}
