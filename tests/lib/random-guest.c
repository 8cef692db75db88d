/*
 * random-guest - a guest that does anything, and knows what must come of it.
 *
 * Connects, plays a random script (guest_player.h), closes; so often as it is told, and in the end holds the image itself against
 * the model. Prints its seed first, and in the end one line, or what was wrong. Exit status 1 then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/guest_player.h"

#define CHUNK (1u << 20)

struct guest {
	struct blkfront_options options;
	struct guest_rules rules;
	uint64_t seed, nr_requests, nr_connections;
	bool vary;
	const char *image, *trace;

	struct dice dice; /* for what varies */
	struct guest_model model;
	struct guest_player *player;
	struct guest_answer *answers; /* of all connections */
};

static const char help[] =
	"usage: random-guest --image=PATH [--OPTION=VALUE] ...\n"
	"image=PATH             what the disk is on; read before the first connection and after the last\n"
	"seed=N                 of all that is random (default: the time)\n"
	"requests=N             in each connection (default 500)\n"
	"connections=N          (default 1)\n"
	"vary=0|1               after the first, other kinds of guests: up to so many queues, ring pages and segments as\n"
	"                       the options say, any protocol and way to grant pages (default 0)\n"
	"depth=1..512           requests in flight, at most (default 512)\n"
	"align=1..8             sectors that requests and segments are multiples of (default 1)\n"
	"discard-align=N        ... and discards (default 1)\n"
	"discards=zero|any      whether what was discarded has to be zeros (default zero)\n"
	"trace=FILE             how each request was answered, a line for each\n"
	"peer=worker|qdisk      qdisk: leave out what would harm it, and let it choose its errors\n" BLKFRONT_OPTIONS_HELP;

/* ---- options ---------------------------------------------------------------------------------- */

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return false;
	*ret_value = value;
	return true;
}

static bool parse_word(const char *text, const char *no, const char *yes, bool *ret_yes)
{
	*ret_yes = strcmp(text, yes) == 0;
	return *ret_yes || strcmp(text, no) == 0;
}

static bool parse_small(const char *text, unsigned max, unsigned *ret_value)
{
	uint64_t value;

	if (!parse_number(text, 1, max, &value))
		return false;
	*ret_value = (unsigned)value;
	return true;
}

static bool set_option(struct guest *guest, const char *key, const char *value)
{
	struct guest_rules *rules = &guest->rules;

	if (strcmp(key, "image") == 0 || strcmp(key, "trace") == 0) {
		*(*key == 'i' ? &guest->image : &guest->trace) = value;
		return true;
	}
	if (strcmp(key, "seed") == 0)
		return parse_number(value, 0, UINT64_MAX, &guest->seed);
	if (strcmp(key, "requests") == 0)
		return parse_number(value, 1, 10000000, &guest->nr_requests);
	if (strcmp(key, "connections") == 0)
		return parse_number(value, 1, 100000, &guest->nr_connections);
	if (strcmp(key, "vary") == 0)
		return parse_word(value, "0", "1", &guest->vary);
	if (strcmp(key, "depth") == 0)
		return parse_small(value, 512, &rules->depth);
	if (strcmp(key, "align") == 0)
		return parse_small(value, WIRE_PAGE_SECTORS, &rules->align) &&
		       WIRE_PAGE_SECTORS % rules->align == 0;
	if (strcmp(key, "discard-align") == 0)
		return parse_small(value, 4096, &rules->discard_align);
	if (strcmp(key, "discards") == 0)
		return parse_word(value, "any", "zero", &rules->discards_zero);
	if (strcmp(key, "peer") == 0)
		return parse_word(value, "worker", "qdisk", &rules->for_qdisk);
	return blkfront_options_set(&guest->options, key, value) == 0;
}

static bool parse_options(struct guest *guest, char **argument)
{
	for (; *argument; argument++) {
		char *value = strchr(*argument, '=');

		if (strncmp(*argument, "--", 2) == 0 && value) {
			*value = '\0';
			if (set_option(guest, *argument + 2, value + 1))
				continue;
			*value = '=';
		}
		(void)fprintf(stderr, "random-guest: what is \"%s\"?\n", *argument);
		return false;
	}
	if (!guest->image)
		(void)fprintf(stderr, "random-guest: which image?\n");
	return guest->image;
}

/* ---- the image -------------------------------------------------------------------------------- */

/* Not through the page cache: what is on the storage counts. */
static int for_each_chunk(struct guest *guest,
	bool (*look)(struct guest_model *model, uint64_t sector, uint64_t n, const void *data))
{
	int fd = open(guest->image, O_RDONLY | O_DIRECT | O_CLOEXEC);
	void *chunk = aligned_alloc(WIRE_PAGE_SIZE, CHUNK);
	bool good = fd >= 0 && chunk;

	for (uint64_t sector = 0; good && sector < guest->model.nr_sectors;) {
		ssize_t n = pread(fd, chunk, CHUNK, (off_t)(sector * WIRE_SECTOR_SIZE));

		good = n > 0 && n % WIRE_SECTOR_SIZE == 0 &&
		       look(&guest->model, sector, (uint64_t)n / WIRE_SECTOR_SIZE, chunk);
		sector += (uint64_t)n / WIRE_SECTOR_SIZE;
	}
	free(chunk);
	if (fd >= 0)
		(void)close(fd);
	return good ? 0 : -EIO;
}

static bool learn(struct guest_model *model, uint64_t sector, uint64_t n, const void *data)
{
	guest_model_write(model, sector, n, data);
	return true;
}

