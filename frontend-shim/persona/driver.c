#include "frontend-shim/persona/driver.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenevtchn.h>
#include <xenstore.h>

#include <xen/io/protocols.h>

#define KEYS_MAX 8

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int persona_driver_init(struct persona_driver *driver, const struct persona *persona,
	const char *frontend, unsigned timeout_ms)
{
	int r;

	memset(driver, 0, sizeof(*driver));
	driver->persona = persona;
	driver->timeout_ms = timeout_ms;
	r = blkfront_xenbus_init(&driver->xenbus, frontend);
	if (r)
		return persona_fail(&driver->error, r, "no backend of '%s' in the store: %s",
			frontend, strerror(-r));
	return persona_line_init(
		&driver->line, &persona->habits, driver->xenbus.backend_id, &driver->error);
}

void persona_driver_fini(struct persona_driver *driver)
{
	persona_line_fini(&driver->line);
	if (driver->xenbus.xs)
		blkfront_xenbus_fini(&driver->xenbus);
}

/* ---- requests --------------------------------------------------------------------------------- */

/* Once: until an event, a change of the backend's state, or, of a driver that polls, at once. */
static int wait_once(struct persona_driver *driver, int64_t deadline)
{
	struct persona_line *line = &driver->line;
	struct pollfd fds[2];
	int64_t left = deadline - now_ms();
	int r, port;

	if (left <= 0)
		return persona_fail(&driver->error, -ETIMEDOUT,
			"%u requests are not answered, and the backend is %s", line->nr_busy,
			blkfront_xenbus_state_name(driver->xenbus.backend_state));
	if (frontring_final_check(&line->ring))
		return 0;
	if (line->habits->polls)
		return sched_yield();
	fds[0] = (struct pollfd){.fd = xenevtchn_fd(line->evtchn), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = blkfront_xenbus_fd(&driver->xenbus), .events = POLLIN};
	r = poll(fds, 2, (int)left);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	port = fds[0].revents ? xenevtchn_pending(line->evtchn) : -1;
	if (port >= 0)
		(void)xenevtchn_unmask(line->evtchn, (evtchn_port_t)port);
	if (!fds[1].revents)
		return 0;
	blkfront_xenbus_refresh(&driver->xenbus);
	if (driver->persona->stands & 1u << driver->xenbus.backend_state)
		return 0;
	return persona_fail(&driver->error, -ESHUTDOWN, "the backend is %s under a running driver",
		blkfront_xenbus_state_name(driver->xenbus.backend_state));
}

static int drain_to(struct persona_driver *driver, unsigned nr_left)
{
	int64_t deadline = now_ms() + driver->timeout_ms;
	int r = 0;

	if (!driver->line.is_shared)
		return driver->line.nr_busy == 0
			       ? 0
			       : persona_fail(&driver->error, -ENOTCONN, "not connected");
	for (;;) {
		r = persona_line_take(&driver->line);
		if (r || driver->line.nr_busy <= nr_left)
			return r;
		r = wait_once(driver, deadline);
		if (r)
			return r;
	}
}

int persona_driver_drain(struct persona_driver *driver)
{
	return drain_to(driver, 0);
}

int persona_driver_io(struct persona_driver *driver, uint8_t op, uint64_t sector,
	uint64_t size_bytes, const struct blkfront_pattern *pattern)
{
	unsigned max = persona_line_max_bytes(&driver->line);
	int r = 0;

	if (!driver->line.is_shared)
		return persona_fail(&driver->error, -ENOTCONN, "not connected");
	while (r == 0 && size_bytes > 0) {
		unsigned n = size_bytes < max ? (unsigned)size_bytes : max;

		if (!persona_line_has_room(&driver->line))
			r = drain_to(driver, driver->persona->habits.depth - 1);
		if (r == 0)
			r = persona_line_submit(&driver->line, op, sector, n, pattern);
		sector += n / WIRE_SECTOR_SIZE;
		size_bytes -= n;
	}
	return r;
}

