/*
 * XSA-371, XSA-39: whatever a queue has mapped or bound is given back on every way out. A connection that fails at the
 * Nth call of a library, for all N, leaves nothing; persistent grants are released at the end, those of requests that are
 * still in flight when the end comes included; and grants that cannot be mapped at all are copied (XSA-300).
 *
 * The libraries' functions are ours and pass on to the simulator's: a hypervisor that is out of something cannot be
 * had otherwise.
 */
#include "tests/lib/pass.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <libaio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "backend/data/queue_impl.h"

#define DESCRIPTOR (LOOP_PAGES - 1)
#define NR_DATA    500u

static struct loop loop;
static struct fake_engine fake;

/* ---- the hypervisor and the kernel ------------------------------------------------------------- */

static struct {
	unsigned fail_at; /* the Nth call fails; 0: none */
	unsigned calls;
	bool no_maps; /* as when the maptrack table is full */
	int nr_mapped, nr_handles;
} host;

static bool fails(int error)
{
	if (host.fail_at == 0 || ++host.calls != host.fail_at)
		return false;
	errno = error;
	return true;
}

#define REAL(name) (*(void **)&real = dlsym(RTLD_NEXT, #name))

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
	xengnttab_handle *(*real)(struct xentoollog_logger *, unsigned);
	xengnttab_handle *handle;

	if (fails(ENOENT))
		return NULL;
	REAL(xengnttab_open);
	handle = real(logger, flags);
	host.nr_handles += handle != NULL;
	return handle;
}

int xengnttab_close(xengnttab_handle *handle)
{
	int (*real)(xengnttab_handle *);

	REAL(xengnttab_close);
	host.nr_handles--;
	return real(handle);
}

