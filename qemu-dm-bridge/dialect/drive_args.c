#include "qemu-dm-bridge/dialect/drive_args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/optstr.h"

/* QEMU's own limit for a node's name, with its end. */
#define ID_SIZE 32

static const struct {
	const char *name; /* as -drive has it */
	struct recipe_device device;
} interfaces[DRIVE_IF_COUNT] = {
	[DRIVE_IF_IDE] = {"ide", {"ide-hd", DIALECT_IDE_DRIVE, DIALECT_IDE_WRITE_CACHE_ON,
					 DIALECT_IDE_WRITE_CACHE_OFF}},
	[DRIVE_IF_SCSI] = {"scsi", {"scsi-hd", DIALECT_SCSI_DRIVE, DIALECT_SCSI_WRITE_CACHE_ON,
					   DIALECT_SCSI_WRITE_CACHE_OFF}},
	[DRIVE_IF_VIRTIO] = {"virtio",
		{"virtio-blk-pci", DIALECT_VIRTIO_DRIVE, DIALECT_VIRTIO_WRITE_CACHE_ON,
			DIALECT_VIRTIO_WRITE_CACHE_OFF}},
	[DRIVE_IF_NONE] = {"none", {NULL, DIALECT_END, DIALECT_END, DIALECT_END}},
};

bool drive_if_parse(const char *text, enum drive_if *ret_interface)
{
	for (unsigned i = 0; i < DRIVE_IF_COUNT; i++) {
		if (strcmp(text, interfaces[i].name) != 0)
			continue;
		*ret_interface = (enum drive_if)i;
		return true;
	}
	return false;
}

void drive_args_fini(struct drive_args *args)
{
	if (args == NULL)
		return;
	for (unsigned i = 0; i < DRIVE_ARGS_MAX; i++)
		free(args->words[i]);
	memset(args, 0, sizeof(*args));
}

/* ---- what is being written ---- */

/* The words so far; a word that had no memory is NULL, which is seen at the end. */
struct writer {
	const struct dialect *dialect;
	const struct drive_request *request;
	const struct recipe *recipe;
	struct drive_args args;
	FILE *word;
	size_t size;
};

static bool begin(struct writer *w)
{
	w->word = open_memstream(&w->args.words[w->args.nr], &w->size);
	return w->word != NULL;
}

/* Closing says whether all of it found memory. */
static bool end(struct writer *w)
{
	bool ok = !ferror(w->word);

	ok = fclose(w->word) == 0 && ok;
	w->word = NULL;
	w->args.nr++;
	return ok;
}

static bool add_word(struct writer *w, const char *word)
{
	w->args.words[w->args.nr] = strdup(word);
	return w->args.words[w->args.nr++] != NULL;
}

/* Nothing else writes an option of QEMU's, so that each is one that was looked for (B30). */
static void put(struct writer *w, enum dialect_option option)
{
	(void)fprintf(w->word, ",%s=%s", dialect_name(option), dialect_value(option));
}

static void put_options(struct writer *w)
{
	for (unsigned i = 0; i < RECIPE_OPTIONS && w->recipe->options[i] != DIALECT_END; i++)
		if (dialect_value(w->recipe->options[i])[0])
			put(w, w->recipe->options[i]);
}

/*
 * Where QEMU takes a name such as "nbd:host" for a protocol, a file of that name in this directory is
 * "./nbd:host".
 */
static void put_path(struct writer *w)
{
	const char *path = w->request->path;
	size_t first = strcspn(path, ":/");

	if (path[first] == ':')
		(void)fputs("./", w->word);
	optstr_quote(w->word, path);
}

/* ---- the styles ---- */

static bool write_device(struct writer *w)
{
	const struct recipe_device *device = &interfaces[w->request->interface].device;
	enum dialect_option write_cache = recipe_write_cache(w->recipe, device);

	if (!add_word(w, dialect_name(DIALECT_DEVICE)) || !begin(w))
		return false;
	(void)fprintf(
		w->word, "%s,%s=%s", device->name, dialect_name(device->drive), w->request->id);
	if (write_cache != DIALECT_END)
		put(w, write_cache);
	return end(w);
}

