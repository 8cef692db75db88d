#include "qemu-dm-bridge/dialect/dialect.h"

#include <errno.h>
#include <string.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/schema.h"

/* A stretch of a text. */
struct span {
	const char *at;
	size_t len;
};

/*
 * One row: where it is told of and written, its name, its value. A value that help shows as a placeholder
 * ("format=f") is looked for by the name alone, and the schema's words may be others than the help's.
 */
static const struct {
	const char *place;
	const char *name;
	const char *value;
	bool any_value;
	struct schema_place schema;
} options[DIALECT_COUNT] = {
	[DIALECT_END] = {"", "", "", true, {0}},
	[DIALECT_HDA] = {"", "-hda", "", true, {0}},
	[DIALECT_DRIVE] = {"", "-drive", "", true, {0}},
	[DIALECT_BLOCKDEV] = {"", "-blockdev", "", true, {0}},
	[DIALECT_DEVICE] = {"", "-device", "", true, {0}},
	[DIALECT_QMP] = {"", "-qmp", "", true, {0}},
	[DIALECT_MACHINE] = {"", "-machine", "", true, {0}},
	[DIALECT_DRIVE_CACHE_ON] = {"-drive", "cache", "on", false, {0}},
	[DIALECT_DRIVE_CACHE_OFF] = {"-drive", "cache", "off", false, {0}},
	[DIALECT_DRIVE_CACHE_NONE] = {"-drive", "cache", "none", false, {0}},
	[DIALECT_DRIVE_CACHE_DIRECTSYNC] = {"-drive", "cache", "directsync", false, {0}},
	[DIALECT_DRIVE_CACHE_WRITETHROUGH] = {"-drive", "cache", "writethrough", false, {0}},
	[DIALECT_DRIVE_CACHE_WRITEBACK] = {"-drive", "cache", "writeback", false, {0}},
	[DIALECT_DRIVE_CACHE_UNSAFE] = {"-drive", "cache", "unsafe", false, {0}},
	[DIALECT_DRIVE_CACHE_VOLATILE] = {"-drive", "cache", "volatile", false, {0}},
	[DIALECT_DRIVE_FORMAT] = {"-drive", "format", "raw", true, {0}},
	[DIALECT_DRIVE_READONLY] = {"-drive", "readonly", "on", false, {0}},
	[DIALECT_DRIVE_ID] = {"-drive", "id", "", true, {0}},
	[DIALECT_DRIVE_DISCARD] = {"-drive", "discard", "unmap", false, {0}},
	[DIALECT_AIO_THREADS] = {"-drive", "aio", "threads", false, {"file", "aio", "threads"}},
	[DIALECT_AIO_NATIVE] = {"-drive", "aio", "native", false, {"file", "aio", "native"}},
	[DIALECT_AIO_IO_URING] = {"-drive", "aio", "io_uring", false, {"file", "aio", "io_uring"}},
	[DIALECT_BLOCKDEV_DIRECT_ON] = {"-blockdev", "cache.direct", "on", false,
		{NULL, "cache.direct", NULL}},
	[DIALECT_BLOCKDEV_DIRECT_OFF] = {"-blockdev", "cache.direct", "off", false,
		{NULL, "cache.direct", NULL}},
	[DIALECT_BLOCKDEV_NO_FLUSH_ON] = {"-blockdev", "cache.no-flush", "on", false,
		{NULL, "cache.no-flush", NULL}},
	[DIALECT_BLOCKDEV_NO_FLUSH_OFF] = {"-blockdev", "cache.no-flush", "off", false,
		{NULL, "cache.no-flush", NULL}},
	[DIALECT_BLOCKDEV_READ_ONLY] = {"-blockdev", "read-only", "on", false,
		{NULL, "read-only", NULL}},
	[DIALECT_BLOCKDEV_DISCARD] = {"-blockdev", "discard", "unmap", false,
		{NULL, "discard", "unmap"}},
	[DIALECT_BLOCKDEV_HOST_DEVICE] = {"-blockdev", "file.driver", "host_device", false,
		{"host_device", "filename", NULL}},
	[DIALECT_FILE_LOCKING] = {"-blockdev", "file.locking", "on", false,
		{"file", "locking", "on"}},
	[DIALECT_IDE_DRIVE] = {"ide-hd", "drive", "", true, {0}},
	[DIALECT_IDE_WRITE_CACHE_ON] = {"ide-hd", "write-cache", "on", false, {0}},
	[DIALECT_IDE_WRITE_CACHE_OFF] = {"ide-hd", "write-cache", "off", false, {0}},
	[DIALECT_SCSI_DRIVE] = {"scsi-hd", "drive", "", true, {0}},
	[DIALECT_SCSI_WRITE_CACHE_ON] = {"scsi-hd", "write-cache", "on", false, {0}},
	[DIALECT_SCSI_WRITE_CACHE_OFF] = {"scsi-hd", "write-cache", "off", false, {0}},
	[DIALECT_VIRTIO_DRIVE] = {"virtio-blk-pci", "drive", "", true, {0}},
	[DIALECT_VIRTIO_WRITE_CACHE_ON] = {"virtio-blk-pci", "write-cache", "on", false, {0}},
	[DIALECT_VIRTIO_WRITE_CACHE_OFF] = {"virtio-blk-pci", "write-cache", "off", false, {0}},
};

const char *dialect_name(enum dialect_option option)
{
	return options[option].name;
}

const char *dialect_value(enum dialect_option option)
{
	return options[option].value;
}

const char *dialect_place(enum dialect_option option)
{
	return options[option].place;
}

