#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/drive_args.h"
#include "qemu-dm-bridge/dialect/optstr.h"

/* Options of the file that an image lies in are named like the image's, with "file." in front. */
static struct optstr without_layers(const struct optstr *option)
{
	static const char layer[] = "file.";
	struct optstr bare = *option;

	while (bare.name_len > sizeof(layer) - 1 &&
		memcmp(bare.start, layer, sizeof(layer) - 1) == 0) {
		bare.start += sizeof(layer) - 1;
		bare.len -= sizeof(layer) - 1;
		bare.name_len -= sizeof(layer) - 1;
	}
	return bare;
}

/*
 * cache, the flag nocache, and what QEMU 1.7 has split it into: these take precedence there, so one that
 * stays would undo the mode.
 */
static bool is_cache_option(const struct optstr *option)
{
	static const char group[] = "cache.";
	struct optstr bare = without_layers(option);

	return optstr_is(&bare, "cache") || optstr_is(&bare, "nocache") ||
	       (bare.name_len >= sizeof(group) - 1 &&
		       memcmp(bare.start, group, sizeof(group) - 1) == 0);
}

/* QEMU does not start with it when the page cache is used; its own default works in any mode. */
static bool is_native_aio(const struct optstr *option)
{
	struct optstr bare = without_layers(option);

	return optstr_is(&bare, "aio") && optstr_has_value(&bare, "native");
}

static void put_cache(FILE *to, const struct recipe *recipe)
{
	for (unsigned i = 0; i < RECIPE_OPTIONS && recipe->options[i] != DIALECT_END; i++)
		(void)fprintf(to, "%s%s=%s", i ? "," : "", dialect_name(recipe->options[i]),
			dialect_value(recipe->options[i]));
}

/* The first cache option is replaced, others are left out; without one ours comes last. */
static void write_value(FILE *to, const char *value, const struct recipe *recipe)
{
	struct optstr option;
	bool done = false;
	const char *comma = "";

	while (optstr_next(&value, &option)) {
		bool cache = is_cache_option(&option);

		if ((cache && done) || (is_native_aio(&option) && !cache_is_direct(recipe->mode)))
			continue;
		(void)fputs(comma, to);
		comma = ",";
		if (cache)
			put_cache(to, recipe);
		else
			(void)fwrite(option.start, 1, option.len, to);
		done = done || cache;
	}
	if (done)
		return;
	(void)fputs(comma, to);
	put_cache(to, recipe);
}

/*
 * An option of nothing is a mistake that QEMU finds. Left where it is, its comma and one before it would be
 * the doubled comma of a name once what stands between them is left out: another file.
 */
static int check_commas(const char *value, struct problem *problem)
{
	struct optstr option;

	while (optstr_next(&value, &option))
		if (option.len == 0)
			return problem_set(problem, -EINVAL,
				"a -drive has a comma too many: in front of it there is no option");
	return 0;
}

/*
 * A drive for CDs that is empty has no cache, and QEMU does not start if it is given one. An image is named by
 * "file", or by options of its own for the file, or the driver.
 */
static bool has_image(const char *value)
{
	static const char layer[] = "file.";
	struct optstr option;

	while (optstr_next(&value, &option)) {
		if (optstr_is(&option, "driver") || optstr_is(&option, "filename"))
			return true;
		if (optstr_is(&option, "file") && option.len > option.name_len + 1)
			return true;
		if (option.name_len > sizeof(layer) - 1 &&
			memcmp(option.start, layer, sizeof(layer) - 1) == 0)
			return true;
	}
	return false;
}

/* A file name may itself be a set of options, with caches of its own, that we do not read. */
static int check_file(const char *value, struct problem *problem)
{
	static const char json[] = "json:";
	char *file;
	bool has_options;
	int r = optstr_get(value, "file", &file);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return problem_set(problem, r, "no memory");
	has_options = strncmp(file, json, sizeof(json) - 1) == 0;
	free(file);
	return has_options
		       ? problem_set(problem, -ENOTSUP,
				 "a -drive whose file is '%s...' has options of its own, which are not changed here",
				 json)
		       : 0;
}

/* Nothing is in any mode. */
static int keep(enum cache_mode wanted, const char *value, char **ret_value,
	enum cache_mode *ret_mode, struct problem *problem)
{
	char *same = strdup(value);

	if (same == NULL)
		return problem_set(problem, -ENOMEM, "no memory");
	*ret_value = same;
	*ret_mode = wanted;
	return 0;
}

int drive_args_rewrite(const struct dialect *dialect, enum cache_mode wanted, const char *value,
	char **ret_value, enum cache_mode *ret_mode, struct problem *problem)
{
	const struct recipe *recipe = recipe_choose(dialect, wanted, DRIVE_STYLE_DRIVE, NULL);
	char *text = NULL;
	size_t size;
	FILE *to;
	bool ok;
	int r = check_commas(value, problem);

	if (r == 0)
		r = check_file(value, problem);
	if (r < 0)
		return r;
	if (!has_image(value))
		return keep(wanted, value, ret_value, ret_mode, problem);
	if (recipe == NULL)
		return problem_set(problem, -ENOTSUP,
			"this QEMU cannot open a disk in mode %s, nor in one that is safer, with -drive alone: %s",
			cache_mode_name(wanted), recipe_lacks(wanted));
	to = open_memstream(&text, &size);
	if (to == NULL)
		return problem_set(problem, -ENOMEM, "no memory");
	write_value(to, value, recipe);
	ok = !ferror(to);
	ok = fclose(to) == 0 && ok;
	if (!ok) {
		free(text);
		return problem_set(problem, -ENOMEM, "no memory");
	}
	*ret_value = text;
	*ret_mode = recipe->mode;
	return 0;
}
