#include "backend/control/uevent.h"

#include <stdio.h>
#include <string.h>

/* The words that decide, each "KEY=VALUE". */
enum wanted {
	WANTED_ACTION,
	WANTED_SUBSYSTEM,
	WANTED_MAJOR,
	WANTED_MINOR,
	WANTED_COUNT,
};

struct wanted_word {
	char text[24];
	bool seen;
};

/* False if @word has a key that decides, and another value, or comes a second time. */
static bool note_word(struct wanted_word wanted[WANTED_COUNT], const char *word)
{
	size_t key = (size_t)(strchr(word, '=') - word) + 1;

	for (unsigned i = 0; i < WANTED_COUNT; i++) {
		if (strncmp(wanted[i].text, word, key) != 0)
			continue;
		if (wanted[i].seen || strcmp(wanted[i].text, word) != 0)
			return false;
		wanted[i].seen = true;
	}
	return true;
}

static bool all_seen(const struct wanted_word wanted[WANTED_COUNT])
{
	for (unsigned i = 0; i < WANTED_COUNT; i++)
		if (!wanted[i].seen)
			return false;
	return true;
}

bool uevent_is_change(const char *message, size_t n, unsigned major, unsigned minor)
{
	static const char heading[] = "change@/";
	struct wanted_word wanted[WANTED_COUNT] = {
		[WANTED_ACTION] = {.text = "ACTION=change"},
		[WANTED_SUBSYSTEM] = {.text = "SUBSYSTEM=block"},
	};
	const char *end = message + n;

	(void)snprintf(wanted[WANTED_MAJOR].text, sizeof(wanted[0].text), "MAJOR=%u", major);
	(void)snprintf(wanted[WANTED_MINOR].text, sizeof(wanted[0].text), "MINOR=%u", minor);
	/* Every word ends with a NUL: so no look at one goes beyond the message. */
	if (n < sizeof(heading) || end[-1] != '\0' ||
		memcmp(message, heading, sizeof(heading) - 1) != 0)
		return false;
	for (const char *word = message + strlen(message) + 1; word < end; word += strlen(word) + 1)
		if (strchr(word, '=') == NULL || !note_word(wanted, word))
			return false;
	return all_seen(wanted);
}