static bool span_is(struct span span, const char *word)
{
	return span.len == strlen(word) && memcmp(span.at, word, span.len) == 0;
}

/* The next line of the text at @at, without its end. */
static struct span line_at(const char *at)
{
	return (struct span){at, strcspn(at, "\n")};
}

static const char *line_behind(struct span line)
{
	const char *end = line.at + line.len;

	return *end ? end + 1 : end;
}

/* True if one of @list, whose words are parted by @mark, is @word. */
static bool list_has(struct span list, char mark, const char *word)
{
	const char *end = list.at + list.len;

	for (const char *at = list.at; at <= end; at++) {
		const char *stop = memchr(at, mark, (size_t)(end - at));

		if (stop == NULL)
			stop = end;
		if (span_is((struct span){at, (size_t)(stop - at)}, word))
			return true;
		at = stop;
	}
	return false;
}

/* "-hda/-hdb file": the names a line of help is about. Text that goes on is indented. */
static struct span names_of(struct span line)
{
	struct span names = {line.at, 0};

	if (line.len > 0 && line.at[0] == '-')
		while (names.len < line.len && !strchr(" \t\r[", line.at[names.len]))
			names.len++;
	return names;
}

/*
 * True if @line has "name=" as a synopsis does, "[,name=a|b]", and @value is among a and b; any will do
 * without one.
 */
static bool synopsis_has(struct span line, const char *name, const char *value)
{
	size_t len = strlen(name);

	for (size_t i = 1; i + len < line.len; i++) {
		const char *at = line.at + i;
		struct span values = {at + len + 1, 0};

		if (memcmp(at, name, len) != 0 || at[len] != '=' || !strchr("[, ", at[-1]))
			continue;
		while (i + len + 1 + values.len < line.len &&
			!strchr("[], \t\r", values.at[values.len]))
			values.len++;
		if (value == NULL || list_has(values, '|', value))
			return true;
	}
	return false;
}

/* QEMU's own option @place of @help, and what is said below it up to the next one. */
static bool help_has(const char *help, const char *place, const char *name, const char *value)
{
	bool inside = false;

	for (struct span line = line_at(help); *line.at; line = line_at(line_behind(line))) {
		struct span names = names_of(line);

		if (names.len > 0)
			inside = list_has(names, '/', place);
		else if (line.len == 0)
			inside = false;
		if (inside && (name == NULL || synopsis_has(line, name, value)))
			return true;
	}
	return false;
}

/*
 * A property of @device: "  write-cache=<OnOffAuto> - on/off/auto" below a line "ide-hd options:". Older QEMUs
 * have no such line, and "ide-hd." in front of each property.
 */
static bool device_has(const char *text, const char *device, const char *name)
{
	size_t device_len = strlen(device), len = strlen(name);
	bool inside = false;

	for (struct span line = line_at(text); *line.at; line = line_at(line_behind(line))) {
		size_t i = 0;

		if (line.len > 0 && line.at[0] != ' ') {
			inside = line.len > device_len &&
				 memcmp(line.at, device, device_len) == 0 &&
				 strchr(" .", line.at[device_len]);
			if (!inside || line.at[device_len] == ' ')
				continue;
			i = device_len + 1;
		}
		while (i < line.len && line.at[i] == ' ')
			i++;
		if (inside && line.len > i + len && memcmp(line.at + i, name, len) == 0 &&
			line.at[i + len] == '=')
			return true;
	}
	return false;
}

static bool told_by_text(const struct dialect_texts *texts, enum dialect_option i)
{
	const char *place = options[i].place;
	const char *value = options[i].any_value ? NULL : options[i].value;

	if (place[0] == '\0')
		return texts->help && help_has(texts->help, options[i].name, NULL, NULL);
	if (place[0] == '-')
		return texts->help && help_has(texts->help, place, options[i].name, value);
	return texts->devices && device_has(texts->devices, place, options[i].name);
}

/*
 * Where there is a schema it decides about what it knows: the help of one binary lists what another one
 * was built with, io_uring for example.
 */
static int read_schema(const char *qmp, struct dialect *dialect)
{
	struct schema *schema;
	/* Before QEMU 2.9 the arguments of blockdev-add were others, which say nothing of -drive. */
	static const struct schema_place known = {"file", "filename", NULL};
	int r = schema_create(qmp, &schema);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	for (unsigned i = DIALECT_END + 1; i < DIALECT_COUNT && schema_has(schema, &known); i++)
		if (options[i].schema.member)
			dialect->has[i] = schema_has(schema, &options[i].schema);
	schema_destroy(schema);
	return 0;
}

int dialect_read(
	const struct dialect_texts *texts, struct dialect *ret_dialect, struct problem *problem)
{
	struct dialect dialect = {{false}};
	int r;

	for (unsigned i = DIALECT_END + 1; i < DIALECT_COUNT; i++)
		dialect.has[i] = told_by_text(texts, (enum dialect_option)i);
	/* Every QEMU has a floppy drive on its command line, also those of Xen that have no hard disk there. */
	if (texts->help && !help_has(texts->help, "-fda", NULL, NULL) &&
		!dialect.has[DIALECT_DRIVE])
		return problem_set(problem, -EPROTO,
			"its -help names neither -fda nor -drive: that is not a QEMU that emulates machines");
	if (texts->qmp) {
		r = read_schema(texts->qmp, &dialect);
		if (r < 0)
			return problem_set(problem, r, "no memory for the schema of its QMP");
	}
	*ret_dialect = dialect;
	return 0;
}
