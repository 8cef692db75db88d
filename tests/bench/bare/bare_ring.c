#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bare/bare_ring.h"

static uint64_t clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void take(struct bare_ring *r)
{
	struct wire_slot slot;
	uint8_t op;

	backring_take(&r->ring, &slot);
	if (r->io && bare_io_put(r->io, &slot))
		return;
	op = slot.r64.operation;
	backring_respond(&r->ring, slot.r64.id, op == BLKIF_OP_INDIRECT ? slot.i64.indirect_op : op,
		r->io ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_OKAY);
}

static void answer_ended(struct bare_ring *r)
{
	struct bare_io_done done;

	while (bare_io_take(r->io, &done))
		backring_respond(&r->ring, done.id, done.op, done.status);
}

/* Something comes within the time for looking. */
static bool look(const struct bare_ring *r)
{
	uint64_t until_us = r->look_us > 0 ? clock_us() + r->look_us : 0;

	while (!backring_has_requests(&r->ring) && !(r->io && bare_io_has_done(r->io)))
		if (until_us == 0 || clock_us() >= until_us)
			return false;
	return true;
}

/* All that is there, again and again, until there is nothing and an event will come with the next. */
static int do_all(struct bare_ring *r)
{
	int error = 0;

	do {
		for (unsigned n = backring_available(&r->ring); n > 0; n--)
			take(r);
		if (r->io) {
			error = bare_io_submit(r->io);
			answer_ended(r);
		}
		if (backring_push(&r->ring))
			(void)xenevtchn_notify(r->events, r->port);
	} while (error == 0 && (look(r) || backring_final_check(&r->ring)));
	return error;
}

static void take_event(struct bare_ring *r)
{
	int port = xenevtchn_pending(r->events);

	if (port >= 0)
		(void)xenevtchn_unmask(r->events, (evtchn_port_t)port);
}

/* Sleep. True: that was all. */
static bool is_over(struct bare_ring *r)
{
	struct epoll_event event[3];
	int n = epoll_wait(r->epoll, event, 3, -1);

	for (int i = 0; i < n; i++) {
		if (event[i].data.fd == r->stop)
			return true;
		if (event[i].data.fd == xenevtchn_fd(r->events))
			take_event(r);
	}
	/* As our worker does: who is awake asks for no event. */
	if (!backring_has_requests(&r->ring))
		backring_withdraw(&r->ring);
	return false;
}

static void *serve(void *arg)
{
	struct bare_ring *r = arg;

	for (;;) {
		int error = do_all(r);

		if (error) {
			/* Who waits for answers hears at least why there are none. */
			fprintf(stderr, "bare-backend: io_submit: %s\n", strerror(-error));
			_exit(1);
		}
		if (is_over(r))
			return NULL;
	}
}

/* The engine's by its edge: it is never read. */
static int watch(const struct bare_ring *r, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int watch_all(struct bare_ring *r)
{
	int error;

	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return -errno;
	error = watch(r, xenevtchn_fd(r->events), EPOLLIN);
	if (error == 0)
		error = watch(r, r->stop, EPOLLIN);
	if (error == 0 && r->io)
		error = watch(r, bare_io_fd(r->io), EPOLLIN | EPOLLET);
	return error;
}

static int open_all(struct bare_ring *r, const struct bare_ring_setup *setup)
{
	int port;

	r->stop = eventfd(0, EFD_CLOEXEC);
	r->grants = xengnttab_open(NULL, 0);
	r->events = xenevtchn_open(NULL, 0);
	if (r->stop < 0 || !r->grants || !r->events)
		return -errno;
	r->pages = xengnttab_map_domain_grant_refs(r->grants, setup->nr_pages, setup->domid,
		(uint32_t *)setup->ref, PROT_READ | PROT_WRITE);
	if (!r->pages)
		return -errno;
	port = xenevtchn_bind_interdomain(r->events, setup->domid, setup->port);
	if (port < 0)
		return -errno;
	r->port = (uint32_t)port;
	(void)fcntl(xenevtchn_fd(r->events), F_SETFL, O_NONBLOCK);
	backring_init(&r->ring, WIRE_ABI_64, r->pages, setup->nr_pages);
	return setup->io_path ? bare_io_open(&r->io, setup->io_path, r->grants, setup->domid) : 0;
}

int bare_ring_start(struct bare_ring *r, const struct bare_ring_setup *setup)
{
	int error;

	*r = (struct bare_ring){
		.stop = -1, .epoll = -1, .nr_pages = setup->nr_pages, .look_us = setup->look_us};
	error = open_all(r, setup);
	if (error == 0)
		error = watch_all(r);
	if (error)
		return error;
	error = pthread_create(&r->thread, NULL, serve, r);
	r->runs = error == 0;
	return -error;
}

void bare_ring_stop(struct bare_ring *r)
{
	uint64_t one = 1;

	if (r->runs) {
		(void)!write(r->stop, &one, sizeof(one));
		(void)pthread_join(r->thread, NULL);
	}
	bare_io_close(r->io);
	if (r->pages)
		(void)xengnttab_unmap(r->grants, r->pages, r->nr_pages);
	if (r->events)
		(void)xenevtchn_close(r->events);
	if (r->grants)
		(void)xengnttab_close(r->grants);
	if (r->stop >= 0)
		(void)close(r->stop);
	if (r->epoll >= 0)
		(void)close(r->epoll);
	*r = (struct bare_ring){.stop = -1, .epoll = -1};
}