int persona_driver_sync(struct persona_driver *driver)
{
	const struct persona_habits *habits = &driver->persona->habits;
	struct blkfront_pattern none = {0};
	bool both = habits->sync == PERSONA_SYNC_BOTH;
	int r = 0;

	if (habits->sync == PERSONA_SYNC_NONE)
		return 0;
	if (!both)
		r = persona_driver_drain(driver);
	if (r == 0 && driver->barrier && (both || !driver->flush))
		r = persona_line_submit(
			&driver->line, BLKIF_OP_WRITE_BARRIER, habits->sync_sector, 0, &none);
	if (r == 0 && driver->flush)
		r = persona_line_submit(
			&driver->line, BLKIF_OP_FLUSH_DISKCACHE, habits->sync_sector, 0, &none);
	return r ? r : persona_driver_drain(driver);
}

int persona_driver_vanish(struct persona_driver *driver)
{
	if (blkfront_xenbus_wait(&driver->xenbus, PERSONA_STATE(Unknown), driver->timeout_ms))
		return persona_fail(&driver->error, -ETIMEDOUT, "the backend stays %s",
			blkfront_xenbus_state_name(driver->xenbus.backend_state));
	persona_line_unshare(&driver->line);
	return 0;
}

/* ---- the store -------------------------------------------------------------------------------- */

static int write_nodes(struct persona_driver *driver, const struct blkfront_node *nodes, unsigned n)
{
	int r = blkfront_xenbus_publish(&driver->xenbus, nodes, n);

	return r ? persona_fail(&driver->error, r, "cannot write to '%s': %s",
			   driver->xenbus.frontend, strerror(-r))
		 : 0;
}

/* The value of one of our keys, in @buffer if it is a number. */
static const char *key_value(
	const struct persona_driver *driver, const char *key, char *buffer, size_t size)
{
	const struct persona_line *line = &driver->line;

	if (strcmp(key, "ring-ref") == 0)
		snprintf(buffer, size, "%u", line->ring_page.gref);
	else if (strcmp(key, "event-channel") == 0)
		snprintf(buffer, size, "%d", line->port);
	else if (strcmp(key, "target-id") == 0)
		return "0";
	else if (strcmp(key, "protocol") == 0)
		return XEN_IO_PROTO_ABI_X86_64;
	else
		return "1"; /* a feature */
	return buffer;
}

static int write_keys(struct persona_driver *driver, unsigned state)
{
	const char *const *key = driver->persona->keys;
	struct blkfront_node nodes[KEYS_MAX + 1];
	char buffer[KEYS_MAX][16], digit[2] = {(char)('0' + state), '\0'};
	unsigned n = 0;

	for (; *key && n < KEYS_MAX; key++, n++)
		nodes[n] = (struct blkfront_node){
			*key, key_value(driver, *key, buffer[n], sizeof(buffer[n]))};
	if (state)
		nodes[n++] = (struct blkfront_node){"state", digit};
	return write_nodes(driver, nodes, n);
}

static int write_key(struct persona_driver *driver, const char *key)
{
	char buffer[16];
	struct blkfront_node node = {key, key_value(driver, key, buffer, sizeof(buffer))};

	return write_nodes(driver, &node, 1);
}

static int wait_for(struct persona_driver *driver, const struct persona_step *step)
{
	int r = blkfront_xenbus_wait(&driver->xenbus, step->go | step->bad, driver->timeout_ms);
	unsigned state = driver->xenbus.backend_state;

	if (r == 0 && step->go & 1u << state)
		return 0;
	return persona_fail(&driver->error, r ? r : -ECONNREFUSED,
		"the backend is %s%s: the driver %s", blkfront_xenbus_state_name(state),
		r ? " and stays so" : "", r ? "waits for ever" : "gives up");
}

static int need_number(struct persona_driver *driver, const char *key)
{
	uint64_t value;
	int r = blkfront_xenbus_read(&driver->xenbus, key, &value);

	if (r)
		return persona_fail(&driver->error, r, "cannot read '%s/%s': %s",
			driver->xenbus.backend, key, strerror(-r));
	if (strcmp(key, "sectors") == 0)
		driver->nr_sectors = value;
	if (strcmp(key, "sector-size") != 0)
		return 0;
	if (value < WIRE_SECTOR_SIZE || value > WIRE_PAGE_SIZE || value & (value - 1))
		return persona_fail(&driver->error, -EINVAL, "the sector-size is %llu",
			(unsigned long long)value);
	driver->line.sector_size = (unsigned)value;
	return 0;
}

