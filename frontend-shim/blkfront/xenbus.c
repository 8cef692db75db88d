#include "frontend-shim/blkfront/xenbus.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

#define WATCH_TOKEN       "backend-state"
#define TRANSACTION_TRIES 100

/* DOMID_FIRST_RESERVED: no domain has this number or a higher one. */
#define DOMAIN_MAX 0x7fefu

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The value of @directory/@key, to be freed; NULL with errno. */
static char *read_text(
	struct blkfront_xenbus *xenbus, xs_transaction_t t, const char *directory, const char *key)
{
	unsigned size;
	char *path, *value;

	if (asprintf(&path, "%s/%s", directory, key) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	value = xs_read(xenbus->xs, t, path, &size);
	free(path);
	return value;
}

static int read_number(
	struct blkfront_xenbus *xenbus, const char *directory, const char *key, uint64_t *ret_value)
{
	char *text = read_text(xenbus, XBT_NULL, directory, key);
	char *end;
	unsigned long long value;
	int r = -EINVAL;

	if (!text)
		return -errno;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && !errno) {
		*ret_value = value;
		r = 0;
	}
	free(text);
	return r;
}

/* A node that is absent, malformed or hidden from us is no state; a lost store is an error. */
static int read_state(struct blkfront_xenbus *xenbus, const char *directory, unsigned *ret_state)
{
	uint64_t state;
	int r = read_number(xenbus, directory, "state", &state);

	if (r == 0 && state <= XenbusStateReconfigured)
		*ret_state = (unsigned)state;
	else if (r == 0 || r == -ENOENT || r == -EACCES || r == -EINVAL)
		*ret_state = XenbusStateUnknown;
	else
		return r;
	return 0;
}

static int find_backend(struct blkfront_xenbus *xenbus)
{
	uint64_t id;
	int r;

	xenbus->backend = read_text(xenbus, XBT_NULL, xenbus->frontend, "backend");
	if (!xenbus->backend)
		return -errno;
	r = read_number(xenbus, xenbus->frontend, "backend-id", &id);
	if (r)
		return r;
	if (id > DOMAIN_MAX)
		return -EINVAL;
	xenbus->backend_id = (unsigned)id;
	return 0;
}

static int watch_backend(struct blkfront_xenbus *xenbus)
{
	char *path;
	int r = 0;

	if (asprintf(&path, "%s/state", xenbus->backend) < 0)
		return -ENOMEM;
	if (!xs_watch(xenbus->xs, path, WATCH_TOKEN))
		r = -errno;
	free(path);
	return r;
}

int blkfront_xenbus_init(struct blkfront_xenbus *xenbus, const char *frontend)
{
	int r;

	*xenbus = (struct blkfront_xenbus){0};
	xenbus->xs = xs_open(0);
	if (!xenbus->xs)
		return errno ? -errno : -ECONNREFUSED;
	xenbus->frontend = strdup(frontend);
	r = xenbus->frontend ? find_backend(xenbus) : -ENOMEM;
	if (r == 0)
		r = watch_backend(xenbus);
	if (r == 0)
		r = read_state(xenbus, xenbus->backend, &xenbus->backend_state);
	if (r)
		blkfront_xenbus_fini(xenbus);
	return r;
}

void blkfront_xenbus_fini(struct blkfront_xenbus *xenbus)
{
	/* Closing the connection drops the watch. */
	if (xenbus->xs)
		xs_close(xenbus->xs);
	free(xenbus->frontend);
	free(xenbus->backend);
	*xenbus = (struct blkfront_xenbus){0};
}

int blkfront_xenbus_fd(const struct blkfront_xenbus *xenbus)
{
	return xenbus->lost ? -1 : xs_fileno(xenbus->xs);
}

void blkfront_xenbus_refresh(struct blkfront_xenbus *xenbus)
{
	char **event;

	while ((event = xs_check_watch(xenbus->xs)))
		free(event);
	/* A guest goes on without its store: the state stays what it was. */
	if (read_state(xenbus, xenbus->backend, &xenbus->backend_state))
		xenbus->lost = true;
}