/*
 * if=scsi made a controller, too, in old QEMUs; now it is refused, and a device goes to the controller that
 * another argument makes.
 */
static bool needs_device(const struct writer *w)
{
	const struct recipe_device *device = &interfaces[w->request->interface].device;

	if (w->recipe->device != RECIPE_DEVICE_AS_IT_IS)
		return true;
	return w->request->interface == DRIVE_IF_SCSI && w->dialect->has[DIALECT_DEVICE] &&
	       w->dialect->has[DIALECT_DRIVE_ID] && w->dialect->has[device->drive];
}

/* if=none has no probe of its own: it came with -device, in QEMU 0.12, and is written for one only. */
static bool write_drive(struct writer *w)
{
	const struct drive_request *request = w->request;
	bool with_device = needs_device(w);

	if (!add_word(w, dialect_name(DIALECT_DRIVE)) || !begin(w))
		return false;
	(void)fputs("file=", w->word);
	put_path(w);
	(void)fprintf(
		w->word, ",if=%s", with_device ? "none" : interfaces[request->interface].name);
	if (with_device || request->interface == DRIVE_IF_NONE)
		(void)fprintf(w->word, ",%s=%s", dialect_name(DIALECT_DRIVE_ID), request->id);
	if (w->dialect->has[DIALECT_DRIVE_FORMAT])
		put(w, DIALECT_DRIVE_FORMAT);
	if (request->read_only)
		put(w, DIALECT_DRIVE_READONLY);
	put_options(w);
	if (request->discard)
		put(w, DIALECT_DRIVE_DISCARD);
	if (request->lock)
		put(w, DIALECT_FILE_LOCKING);
	if (!end(w))
		return false;
	return !with_device || write_device(w);
}

/* The file below inherits the cache options of the raw node on it. Both drivers are as old as -blockdev. */
static bool write_blockdev(struct writer *w)
{
	const struct drive_request *request = w->request;

	if (!add_word(w, dialect_name(DIALECT_BLOCKDEV)) || !begin(w))
		return false;
	(void)fprintf(w->word, "driver=raw,node-name=%s", request->id);
	if (request->read_only)
		put(w, DIALECT_BLOCKDEV_READ_ONLY);
	put_options(w);
	if (request->discard)
		put(w, DIALECT_BLOCKDEV_DISCARD);
	if (request->is_block)
		put(w, DIALECT_BLOCKDEV_HOST_DEVICE);
	else
		(void)fputs(",file.driver=file", w->word);
	(void)fputs(",file.filename=", w->word);
	/* There are no protocols here: the name is taken as it is. */
	optstr_quote(w->word, request->path);
	if (request->lock)
		put(w, DIALECT_FILE_LOCKING);
	if (!end(w))
		return false;
	return request->interface == DRIVE_IF_NONE || write_device(w);
}

/* Not an option string: commas are the name's own. */
static bool write_hda(struct writer *w)
{
	return add_word(w, dialect_name(DIALECT_HDA)) && add_word(w, w->request->path);
}

static bool write_words(struct writer *w)
{
	if (w->recipe->style == DRIVE_STYLE_BLOCKDEV)
		return write_blockdev(w);
	w->args.guesses_format = !w->dialect->has[DIALECT_DRIVE_FORMAT];
	return w->recipe->style == DRIVE_STYLE_DRIVE ? write_drive(w) : write_hda(w);
}

/* ---- what can be had ---- */

/* Letters, digits, '-', '.' and '_' behind a letter, as QEMU wants it. */
static bool id_is_good(const char *id)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (id[0] == '\0' || !strchr(letters, id[0]) || strlen(id) >= ID_SIZE)
		return false;
	for (; *id; id++)
		if (!strchr(letters, *id) && !strchr("0123456789-._", *id))
			return false;
	return true;
}

static int check_request(const struct drive_request *request, struct problem *problem)
{
	if (request->path[0] == '\0')
		return problem_set(problem, -EINVAL, "the image has no name");
	if (!id_is_good(request->id))
		return problem_set(problem, -EINVAL,
			"'%s' is no id of a drive: letters, digits, '-', '.' and '_' behind a letter, %d at most",
			request->id, ID_SIZE - 1);
	if (request->read_only && request->interface == DRIVE_IF_IDE)
		return problem_set(problem, -EINVAL,
			"an emulated IDE disk cannot be read-only; scsi and virtio can");
	return 0;
}

