#include "tools/layout.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/ask.h"

#define SECTOR 512u

/* ---- values ---- */

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = get(object, key);

	return value ? json_object_get_string(value) : "-";
}

static uint64_t number_of(struct json_object *object, const char *key)
{
	return json_object_get_uint64(get(object, key));
}

static bool is_true(struct json_object *object, const char *key)
{
	return json_object_get_boolean(get(object, key));
}

/* ---- units ---- */

#define UNIT_TEXT 32

static const char *bytes_text(uint64_t bytes, char buf[UNIT_TEXT])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	(void)snprintf(buf, UNIT_TEXT, "%.*f %s", unit ? 1 : 0, value, units[unit]);
	return buf;
}

static const char *time_text(uint64_t ns, char buf[UNIT_TEXT])
{
	if (ns < 1000000)
		(void)snprintf(buf, UNIT_TEXT, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		(void)snprintf(buf, UNIT_TEXT, "%.1f ms", (double)ns / 1e6);
	else
		(void)snprintf(buf, UNIT_TEXT, "%.1f s", (double)ns / 1e9);
	return buf;
}

/* By this host's clock: "2026-11-28 17:04:09". */
static const char *date_text(uint64_t seconds, char buf[UNIT_TEXT])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(buf, UNIT_TEXT, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(buf, UNIT_TEXT, "-");
	return buf;
}

/* ---- the list ---- */

enum column {
	COLUMN_DISK,
	COLUMN_VDEV,
	COLUMN_STATE,
	COLUMN_MODE,
	COLUMN_CACHE,
	COLUMN_SIZE,
	COLUMN_READ,
	COLUMN_WRITTEN,
	COLUMN_IMAGE,
	COLUMNS
};

static const char *const headings[COLUMNS] = {
	"DISK", "VDEV", "STATE", "MODE", "CACHE", "SIZE", "READ", "WRITTEN", "IMAGE"};

/* Amounts stand below each other at their last digit. */
static bool is_right_aligned(unsigned column)
{
	return column >= COLUMN_SIZE && column <= COLUMN_WRITTEN;
}

struct row {
	const char *cell[COLUMNS];
	char vdev[DEVICE_NAME_MAX];
	char size[UNIT_TEXT];
	char read[UNIT_TEXT];
	char written[UNIT_TEXT];
};

static void fill_row(const struct asked *asked, struct row *row)
{
	struct json_object *disk = asked->answer;
	struct json_object *storage = get(disk, "storage");
	struct json_object *counters = get(disk, "counters");

	device_name(asked->disk.devid, row->vdev);
	row->cell[COLUMN_DISK] = asked->name;
	row->cell[COLUMN_VDEV] = row->vdev;
	row->cell[COLUMN_STATE] = get(disk, "fault")         ? "Faulty"
				  : is_true(disk, "stopped") ? "Stopped"
							     : text_of(disk, "state");
	row->cell[COLUMN_MODE] = !storage ? "-" : is_true(storage, "read_only") ? "r" : "w";
	row->cell[COLUMN_CACHE] = storage ? text_of(storage, "cache") : "-";
	row->cell[COLUMN_SIZE] =
		storage ? bytes_text(number_of(storage, "sectors") * SECTOR, row->size) : "-";
	row->cell[COLUMN_READ] =
		bytes_text(number_of(counters, "read_sectors") * SECTOR, row->read);
	row->cell[COLUMN_WRITTEN] =
		bytes_text(number_of(counters, "write_sectors") * SECTOR, row->written);
	row->cell[COLUMN_IMAGE] = text_of(storage, "path");
}

static void widen(int width[COLUMNS], const char *const cell[COLUMNS])
{
	for (unsigned i = 0; i < COLUMNS; i++)
		if ((int)strlen(cell[i]) > width[i])
			width[i] = (int)strlen(cell[i]);
}

/* The last column is as long as it is. */
static void print_row(const int width[COLUMNS], const char *const cell[COLUMNS])
{
	for (unsigned i = 0; i + 1 < COLUMNS; i++)
		printf("%*s  ", is_right_aligned(i) ? width[i] : -width[i], cell[i]);
	printf("%s\n", cell[COLUMNS - 1]);
}

void layout_list(const struct asked *list, unsigned n)
{
	int width[COLUMNS] = {0};
	struct row row;

	widen(width, headings);
	for (unsigned i = 0; i < n; i++) {
		if (list[i].result != ASK_ANSWERED)
			continue;
		fill_row(&list[i], &row);
		widen(width, row.cell);
	}
	print_row(width, headings);
	for (unsigned i = 0; i < n; i++) {
		if (list[i].result != ASK_ANSWERED)
			continue;
		fill_row(&list[i], &row);
		print_row(width, row.cell);
	}
}

/* ---- one disk ---- */

static void print_identity(struct json_object *disk)
{
	char vdev[DEVICE_NAME_MAX];

	device_name((uint32_t)number_of(disk, "devid"), vdev);
	printf("%s: %s of domain %s\n", text_of(disk, "disk"), vdev, text_of(disk, "domid"));
	printf("  backend    %s\n", text_of(disk, "backend"));
	printf("  worker     process %s, blkback-vbd %s, log level %s\n", text_of(disk, "pid"),
		text_of(disk, "version"), text_of(disk, "log_level"));
	printf("  state      %s, the guest's %s\n", text_of(disk, "state"),
		text_of(disk, "frontend_state"));
}

/* Through the page cache threads do it, whatever the engine. A worker of before has no word of it. */
static void print_engine(struct json_object *engine)
{
	if (engine)
		printf("  engine     %s, %s%s\n", text_of(engine, "name"),
			is_true(engine, "asked_for") ? "as asked for" : "chosen by the worker",
			is_true(engine, "used") ? "" : "; not used as the disk is");
}

static void print_storage(struct json_object *storage)
{
	char size[UNIT_TEXT];

	if (storage == NULL) {
		printf("  image      none open\n");
		return;
	}
	printf("  image      %s (%s)\n", text_of(storage, "path"), text_of(storage, "type"));
	printf("  cache      %s%s\n", text_of(storage, "cache"),
		strcmp(text_of(storage, "cache"), "unsafe") == 0
			? ": UNSAFE, flushes do nothing: a crash of this host loses what the guest wrote"
			: "");
	print_engine(get(storage, "engine"));
	printf("  size       %s, %s sectors, physical sectors of %s bytes, %s\n",
		bytes_text(number_of(storage, "sectors") * SECTOR, size),
		text_of(storage, "sectors"), text_of(storage, "physical_sector_size"),
		is_true(storage, "read_only") ? "read-only" : "read-write");
}

/* ---- whose its image is ---- */

static const char *holder_text(struct json_object *image)
{
	if (get(image, "holder"))
		return text_of(image, "holder");
	if (get(image, "waits_for"))
		return "not this worker yet";
	return get(image, "unknown") ? "not known" : "nobody";
}

static void print_owner(struct json_object *image)
{
	char date[UNIT_TEXT];

	date_text(number_of(image, "since"), date);
	if (is_true(image, "owned"))
		printf("  owner      this worker, since %s\n", date);
	else
		printf("  owner      %s (not this worker since %s)\n", holder_text(image), date);
	if (get(image, "waits_for"))
		printf("  WAITS      another %" PRIu64 " s: %s\n",
			number_of(image, "waits_ms") / 1000, text_of(image, "waits_for"));
}

static const char *dirty_text(struct json_object *object)
{
	return get(object, "dirty") ? text_of(object, "dirty") : "an unknown number of them";
}

static void print_hand_over(struct json_object *last, const char *to)
{
	char date[UNIT_TEXT], duration[UNIT_TEXT];

	if (!last)
		return;
	printf("  to %-8s handed over at %s: %s pages, %s dirty, in %s, %s stayed\n", to,
		date_text(number_of(last, "time"), date), text_of(last, "pages"), dirty_text(last),
		time_text(number_of(last, "duration_us") * 1000, duration), text_of(last, "left"));
	if (get(last, "problem"))
		printf("             %s\n", text_of(last, "problem"));
}

static void print_page_cache(struct json_object *image)
{
	struct json_object *cache = get(image, "cache"), *past = get(image, "handed_over");

	if (cache)
		printf("  page cache %s pages, %s dirty, of %s node%s\n", text_of(cache, "pages"),
			dirty_text(cache), text_of(cache, "nodes"),
			number_of(cache, "nodes") == 1 ? "" : "s");
	if (get(image, "unknown"))
		printf("  unknown    %s\n", text_of(image, "unknown"));
	print_hand_over(get(past, "guest"), "guest");
	print_hand_over(get(past, "others"), "others");
}

static void print_image(struct json_object *image)
{
	if (!image)
		return;
	print_owner(image);
	print_page_cache(image);
}

static void print_agreement(struct json_object *disk)
{
	struct json_object *features = get(disk, "features");
	struct json_object *fault = get(disk, "fault");
	uint64_t queues = number_of(features, "queues"), pages = number_of(features, "ring_pages");

	if (features)
		printf("  features   %s, %" PRIu64 " queue%s of %" PRIu64 " ring page%s%s%s%s\n",
			text_of(features, "protocol"), queues, queues == 1 ? "" : "s", pages,
			pages == 1 ? "" : "s",
			is_true(features, "persistent") ? ", persistent grants" : "",
			is_true(features, "flush") ? ", flush" : "",
			is_true(features, "barrier") ? ", barrier" : "");
	if (is_true(disk, "stopped"))
		printf("  STOPPED    by an error of the storage, the guest waits: blkbackctl resume\n");
	if (fault)
		printf("  FAULT      %s: data may be lost, all writes and flushes fail until the disk is detached and attached again, or blkbackctl clear-fault accepts that\n",
			text_of(fault, "text"));
}

static void print_traffic(const char *name, struct json_object *counters, const char *taken,
	const char *answered, const char *sectors, const char *ns, const char *max_ns)
{
	uint64_t n = number_of(counters, answered);
	uint64_t begun = number_of(counters, taken);
	char bytes[UNIT_TEXT], mean[UNIT_TEXT], longest[UNIT_TEXT];

	/* The two are of slightly different moments. */
	printf("  %-9s %12" PRIu64 " %12" PRIu64 " %12s %12s %12s\n", name,
		begun > n ? begun - n : 0, n,
		bytes_text(number_of(counters, sectors) * SECTOR, bytes),
		n ? time_text(number_of(counters, ns) / n, mean) : "-",
		n ? time_text(number_of(counters, max_ns), longest) : "-");
}

void layout_disk(struct json_object *disk)
{
	struct json_object *counters = get(disk, "counters");

	print_identity(disk);
	print_storage(get(disk, "storage"));
	print_image(get(disk, "image"));
	print_agreement(disk);
	printf("\n  %-9s %12s %12s %12s %12s %12s\n", "", "in flight", "answered", "amount", "mean",
		"longest");
	print_traffic("reads", counters, "reads_taken", "reads_answered", "read_sectors",
		"reads_ns", "reads_max_ns");
	print_traffic("writes", counters, "writes_taken", "writes_answered", "write_sectors",
		"writes_ns", "writes_max_ns");
	printf("\n");
	if (counters == NULL)
		return;
	json_object_object_foreach(counters, name, value)
		printf("  %-24s %16s\n", name, json_object_get_string(value));
}

/* ---- its size ---- */

void layout_size(struct json_object *answer)
{
	char size[UNIT_TEXT];

	printf("%s, %s sectors: %s%s\n", bytes_text(number_of(answer, "sectors") * SECTOR, size),
		text_of(answer, "sectors"), is_true(answer, "changed") ? "changed" : "unchanged",
		is_true(answer, "told") ? "" : ", and the guest could not be told yet");
}

/* ---- its cache mode ---- */

void layout_mode(struct json_object *answer)
{
	if (get(answer, "cache"))
		printf("cache mode %s\n", text_of(answer, "cache"));
	else
		printf("done: for the next connection of the guest's driver, of which there is none now\n");
}
