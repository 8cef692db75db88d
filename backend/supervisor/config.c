#include "backend/supervisor/config.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/limits.h"
#include "xenstore/node.h"
#include "xenstore/path.h"

#define SECTION "blkbackd"

#define NAME_CHARS                                                                                 \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-" /* of a file */
#define KIND_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-"

#define DELAY_MIN_MS  10u
#define DELAY_MAX_MS  600000u
#define WINDOW_MIN_MS 1000u
#define WINDOW_MAX_MS 86400000u
#define LINE_BYTES    200 /* inih takes no longer ones, terminator included */

void config_default(struct config *ret_config)
{
	*ret_config = (struct config){
		.kinds = {2, {"vbd3", "vbd"}},
		.scripts = {1, {"block-blkback"}},
		.worker = "blkback-vbd",
		.device_model = "auto",
		.max_grants = LIMIT_GRANTS_HOST,
		.restarts = {.delay_min_ms = 100,
			.delay_max_ms = 10000,
			.limit = 5,
			.window_ms = 60000},
	};
}

bool config_has(const struct config_words *words, const char *word)
{
	for (unsigned i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

bool config_same(const struct config_words *a, const struct config_words *b)
{
	for (unsigned i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->word[i], b->word[i]) != 0)
			return false;
	return a->n == b->n;
}

/* ---- values: each returns false for one that is not allowed ---- */

/* Words of @charset, separated by blanks, none of them twice. */
static bool parse_words(
	const char *text, size_t word_max, const char *charset, struct config_words *ret_words)
{
	struct config_words words = {.n = 0};

	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		size_t n = strcspn(text, " \t");
		char word[CONFIG_WORD_MAX + 1];

		if (n > word_max || strspn(text, charset) < n || words.n == CONFIG_WORDS_MAX)
			return false;
		memcpy(word, text, n);
		word[n] = '\0';
		if (config_has(&words, word))
			return false;
		memcpy(words.word[words.n++], word, n + 1);
		text += n;
	}
	*ret_words = words;
	return words.n > 0;
}

static bool parse_kinds(const char *text, struct config *config)
{
	return parse_words(text, VBD_KIND_MAX, KIND_CHARS, &config->kinds);
}

static bool parse_scripts(const char *text, struct config *config)
{
	return parse_words(text, CONFIG_WORD_MAX, NAME_CHARS, &config->scripts);
}

/* A name to search for, or the whole path. */
static bool parse_program(const char *text, char ret_program[CONFIG_PATH_MAX + 1])
{
	size_t n = strlen(text);

	if (n == 0 || n > CONFIG_PATH_MAX || (strchr(text, '/') && text[0] != '/'))
		return false;
	memcpy(ret_program, text, n + 1);
	return true;
}

static bool parse_worker(const char *text, struct config *config)
{
	return parse_program(text, config->worker);
}

static bool parse_device_model(const char *text, struct config *config)
{
	return parse_program(text, config->device_model);
}

static bool parse_level(const char *text, struct config *config)
{
	static const char *const levels[] = {"info", "debug"};
	unsigned level;

	if (!node_parse_enum(text, levels, 2, &level))
		return false;
	config->debug = level == 1;
	return true;
}

/* A number with its unit: 250ms, 10s. */
static bool parse_time(const char *text, uint32_t min_ms, uint32_t max_ms, uint32_t *ret_ms)
{
	size_t n = strspn(text, "0123456789");
	uint32_t factor = strcmp(text + n, "ms") == 0 ? 1 : strcmp(text + n, "s") == 0 ? 1000 : 0;
	char digits[16];
	uint32_t value;

	if (factor == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!node_parse_u32(digits, 0, max_ms / factor, &value) || value * factor < min_ms)
		return false;
	*ret_ms = value * factor;
	return true;
}

static bool parse_delay_min(const char *text, struct config *config)
{
	return parse_time(text, DELAY_MIN_MS, DELAY_MAX_MS, &config->restarts.delay_min_ms);
}

static bool parse_delay_max(const char *text, struct config *config)
{
	return parse_time(text, DELAY_MIN_MS, DELAY_MAX_MS, &config->restarts.delay_max_ms);
}