static bool verify(struct guest_model *model, uint64_t sector, uint64_t n, const void *data)
{
	size_t same = guest_model_compare(model, sector, n, data);

	if (same < n * WIRE_SECTOR_SIZE)
		(void)fprintf(stderr,
			"random-guest: the image differs from what was written at sector %" PRIu64
			"\n",
			sector + same / WIRE_SECTOR_SIZE);
	return same == n * WIRE_SECTOR_SIZE;
}

static int learn_image(struct guest *guest)
{
	int fd = open(guest->image, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	int r = size > 0 ? guest_model_init(&guest->model, (uint64_t)size / WIRE_SECTOR_SIZE)
			 : -EINVAL;

	if (fd >= 0)
		(void)close(fd);
	if (r == 0)
		r = for_each_chunk(guest, learn);
	if (r)
		(void)fprintf(stderr, "random-guest: cannot read \"%s\"\n", guest->image);
	return r;
}

/* ---- connections ------------------------------------------------------------------------------ */

static void vary(struct dice *dice, struct blkfront_options *options)
{
	static const unsigned indirect[] = {11, 12, 32, 255, 256};
	unsigned n = indirect[dice_below(dice, 5)];

	options->protocol = (enum blkfront_protocol)dice_below(dice, 3);
	options->persistent = dice_one_in(dice, 2);
	options->grant_per_request = !options->persistent && dice_one_in(dice, 2);
	options->ring_order = dice_between(dice, 0, options->ring_order);
	options->nr_queues = dice_between(dice, 1, options->nr_queues);
	options->indirect = n < options->indirect ? n : options->indirect;
}

static int play_connected(struct guest *guest, struct blkfront *front, struct guest_answer *answers)
{
	int r = guest_player_run(guest->player, front, guest->nr_requests, answers);
	int closed;

	if (r) {
		(void)fprintf(stderr, "random-guest: %s\n", guest_player_trouble(guest->player));
		return r;
	}
	/* Where an answer too many would be seen. */
	closed = blkfront_close(front);
	if (closed)
		(void)fprintf(stderr, "random-guest: cannot close: %s\n", blkfront_error(front));
	return closed;
}

static int connection(struct guest *guest, uint64_t nr)
{
	static const char *const protocols[] = {"x86_64-abi", "x86_32-abi", "none"};
	struct blkfront_options options = guest->options;
	struct blkfront *front;
	char *error;
	int r;

	if (guest->vary && nr > 0)
		vary(&guest->dice, &options);
	(void)fprintf(stderr,
		"connection %" PRIu64 ": protocol=%s persistent=%d grant-per-request=%d "
		"ring-order=%u queues=%u indirect=%u\n",
		nr, protocols[options.protocol], options.persistent, options.grant_per_request,
		options.ring_order, options.nr_queues, options.indirect);
	r = blkfront_create(&options, &front, &error);
	if (r) {
		(void)fprintf(stderr, "random-guest: %s\n", error ? error : strerror(-r));
		free(error);
		return r;
	}
	r = blkfront_connect(front);
	if (r)
		(void)fprintf(stderr, "random-guest: %s\n", blkfront_error(front));
	else
		r = play_connected(guest, front, guest->answers + nr * guest->nr_requests);
	blkfront_destroy(front);
	return r;
}

static int write_trace(const struct guest *guest)
{
	FILE *file = fopen(guest->trace, "we");

	if (!file)
		return -errno;
	for (uint64_t i = 0; i < guest->nr_connections * guest->nr_requests; i++) {
		const struct guest_answer *answer = &guest->answers[i];

		(void)fprintf(file,
			"%" PRIu64 " %s op=%u sector=%" PRIu64 " sectors=%" PRIu64
			" data=%016" PRIx64 " status=%d\n",
			i, guest_kind_name(answer->kind), answer->op, answer->sector,
			answer->nr_sectors, answer->hash, answer->status);
	}
	return fclose(file) ? -errno : 0;
}

static int run(struct guest *guest)
{
	int r = learn_image(guest);

	if (r == 0)
		r = guest_player_create(&guest->rules, guest->seed, &guest->model, &guest->player);
	guest->answers =
		calloc(guest->nr_connections * guest->nr_requests, sizeof(*guest->answers));
	if (r == 0 && !guest->answers)
		r = -ENOMEM;
	for (uint64_t i = 0; r == 0 && i < guest->nr_connections; i++)
		r = connection(guest, i);
	if (r == 0)
		r = for_each_chunk(guest, verify);
	if (r == 0 && guest->trace)
		r = write_trace(guest);
	guest_player_destroy(guest->player);
	guest_model_fini(&guest->model);
	free(guest->answers);
	return r;
}

int main(int argc, char **argv)
{
	struct guest guest = {
		.rules = {.align = 1, .discard_align = 1, .discards_zero = true},
		.seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid(),
		.nr_requests = 500,
		.nr_connections = 1,
	};
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	blkfront_options_init(&guest.options);
	guest.options.indirect = BLK_SEGMENTS_MAX;
	if (!parse_options(&guest, argv + 1)) {
		(void)fputs(help, stderr);
		return 2;
	}
	guest.dice = (struct dice){guest.seed};
	(void)fprintf(stderr, "seed=%" PRIu64 "\n", guest.seed);
	r = run(&guest);
	if (r)
		(void)fprintf(stderr, "random-guest: failed: %s\n", strerror(-r));
	else
		printf("random-guest: %" PRIu64 " requests right\n",
			guest.nr_connections * guest.nr_requests);
	return r ? 1 : 0;
}
