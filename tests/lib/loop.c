#include "tests/lib/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

/* Reached only by a test that fails. */
#define DEADLINE_MS 20000

/* ---- the disk ---------------------------------------------------------------------------------- */

static void open_image(struct loop *loop)
{
	/* tmpfs takes direct I/O since Linux 6.6; before, a disk's file system has to do. */
	static const char *const places[] = {
		"/dev/shm/loop-t.XXXXXX", "/var/tmp/loop-t.XXXXXX", "/tmp/loop-t.XXXXXX"};
	struct storage_terms terms = {.discard = true};
	struct problem problem = {.text = ""};
	struct storage storage;

	for (unsigned i = 0; i < 3; i++) {
		char path[32];
		int r;

		(void)snprintf(path, sizeof(path), "%s", places[i]);
		loop->image_fd = mkstemp(path);
		if (loop->image_fd < 0) {
			(void)problem_set(&problem, -errno, "'%s': %s", path, strerror(errno));
			continue;
		}
		assert_int_equal(
			ftruncate(loop->image_fd, (off_t)LOOP_DISK_SECTORS * WIRE_SECTOR_SIZE), 0);
		r = storage_open(path, &terms, &storage, &problem);
		(void)unlink(path);
		if (r == 0) {
			storage.unit = loop->unit;
			/* What matters then is the unit, and the file is not asked. */
			if (loop->unit != STORAGE_SECTOR_SIZE)
				storage.memory_align = STORAGE_SECTOR_SIZE;
			assert_int_equal(disk_init(&loop->own_disk, &storage, 0), 0);
			return;
		}
		(void)close(loop->image_fd);
	}
	fail_msg("%s", problem.text);
}

/* ---- the guest's memory ------------------------------------------------------------------------ */

static void share_memory(struct loop *loop)
{
	loop->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->gntshr = xengntshr_open(NULL, 0);
	loop->evtchn = xenevtchn_open(NULL, 0);
	assert_non_null(loop->gntshr);
	assert_non_null(loop->evtchn);
	(void)fcntl(xenevtchn_fd(loop->evtchn), F_SETFL, O_NONBLOCK);
	loop->ring_pages =
		xengntshr_share_pages(loop->gntshr, 0, (int)loop->nr_ring_pages, loop->ring_ref, 1);
	loop->pages = xengntshr_share_pages(loop->gntshr, 0, LOOP_PAGES, loop->ref, 1);
	assert_non_null(loop->ring_pages);
	assert_non_null(loop->pages);
}

static void init(struct loop *loop, bool persistent, unsigned nr_ring_pages, unsigned unit)
{
	*loop = (struct loop){.persistent = persistent,
		.max_grants = LIMIT_GRANTS_DISK,
		.nr_ring_pages = nr_ring_pages,
		.unit = unit,
		.report_fd = -1};
	open_image(loop);
	loop->disk = &loop->own_disk;
	share_memory(loop);
}

void loop_init(struct loop *loop, bool persistent)
{
	loop_init_ring(loop, persistent, 1);
}

void loop_init_ring(struct loop *loop, bool persistent, unsigned nr_ring_pages)
{
	init(loop, persistent, nr_ring_pages, STORAGE_SECTOR_SIZE);
}

void loop_init_unit(struct loop *loop, bool persistent, unsigned unit)
{
	init(loop, persistent, 1, unit);
}

void loop_init_beside(struct loop *loop, struct loop *first)
{
	*loop = (struct loop){.persistent = first->persistent,
		.map_each = first->map_each,
		.max_grants = first->max_grants,
		.budget = first->budget,
		.nr_ring_pages = first->nr_ring_pages,
		.report_fd = -1,
		.image_fd = -1,
		.disk = first->disk,
		.index = first->index + 1};
	share_memory(loop);
}

void loop_fini(struct loop *loop)
{
	assert_int_equal(xengntshr_unshare(loop->gntshr, loop->ring_pages, loop->nr_ring_pages), 0);
	assert_int_equal(xengntshr_unshare(loop->gntshr, loop->pages, LOOP_PAGES), 0);
	assert_int_equal(xengntshr_close(loop->gntshr), 0);
	assert_int_equal(xenevtchn_close(loop->evtchn), 0);
	if (loop->disk == &loop->own_disk)
		disk_fini(loop->disk);
	if (loop->image_fd >= 0)
		(void)close(loop->image_fd);
	(void)close(loop->report_fd);
}

/* ---- a connection ------------------------------------------------------------------------------ */

void loop_connect(struct loop *loop)
{
	struct problem problem = {.text = ""};
	struct queue_config cfg = {
		.index = loop->index,
		.domid = 0,
		.nr_ring_refs = loop->nr_ring_pages,
		.abi = WIRE_ABI_64,
		.persistent = loop->persistent,
		.map_each = loop->map_each,
		.max_grants = loop->max_grants,
		.budget = loop->budget,
		.flush = true,
		.barrier = true,
		.indirect = true,
		.discard = true,
		.report_fd = loop->report_fd,
	};
	int port = xenevtchn_bind_unbound_port(loop->evtchn, 0);

	assert_true(port > 0);
	loop->port = (uint32_t)port;
	cfg.event_channel = loop->port;
	memcpy(cfg.ring_ref, loop->ring_ref, sizeof(cfg.ring_ref));
	frontring_init(&loop->ring, WIRE_ABI_64, loop->ring_pages, loop->nr_ring_pages);
	if (queue_create(&cfg, loop->disk, &loop->queue, &problem))
		fail_msg("%s", problem.text);
}