/* The extras that the style has a word for; DIALECT_END where it has none. */
static const struct {
	enum dialect_option read_only, discard, lock, block, id;
} extras[DRIVE_STYLE_COUNT] = {
	[DRIVE_STYLE_DRIVE] = {DIALECT_DRIVE_READONLY, DIALECT_DRIVE_DISCARD, DIALECT_FILE_LOCKING,
		DIALECT_DRIVE, DIALECT_DRIVE_ID},
	[DRIVE_STYLE_BLOCKDEV] = {DIALECT_BLOCKDEV_READ_ONLY, DIALECT_BLOCKDEV_DISCARD,
		DIALECT_FILE_LOCKING, DIALECT_BLOCKDEV_HOST_DEVICE, DIALECT_BLOCKDEV},
	[DRIVE_STYLE_HDA] = {DIALECT_END, DIALECT_END, DIALECT_END, DIALECT_HDA, DIALECT_END},
};

/* What @style lacks of @request, or NULL. */
static const char *lacking(
	const struct dialect *dialect, const struct drive_request *request, enum drive_style style)
{
	if (request->read_only && !dialect->has[extras[style].read_only])
		return "open an image read-only";
	if (request->discard && !dialect->has[extras[style].discard])
		return "pass on discards";
	if (request->lock && !dialect->has[extras[style].lock])
		return "be told to lock the image";
	if (request->is_block && !dialect->has[extras[style].block])
		return "say whether it opens block devices that way";
	if (request->interface == DRIVE_IF_NONE && !dialect->has[extras[style].id])
		return "give a drive an id";
	return NULL;
}

/* The style that has all that is asked for and comes nearest to the mode, the first of equals. */
static const struct recipe *choose(const struct dialect *dialect,
	const struct drive_request *request, const char **ret_lacking)
{
	const struct recipe_device *device = &interfaces[request->interface].device;
	const struct recipe *best = NULL;

	for (unsigned s = DRIVE_STYLE_ANY + 1; s < DRIVE_STYLE_COUNT; s++) {
		const struct recipe *recipe;
		const char *lack;

		if (request->style != DRIVE_STYLE_ANY && request->style != (enum drive_style)s)
			continue;
		/* -hda is an IDE disk. */
		if (s == DRIVE_STYLE_HDA && request->interface != DRIVE_IF_IDE)
			continue;
		recipe = recipe_choose(dialect, request->mode, (enum drive_style)s, device);
		if (recipe == NULL)
			continue;
		lack = lacking(dialect, request, recipe->style);
		if (lack) {
			*ret_lacking = lack;
			continue;
		}
		if (best == NULL || recipe_distance(request->mode, recipe->mode) <
					    recipe_distance(request->mode, best->mode))
			best = recipe;
	}
	return best;
}

int drive_args_make(const struct dialect *dialect, const struct drive_request *request,
	struct drive_args *ret_args, struct problem *problem)
{
	struct writer w = {.dialect = dialect, .request = request};
	const char *lack = NULL;
	int r = check_request(request, problem);

	if (r < 0)
		return r;
	w.recipe = choose(dialect, request, &lack);
	if (w.recipe == NULL && lack)
		return problem_set(problem, -ENOTSUP, "this QEMU cannot %s", lack);
	if (w.recipe == NULL)
		return problem_set(problem, -ENOTSUP,
			"this QEMU cannot open a disk in mode %s, nor in one that is safer%s: %s",
			cache_mode_name(request->mode),
			request->style == DRIVE_STYLE_ANY ? "" : " in the style that was asked for",
			recipe_lacks(request->mode));
	w.args.mode = w.recipe->mode;
	if (!write_words(&w)) {
		if (w.word)
			(void)fclose(w.word);
		drive_args_fini(&w.args);
		return problem_set(problem, -ENOMEM, "no memory");
	}
	*ret_args = w.args;
	return 0;
}