int blkfront_xenbus_wait(struct blkfront_xenbus *xenbus, unsigned mask, unsigned timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd fd = {.fd = blkfront_xenbus_fd(xenbus), .events = POLLIN};
		int64_t left;

		blkfront_xenbus_refresh(xenbus);
		if (mask & 1u << xenbus->backend_state)
			return 0;
		if (xenbus->lost)
			return -EIO;
		left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&fd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
}

int blkfront_xenbus_read(struct blkfront_xenbus *xenbus, const char *key, uint64_t *ret_value)
{
	return read_number(xenbus, xenbus->backend, key, ret_value);
}

unsigned blkfront_xenbus_own_state(struct blkfront_xenbus *xenbus)
{
	unsigned state;

	return read_state(xenbus, xenbus->frontend, &state) ? XenbusStateUnknown : state;
}

static int write_node(
	struct blkfront_xenbus *xenbus, xs_transaction_t t, const struct blkfront_node *node)
{
	char *path;
	int r = 0;

	if (asprintf(&path, "%s/%s", xenbus->frontend, node->key) < 0)
		return -ENOMEM;
	if (node->value) {
		if (!xs_write(xenbus->xs, t, path, node->value, (unsigned)strlen(node->value)))
			r = -errno;
	} else if (!xs_rm(xenbus->xs, t, path) && errno != ENOENT) {
		r = -errno;
	}
	free(path);
	return r;
}

static int publish_once(
	struct blkfront_xenbus *xenbus, const struct blkfront_node *nodes, unsigned n)
{
	xs_transaction_t t = xs_transaction_start(xenbus->xs);

	if (t == XBT_NULL)
		return -errno;
	for (unsigned i = 0; i < n; i++) {
		int r = write_node(xenbus, t, &nodes[i]);

		if (r) {
			(void)xs_transaction_end(xenbus->xs, t, true);
			return r;
		}
	}
	return xs_transaction_end(xenbus->xs, t, false) ? 0 : -errno;
}

int blkfront_xenbus_publish(
	struct blkfront_xenbus *xenbus, const struct blkfront_node *nodes, unsigned n)
{
	int r = -EAGAIN;

	/* EAGAIN: somebody else changed what we read or wrote; it is their turn to be done now. */
	for (unsigned i = 0; r == -EAGAIN && i < TRANSACTION_TRIES; i++)
		r = publish_once(xenbus, nodes, n);
	return r;
}

static int switch_once(struct blkfront_xenbus *xenbus, const struct blkfront_node *state)
{
	xs_transaction_t t = xs_transaction_start(xenbus->xs);
	char *old;
	int r;

	if (t == XBT_NULL)
		return -errno;
	old = read_text(xenbus, t, xenbus->frontend, state->key);
	r = old ? write_node(xenbus, t, state) : -errno;
	free(old);
	if (r) {
		(void)xs_transaction_end(xenbus->xs, t, true);
		/* The toolstack removed the device: do not bring its directory back. */
		return r == -ENOENT ? 0 : r;
	}
	return xs_transaction_end(xenbus->xs, t, false) ? 0 : -errno;
}

int blkfront_xenbus_switch(struct blkfront_xenbus *xenbus, enum xenbus_state state)
{
	char digit[] = {(char)('0' + state), '\0'};
	struct blkfront_node node = {"state", digit};
	int r = -EAGAIN;

	for (unsigned i = 0; r == -EAGAIN && i < TRANSACTION_TRIES; i++)
		r = switch_once(xenbus, &node);
	return r;
}

const char *blkfront_xenbus_state_name(unsigned state)
{
	static const char *const names[] = {"absent", "Initialising", "InitWait", "Initialised",
		"Connected", "Closing", "Closed", "Reconfiguring", "Reconfigured"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "invalid";
}
