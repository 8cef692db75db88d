/*
 * The inputs that are kept, put to a fuzz target without libFuzzer: NAME-t [FILE|FOLDER]... runs those, by default
 * all of tests/fuzz/corpus/NAME. One TAP line for each; a target that objects ends the program.
 */
#include <dirent.h>
#include <libgen.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

/* libFuzzer's own limit for what it makes up is lower. */
#define INPUT_MAX (1u << 20)

static unsigned nr_run;

static void run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(INPUT_MAX);
	size_t n;

	FUZZ_CHECK(file && data, "%s cannot be read", path);
	n = fread(data, 1, INPUT_MAX, file);
	(void)fclose(file);
	/* So that the address sanitizer sees a look behind its end. */
	data = realloc(data, n ? n : 1);
	FUZZ_CHECK(data, "no memory");
	(void)fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(data, n);
	free(data);
	printf("ok %u - %s\n", ++nr_run, path);
	(void)fflush(stdout);
}

static int no_dots(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n;

	FUZZ_CHECK(stat(path, &st) == 0, "there is no %s", path);
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	n = scandir(path, &entries, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		(void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		run_file(name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	const char *name = basename(argv[0]);
	char corpus[256];

	for (int i = 1; i < argc; i++)
		run(argv[i]);
	if (argc == 1) {
		(void)snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%.*s",
			(int)strlen(name) - 2, name);
		run(corpus);
	}
	FUZZ_CHECK(nr_run > 0, "no inputs");
	printf("1..%u\n", nr_run);
	return 0;
}