static bool parse_limit(const char *text, struct config *config)
{
	return node_parse_u32(text, 0, RESTARTS_LIMIT_MAX, &config->restarts.limit);
}

static bool parse_window(const char *text, struct config *config)
{
	return parse_time(text, WINDOW_MIN_MS, WINDOW_MAX_MS, &config->restarts.window_ms);
}

static bool parse_max_queues(const char *text, struct config *config)
{
	if (strcmp(text, "auto") == 0) {
		config->max_queues = 0;
		return true;
	}
	return node_parse_u32(text, 1, LIMIT_QUEUES, &config->max_queues);
}

static bool parse_max_grants(const char *text, struct config *config)
{
	return node_parse_u32(text, 0, LIMIT_GRANTS_HOST_MAX, &config->max_grants);
}

static bool parse_cache(const char *text, struct config *config)
{
	return cache_mode_parse(text, &config->cache);
}

enum key_id {
	KEY_KINDS,
	KEY_SCRIPTS,
	KEY_WORKER,
	KEY_DEVICE_MODEL,
	KEY_LOG_LEVEL,
	KEY_MAX_QUEUES,
	KEY_MAX_GRANTS,
	KEY_CACHE,
	KEY_DELAY_MIN,
	KEY_DELAY_MAX,
	KEY_LIMIT,
	KEY_WINDOW,
	NR_KEYS,
};

static const struct key {
	const char *name;
	bool (*parse)(const char *text, struct config *config);
	const char *allowed;
} keys[NR_KEYS] = {
	[KEY_KINDS] = {"kinds", parse_kinds,
		"up to 8 different backend kinds of a-z, 0-9, _ and -, separated by blanks"},
	[KEY_SCRIPTS] = {"scripts", parse_scripts,
		"up to 8 different names of hotplug scripts, without their directory, separated by blanks"},
	[KEY_WORKER] = {"worker", parse_worker, "a program's name or absolute path"},
	[KEY_DEVICE_MODEL] = {"device-model", parse_device_model,
		"auto, a program's name or absolute path"},
	[KEY_LOG_LEVEL] = {"log-level", parse_level, "info or debug"},
	[KEY_MAX_QUEUES] = {"max-queues", parse_max_queues, "auto or a number from 1 to 8"},
	[KEY_MAX_GRANTS] = {"max-grants", parse_max_grants, "a number from 0 to 16777216"},
	[KEY_CACHE] = {"cache", parse_cache, "none, directsync, writethrough, writeback or unsafe"},
	[KEY_DELAY_MIN] = {"restart-delay-min", parse_delay_min, "a time from 10ms to 600s"},
	[KEY_DELAY_MAX] = {"restart-delay-max", parse_delay_max, "a time from 10ms to 600s"},
	[KEY_LIMIT] = {"restart-limit", parse_limit, "a number from 0 to 100"},
	[KEY_WINDOW] = {"restart-window", parse_window, "a time from 1s to 86400s"},
};

/* ---- the file, line by line ---- */

struct reading {
	FILE *file;
	const char *name;
	int error;     /* errno of reading, or 0 */
	unsigned line; /* that inih has last got */
	char *buffer;  /* of getline() */
	size_t room;
	unsigned seen[NR_KEYS]; /* line of each key, or 0 */
	struct config config;
	unsigned bad_line; /* of the first problem, or 0 */
	struct problem *problem;
};

/* A problem of the current line; only the first one is kept. */
#define COMPLAIN(reading, ...)                                                                     \
	do {                                                                                       \
		if ((reading)->bad_line == 0) {                                                    \
			(reading)->bad_line = (reading)->line;                                     \
			(void)problem_set((reading)->problem, -EINVAL, __VA_ARGS__);               \
		}                                                                                  \
	} while (0)

/*
 * inih's reader: one whole line, or the end. Blanks at its start go, because inih takes an indented
 * line for more of the one before. What inih would cut or misread is not shown to it.
 */