void *xengnttab_map_domain_grant_refs(
	xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	void *(*real)(xengnttab_handle *, uint32_t, uint32_t, uint32_t *, int);
	void *pages;

	if (host.no_maps || fails(ENOMEM)) {
		errno = ENOMEM;
		return NULL;
	}
	REAL(xengnttab_map_domain_grant_refs);
	pages = real(handle, count, domid, refs, prot);
	host.nr_mapped += pages ? (int)count : 0;
	return pages;
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
	int (*real)(xengnttab_handle *, void *, uint32_t);

	REAL(xengnttab_unmap);
	host.nr_mapped -= (int)count;
	return real(handle, start, count);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(
	xenevtchn_handle *handle, uint32_t domid, evtchn_port_t port)
{
	xenevtchn_port_or_error_t (*real)(xenevtchn_handle *, uint32_t, evtchn_port_t);

	if (fails(EINVAL))
		return -1;
	REAL(xenevtchn_bind_interdomain);
	return real(handle, domid, port);
}

int io_setup(int n, io_context_t *context)
{
	int (*real)(int, io_context_t *);

	if (fails(EAGAIN))
		return -EAGAIN;
	REAL(io_setup);
	return real(n, context);
}

int epoll_create1(int flags)
{
	int (*real)(int);

	if (fails(EMFILE))
		return -1;
	REAL(epoll_create1);
	return real(flags);
}

int eventfd(unsigned value, int flags)
{
	int (*real)(unsigned, int);

	if (fails(EMFILE))
		return -1;
	REAL(eventfd);
	return real(value, flags);
}

int epoll_ctl(int epoll_fd, int verb, int fd, struct epoll_event *event)
{
	int (*real)(int, int, int, struct epoll_event *);

	if (fails(ENOSPC))
		return -1;
	REAL(epoll_ctl);
	return real(epoll_fd, verb, fd, event);
}

/* ---- the tests --------------------------------------------------------------------------------- */

static unsigned nr_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void begin(bool persistent)
{
	memset(&host, 0, sizeof(host));
	loop_init(&loop, persistent);
	loop_connect(&loop);
	fake_engine_install(&fake, loop.queue);
}

static void end(void)
{
	loop_disconnect(&loop);
	assert_int_equal(host.nr_mapped, 0);
	assert_int_equal(host.nr_handles, 0);
	loop_fini(&loop);
}

/* True if the connection came about. */
static bool connect_failing_at(unsigned n)
{
	struct problem problem = {.text = ""};
	struct queue_config cfg = {.nr_ring_refs = 1,
		.abi = WIRE_ABI_64,
		.persistent = true,
		.max_grants = LIMIT_GRANTS_DISK,
		.report_fd = loop.report_fd,
		.ring_ref[0] = loop.ring_ref[0],
		.event_channel = loop.port};
	int r;

	host.fail_at = n;
	host.calls = 0;
	r = queue_create(&cfg, loop.disk, &loop.queue, &problem);
	host.fail_at = 0;
	if (r == 0)
		return true;
	assert_true(problem.text[0] != '\0');
	assert_int_equal(host.nr_mapped, 0);
	assert_int_equal(host.nr_handles, 0);
	return false;
}

static void test_connecting_fails_at_every_call(void **state)
{
	unsigned n, before;

	(void)state;
	begin(true);
	loop_disconnect(&loop);
	/* The frontend's end of a connection, which is the same each time. */
	loop.port = (uint32_t)xenevtchn_bind_unbound_port(loop.evtchn, 0);
	frontring_init(&loop.ring, WIRE_ABI_64, loop.ring_pages, 1);
	before = nr_descriptors();
	for (n = 1; n < 100 && !connect_failing_at(n); n++)
		assert_int_equal(nr_descriptors(), before);
	assert_in_range(n, 8, 99);
	/* The one that came about works. */
	fake_engine_install(&fake, loop.queue);
	fake.at_once = true;
	loop_put(&loop, 1, BLKIF_OP_READ, 0, 0, 11);
	pass_push(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(host.nr_mapped, 12);
	end();
}

/* The end comes while requests are in flight: they are finished, and their pages let go of. */
static void test_released_at_the_end(void **state)
{
	(void)state;
	begin(true);
	fake.at_once = true;
	for (unsigned page = 0; page < NR_DATA; page += 10) {
		loop_put(&loop, page, BLKIF_OP_WRITE, 0, page, 10);
		pass_push(&loop);
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	}
	fake.at_once = false;
	for (unsigned i = 0; i < 20; i++)
		loop_put(&loop, i, BLKIF_OP_READ, 0, i * 10, 10);
	pass_push(&loop);
	assert_int_equal(fake.nr_flying, 20);
	assert_int_equal(host.nr_mapped, NR_DATA + 1);
	queue_begin_stop(loop.queue);
	pass_end_all(&loop, &fake);
	end();
}

/* XSA-300: where nothing more can be mapped requests are copied, their segments' page too. */
static void test_no_more_maps(void **state)
{
	struct queue_stats stats;

	(void)state;
	begin(true);
	fake.at_once = true;
	host.no_maps = true;
	loop_put(&loop, 1, BLKIF_OP_WRITE, 0, 0, 11);
	loop_put(&loop, 2, BLKIF_OP_READ, 0, 20, 11);
	loop_put_indirect(&loop, 3, BLKIF_OP_READ, 0, 40, 200, DESCRIPTOR);
	pass_push(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 3);
	stats = queue_stats(loop.queue);
	assert_int_equal(stats.segments_copied, 11 + 11 + 200);
	assert_int_equal(stats.segments_mapped, 0);
	assert_int_equal(host.nr_mapped, 1);
	/* When there is room again, it is used. */
	host.no_maps = false;
	loop_put(&loop, 4, BLKIF_OP_READ, 0, 0, 11);
	pass_push(&loop);
	assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
	assert_int_equal(host.nr_mapped, 12);
	end();
}

/* A request whose pages are mapped in part gives back its pins, and is copied. */
static void test_maps_fail_half_way(void **state)
{
	(void)state;
	begin(true);
	fake.at_once = true;
	for (unsigned n = 1; n <= 11; n++) {
		host.fail_at = n;
		host.calls = 0;
		loop_put(&loop, n, BLKIF_OP_READ, 0, n * 11, 11);
		pass_push(&loop);
		host.fail_at = 0;
		assert_int_equal(loop_take_answers(&loop, BLKIF_RSP_OKAY), 1);
		assert_int_equal(loop.queue->pcache.nr_pinned, 0);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connecting_fails_at_every_call),
		cmocka_unit_test(test_released_at_the_end),
		cmocka_unit_test(test_no_more_maps),
		cmocka_unit_test(test_maps_fail_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