void loop_disconnect(struct loop *loop)
{
	struct queue_stats stats;

	queue_destroy(loop->queue, &stats);
	loop->queue = NULL;
	assert_true(stats.grants_mapped > 0);
	assert_int_equal(stats.grants_mapped, stats.grants_unmapped);
	assert_int_equal(xenevtchn_unbind(loop->evtchn, (evtchn_port_t)loop->port), 0);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static struct blk_request request_of(const struct loop *loop, uint64_t id, uint8_t op,
	uint64_t sector, unsigned page, unsigned nr_pages)
{
	struct blk_request req = {
		.id = id, .op = op, .sector = sector, .nr_segments = (uint16_t)nr_pages};

	assert_true(nr_pages <= BLK_SEGMENTS_MAX && page + nr_pages <= LOOP_PAGES);
	assert_true(frontring_free(&loop->ring) > 0);
	for (unsigned i = 0; i < nr_pages; i++)
		req.seg[i] = (struct blk_segment){
			.gref = loop->ref[page + i], .last_sect = WIRE_PAGE_SECTORS - 1};
	return req;
}

static void put(struct loop *loop, const struct blk_request *req)
{
	struct wire_slot slot;

	frontring_encode(WIRE_ABI_64, req, &slot);
	frontring_put(&loop->ring, &slot);
}

void loop_put(struct loop *loop, uint64_t id, uint8_t op, uint64_t sector, unsigned page,
	unsigned nr_pages)
{
	struct blk_request req = request_of(loop, id, op, sector, page, nr_pages);

	put(loop, &req);
}

void loop_put_indirect(struct loop *loop, uint64_t id, uint8_t op, uint64_t sector, unsigned page,
	unsigned nr_pages, unsigned descriptor)
{
	struct blk_request req = request_of(loop, id, op, sector, page, nr_pages);

	req.indirect = true;
	req.indirect_gref[0] = loop->ref[descriptor];
	frontring_encode_page(req.seg, nr_pages, loop->pages + (size_t)descriptor * WIRE_PAGE_SIZE);
	put(loop, &req);
}

void loop_put_request(struct loop *loop, const struct blk_request *req, unsigned page)
{
	struct blk_request copy = *req;

	assert_true(page + req->nr_segments <= LOOP_PAGES);
	for (unsigned i = 0; i < req->nr_segments; i++)
		copy.seg[i].gref = loop->ref[page + i];
	put(loop, &copy);
}

void loop_put_discard(struct loop *loop, uint64_t id, uint64_t sector, uint64_t nr_sectors)
{
	struct blk_request req = {
		.id = id, .op = BLKIF_OP_DISCARD, .sector = sector, .nr_sectors = nr_sectors};

	put(loop, &req);
}

void loop_push(struct loop *loop)
{
	if (frontring_push(&loop->ring))
		assert_int_equal(xenevtchn_notify(loop->evtchn, loop->port), 0);
}

bool loop_get(struct loop *loop, struct frontring_response *ret_rsp)
{
	assert_true(frontring_is_sane(&loop->ring));
	return frontring_get(&loop->ring, ret_rsp);
}

void loop_expect(struct loop *loop, uint64_t id, uint8_t op, int16_t status)
{
	struct frontring_response rsp;

	assert_true(loop_get(loop, &rsp));
	assert_int_equal(rsp.id, id);
	assert_int_equal(rsp.op, op);
	assert_int_equal(rsp.status, status);
	assert_true(rsp.padding_is_zero);
}

void loop_expect_none(struct loop *loop)
{
	struct frontring_response rsp;

	assert_false(loop_get(loop, &rsp));
}

unsigned loop_take_answers(struct loop *loop, int16_t status)
{
	struct frontring_response rsp;
	unsigned n = 0;

	for (; loop_get(loop, &rsp); n++) {
		assert_int_equal(rsp.status, status);
		assert_true(rsp.padding_is_zero);
	}
	return n;
}

unsigned loop_take_events(struct loop *loop)
{
	unsigned n = 0;
	int port;

	while ((port = xenevtchn_pending(loop->evtchn)) >= 0) {
		n += (uint32_t)port == loop->port;
		assert_int_equal(xenevtchn_unmask(loop->evtchn, (evtchn_port_t)port), 0);
	}
	return n;
}

struct frontring_response loop_wait(struct loop *loop)
{
	struct frontring_response rsp;

	while (!loop_get(loop, &rsp)) {
		struct pollfd pfd = {.fd = xenevtchn_fd(loop->evtchn), .events = POLLIN};

		if (frontring_final_check(&loop->ring))
			continue;
		if (poll(&pfd, 1, DEADLINE_MS) != 1)
			fail_msg("no response comes");
		(void)loop_take_events(loop);
	}
	return rsp;
}

void loop_wait_any(struct loop *loop, unsigned n)
{
	struct pollfd pfd[LIMIT_QUEUES];

	assert_in_range(n, 1, LIMIT_QUEUES);
	for (;;) {
		for (unsigned i = 0; i < n; i++) {
			pfd[i] = (struct pollfd){
				.fd = xenevtchn_fd(loop[i].evtchn), .events = POLLIN};
			(void)loop_take_events(&loop[i]);
			if (frontring_final_check(&loop[i].ring))
				return;
		}
		if (poll(pfd, n, DEADLINE_MS) < 1)
			fail_msg("no response comes");
	}
}

uint64_t loop_nr_mapped(const struct loop *loop)
{
	struct queue_stats stats = queue_stats(loop->queue);

	return stats.grants_mapped - stats.grants_unmapped - loop->nr_ring_pages;
}
