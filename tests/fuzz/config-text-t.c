/*
 * blkbackd.conf with any bytes: what is accepted is within its limits, what is not is told in one line, and then the
 * configuration is as it was.
 */
#include <errno.h>

#include "backend/supervisor/config.h"
#include "backend/util/limits.h"
#include "tests/fuzz/fuzz.h"

static void check_words(const struct config_words *words)
{
	FUZZ_CHECK(words->n > 0 && words->n <= CONFIG_WORDS_MAX, "%u words", words->n);
	for (unsigned i = 0; i < words->n; i++) {
		const char *word = words->word[i];

		FUZZ_CHECK(memchr(word, '\0', sizeof(words->word[i])) && word[0], "no word");
		for (; *word; word++)
			FUZZ_CHECK(*word > ' ' && *word <= '~' && *word != '/', "byte %#x", *word);
	}
}

static void check_config(const struct config *config)
{
	const struct restarts_rules *rules = &config->restarts;

	check_words(&config->kinds);
	check_words(&config->scripts);
	FUZZ_CHECK(memchr(config->worker, '\0', sizeof(config->worker)) && config->worker[0],
		"no worker");
	FUZZ_CHECK(config->worker[0] == '/' || !strchr(config->worker, '/'), "worker '%s'",
		config->worker);
	FUZZ_CHECK(config->max_queues <= LIMIT_QUEUES, "%u queues", config->max_queues);
	FUZZ_CHECK(rules->delay_min_ms >= 10 && rules->delay_min_ms <= rules->delay_max_ms &&
			   rules->delay_max_ms <= 600000,
		"%u to %u ms", rules->delay_min_ms, rules->delay_max_ms);
	FUZZ_CHECK(rules->limit <= RESTARTS_LIMIT_MAX && rules->window_ms >= 1000 &&
			   rules->window_ms <= 86400000,
		"%u in %u ms", rules->limit, rules->window_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, untouched;
	struct problem problem;
	FILE *file;
	int r;

	/* fmemopen() has no empty files. */
	if (size == 0)
		return 0;
	file = fmemopen((void *)data, size, "r");
	FUZZ_CHECK(file, "no file");
	memset(&untouched, 0xa5, sizeof(untouched));
	config = untouched;
	problem.text[0] = '\0';
	r = config_read(file, "blkbackd.conf", &config, &problem);
	(void)fclose(file);
	if (r == 0) {
		check_config(&config);
		return 0;
	}
	FUZZ_CHECK(r == -EINVAL, "error %d", r);
	FUZZ_CHECK(memcmp(&config, &untouched, sizeof(config)) == 0, "changed by a refusal");
	FUZZ_CHECK(strncmp(problem.text, "blkbackd.conf:", 14) == 0 &&
			   memchr(problem.text, '\0', sizeof(problem.text)) &&
			   !strchr(problem.text, '\n'),
		"'%s'", problem.text);
	return 0;
}
