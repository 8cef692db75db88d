/*
 * The administrator's nodes in a disk's backend directory, whatever a script or a slip of the hand has put there: the input
 * is a line for each of cache-mode, features-off, discard-enable, transfer and engine; one that is missing is a node that is missing.
 * Only what the list names is off, and what transfer makes useless.
 */
#include <errno.h>

#include "backend/control/options.h"
#include "tests/fuzz/fake_store.h"
#include "tests/fuzz/fuzz.h"
#include "xenstore/store.h"

#define BACKEND "backend/vbd/7/51712"

static const char *const names[] = {
	"cache-mode", "features-off", "discard-enable", "transfer", "engine"};

#define NR_LINES 5

struct line {
	const uint8_t *at;
	size_t n;
	bool there;
};

static bool is_text(const struct line *line, const char *text)
{
	return line->there && line->n == strlen(text) && memcmp(line->at, text, line->n) == 0;
}

/* Whether @word is in the list; and in @left what of it is neither this word nor a plus. */
static bool has_word(const struct line *list, const char *word, size_t *left)
{
	const uint8_t *at = list->at, *end = list->at + list->n;
	bool found = false;

	if (!list->there)
		return false;
	while (at <= end) {
		const uint8_t *plus = at < end ? memchr(at, '+', (size_t)(end - at)) : NULL;
		size_t n = (size_t)((plus ? plus : end) - at);

		if (n == strlen(word) && memcmp(at, word, n) == 0) {
			*left -= n;
			found = true;
		}
		at += n + 1;
	}
	return found;
}

/* None if it does not say, CACHE_MODE_COUNT if it is not one. */
static enum cache_mode mode_of(const struct line *line)
{
	static const struct {
		const char *name;
		enum cache_mode mode;
	} modes[] = {{"none", CACHE_NONE}, {"directsync", CACHE_DIRECTSYNC},
		{"writethrough", CACHE_WRITETHROUGH}, {"writeback", CACHE_WRITEBACK},
		{"unsafe", CACHE_UNSAFE}, {"volatile", CACHE_UNSAFE}};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (is_text(line, modes[i].name))
			return modes[i].mode;
	return line->there ? CACHE_MODE_COUNT : CACHE_NONE;
}

static bool expect(const struct line lines[NR_LINES], struct disk_options *ret_options)
{
	const struct line *list = &lines[1];
	size_t left = list->there ? list->n : 0, nr_words = 1;
	struct disk_options options;

	options.transfer = is_text(&lines[3], "map")    ? TRANSFER_MAP
			   : is_text(&lines[3], "copy") ? TRANSFER_COPY
							: TRANSFER_AUTO;
	options.engine = is_text(&lines[4], "aio")        ? DISK_ENGINE_AIO
			 : is_text(&lines[4], "io_uring") ? DISK_ENGINE_URING
							  : DISK_ENGINE_AUTO;
	options.persistent =
		!has_word(list, "persistent", &left) && options.transfer != TRANSFER_COPY;
	options.flush = !has_word(list, "flush-cache", &left);
	options.barrier = !has_word(list, "barrier", &left);
	options.multi_queue = !has_word(list, "multi-queue", &left);
	options.indirect = !has_word(list, "indirect", &left);
	options.discard = !has_word(list, "discard", &left) && !is_text(&lines[2], "0");
	options.cache = mode_of(&lines[0]);
	/* D4 */
	if (options.cache == CACHE_DIRECTSYNC || options.cache == CACHE_WRITETHROUGH)
		options.flush = options.barrier = false;
	else if (!options.flush && !options.barrier && options.cache == CACHE_NONE)
		options.cache = CACHE_DIRECTSYNC;
	else if (!options.flush && !options.barrier && options.cache == CACHE_WRITEBACK)
		options.cache = CACHE_WRITETHROUGH;
	for (size_t i = 0; list->there && i < list->n; i++)
		nr_words += list->at[i] == '+';
	*ret_options = options;
	/* All that remains are pluses, each between two words. */
	if (list->there && list->n > 0 &&
		(left != nr_words - 1 || list->n > 256 || list->at[0] == '+' ||
			list->at[list->n - 1] == '+' || memmem(list->at, list->n, "++", 2)))
		return false;
	return (!lines[0].there || mode_of(&lines[0]) != CACHE_MODE_COUNT) &&
	       (!lines[3].there || options.transfer != TRANSFER_AUTO ||
		       is_text(&lines[3], "auto")) &&
	       (!lines[4].there || options.engine != DISK_ENGINE_AUTO ||
		       is_text(&lines[4], "auto")) &&
	       (!lines[2].there || is_text(&lines[2], "0") || is_text(&lines[2], "1"));
}

static bool same(const struct disk_options *a, const struct disk_options *b)
{
	return a->persistent == b->persistent && a->flush == b->flush && a->barrier == b->barrier &&
	       a->multi_queue == b->multi_queue && a->indirect == b->indirect &&
	       a->discard == b->discard && a->transfer == b->transfer && a->engine == b->engine &&
	       a->cache == b->cache;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	struct problem problem = {.text = ""};
	struct line lines[NR_LINES] = {{.at = at}, {.at = at}, {.at = at}, {.at = at}, {.at = at}};
	struct disk_options options, expected;
	struct store *store;
	bool good;
	int r;

	fake_store_reset();
	for (unsigned i = 0; i < NR_LINES && at < end; i++) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		char path[96];

		lines[i] = (struct line){at, (size_t)((newline ? newline : end) - at), true};
		at += lines[i].n + 1;
		(void)snprintf(path, sizeof(path), BACKEND "/%s", names[i]);
		(void)fake_store_set(path, lines[i].at, lines[i].n, 0);
	}
	good = expect(lines, &expected);
	FUZZ_CHECK(store_open(&store) == 0, "no store");
	r = options_read(store, BACKEND, CACHE_NONE, &options, &problem);
	store_close(store);
	FUZZ_CHECK((r == 0) == good, "%d: %s", r, r ? problem.text : "accepted");
	FUZZ_CHECK(r ? r == -EINVAL && strstr(problem.text, BACKEND) : same(&options, &expected),
		"%d: %s", r, problem.text);
	return 0;
}