/* What is absent stays as it was: so does Windows. */
static void read_features(struct persona_driver *driver)
{
	uint64_t value;

	if (blkfront_xenbus_read(&driver->xenbus, "feature-flush-cache", &value) == 0)
		driver->flush = value == 1;
	if (blkfront_xenbus_read(&driver->xenbus, "feature-barrier", &value) == 0)
		driver->barrier = value == 1;
}

static int check_own(struct persona_driver *driver, unsigned states)
{
	unsigned state = blkfront_xenbus_own_state(&driver->xenbus);

	if (states & 1u << state)
		return 0;
	return persona_fail(&driver->error, -ENODEV,
		"the frontend is %s: the driver takes it for no new device",
		blkfront_xenbus_state_name(state));
}

static int switch_to(struct persona_driver *driver, unsigned state)
{
	int r = blkfront_xenbus_switch(&driver->xenbus, (enum xenbus_state)state);

	return r ? persona_fail(&driver->error, r, "cannot write '%s/state': %s",
			   driver->xenbus.frontend, strerror(-r))
		 : 0;
}

/* ---- tables ----------------------------------------------------------------------------------- */

static int perform(struct persona_driver *driver, const struct persona_step *step)
{
	switch (step->verb) {
	case PERSONA_OWN:
		return check_own(driver, step->go);
	case PERSONA_SHARE:
		return persona_line_share(&driver->line);
	case PERSONA_KEYS:
		return write_keys(driver, step->state);
	case PERSONA_KEY:
		return write_key(driver, step->key);
	case PERSONA_REMOVE:
		return write_nodes(driver, &(struct blkfront_node){step->key, NULL}, 1);
	case PERSONA_SWITCH:
		return switch_to(driver, step->state);
	case PERSONA_WAIT:
		return wait_for(driver, step);
	case PERSONA_NEED:
		return need_number(driver, step->key);
	case PERSONA_READ:
		read_features(driver);
		return 0;
	case PERSONA_DRAIN:
		return persona_driver_drain(driver);
	case PERSONA_SYNC:
		return persona_driver_sync(driver);
	case PERSONA_REQUEUE:
		return persona_line_requeue(&driver->line);
	case PERSONA_UNSHARE:
		persona_line_unshare(&driver->line);
		return 0;
	case PERSONA_END:
		break;
	}
	return 0;
}

int persona_driver_perform(
	struct persona_driver *driver, const struct persona_step *table, unsigned max)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < max && table[i].verb != PERSONA_END; i++) {
		if (table[i].when && !(table[i].when & 1u << driver->xenbus.backend_state))
			continue;
		r = perform(driver, &table[i]);
	}
	return r;
}

/* The ABI of a driver that says nothing about it: the toolstack's word, or 32-bit (R19). */
static void choose_abi(struct persona_driver *driver)
{
	char *path, *value;
	unsigned size;

	driver->line.abi = WIRE_ABI_64;
	if (!driver->persona->inherits_protocol)
		return;
	driver->line.abi = WIRE_ABI_32;
	if (asprintf(&path, "%s/protocol", driver->xenbus.frontend) < 0)
		return;
	value = xs_read(driver->xenbus.xs, XBT_NULL, path, &size);
	if (value && strcmp(value, XEN_IO_PROTO_ABI_X86_64) == 0)
		driver->line.abi = WIRE_ABI_64;
	free(value);
	free(path);
}

int persona_driver_start(struct persona_driver *driver, unsigned max)
{
	const struct persona *persona = driver->persona;
	int r = 0;

	choose_abi(driver);
	driver->flush = driver->barrier = false;
	blkfront_xenbus_refresh(&driver->xenbus);
	if (persona->resets & 1u << blkfront_xenbus_own_state(&driver->xenbus))
		r = persona_driver_perform(driver, persona->reset, UINT32_MAX);
	return r ? r : persona_driver_perform(driver, persona->start, max);
}