static char *next_line(char *room, int size, void *stream)
{
	struct reading *r = stream;
	ssize_t n = getline(&r->buffer, &r->room, r->file);
	const char *start = r->buffer;

	if (n < 0) {
		r->error = ferror(r->file) ? errno : 0;
		return NULL;
	}
	r->line++;
	room[0] = '\0';
	if (strlen(start) != (size_t)n) {
		COMPLAIN(r, "%s:%u: the line holds a NUL byte", r->name, r->line);
		return room;
	}
	start += strspn(start, " \t");
	n -= start - r->buffer;
	if (n >= LINE_BYTES - 3 || n >= size) {
		COMPLAIN(r, "%s:%u: the line is longer than %d bytes", r->name, r->line,
			LINE_BYTES - 4);
		return room;
	}
	memcpy(room, start, (size_t)n + 1);
	return room;
}

/* Every key, for somebody who has mistyped one. */
static const char *all_keys(char *room, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < NR_KEYS && n < size; i++)
		n += (size_t)snprintf(room + n, size - n, "%s%s", i ? ", " : "", keys[i].name);
	return room;
}

static void take_key(struct reading *r, const char *name, const char *value)
{
	char known[256];

	for (unsigned i = 0; i < NR_KEYS; i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (r->seen[i])
			COMPLAIN(r, "%s:%u: key '%s' is there twice: the first is in line %u",
				r->name, r->line, name, r->seen[i]);
		r->seen[i] = r->line;
		if (!keys[i].parse(value, &r->config))
			COMPLAIN(r, "%s:%u: %s = '%s' is not allowed: %s is", r->name, r->line,
				name, value, keys[i].allowed);
		return;
	}
	COMPLAIN(r, "%s:%u: there is no key '%s': the keys are %s", r->name, r->line, name,
		all_keys(known, sizeof(known)));
}

/* inih's handler of one key. */
static int heed_key(void *ctx, const char *section, const char *name, const char *value)
{
	struct reading *r = ctx;

	if (strcmp(section, SECTION) == 0)
		take_key(r, name, value);
	else
		COMPLAIN(r,
			"%s:%u: key '%s' is in section '%s': all keys belong into [" SECTION "]",
			r->name, r->line, name, section);
	return r->bad_line == 0;
}

static void check_whole(struct reading *r)
{
	const struct restarts_rules *rules = &r->config.restarts;

	if (rules->delay_min_ms > rules->delay_max_ms)
		COMPLAIN(r,
			"%s:%u: restart-delay-min, %" PRIu32
			"ms, is longer than restart-delay-max, %" PRIu32 "ms",
			r->name,
			r->seen[KEY_DELAY_MIN] > r->seen[KEY_DELAY_MAX] ? r->seen[KEY_DELAY_MIN]
									: r->seen[KEY_DELAY_MAX],
			rules->delay_min_ms, rules->delay_max_ms);
}

int config_read(
	FILE *file, const char *name, struct config *ret_config, struct problem *ret_problem)
{
	struct reading r = {.file = file, .name = name, .problem = ret_problem};
	int bad;

	config_default(&r.config);
	bad = ini_parse_stream(next_line, &r, heed_key, &r);
	free(r.buffer);
	if (r.error)
		return problem_set(
			ret_problem, -r.error, "%s: cannot be read: %s", name, strerror(r.error));
	if (bad < 0)
		return problem_set(ret_problem, -ENOMEM, "%s: no memory to read it", name);
	if (bad > 0 && (r.bad_line == 0 || (unsigned)bad < r.bad_line))
		return problem_set(ret_problem, -EINVAL,
			"%s:%d: neither a section, 'key = value' nor a comment", name, bad);
	if (r.bad_line == 0)
		check_whole(&r);
	if (r.bad_line || bad)
		return -EINVAL;
	*ret_config = r.config;
	return 0;
}

int config_load(const char *path, bool may_be_missing, struct config *ret_config,
	struct problem *ret_problem)
{
	FILE *file = fopen(path, "re");
	int r;

	if (!file && errno == ENOENT && may_be_missing) {
		config_default(ret_config);
		return 0;
	}
	if (!file)
		return problem_set(
			ret_problem, -errno, "%s: cannot be opened: %s", path, strerror(errno));
	r = config_read(file, path, ret_config, ret_problem);
	(void)fclose(file);
	return r;
}
