/*
 * A connection is a library handle: accepted, introduced by HV_HELLO, asked and answered one request
 * at a time, and released with all it holds when it says HV_CLOSE or hangs up, however that happens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend-shim/hypervisor/hv.h"
#include "frontend-shim/machine/eventfd.h"
#include "frontend-shim/machine/fdpass.h"

/* ---- descriptors of a handle in shared memory -------------------------------------------------- */

static int handle_index_take(struct hv *hv, struct hv_handle *h)
{
	struct machine_handle *mh;

	for (uint32_t i = 1; i < MACHINE_HANDLES; i++) {
		if (hv->handles[i])
			continue;
		mh = &hv->machine->handles[i];
		memset(mh, 0, sizeof(*mh));
		hv->generation[i]++;
		hv->handles[i] = h;
		if (i >= hv->handle_top)
			hv->handle_top = i + 1;
		h->index = i;
		h->id = (uint64_t)hv->generation[i] << 32 | i;
		atomic_store(&mh->generation, hv->generation[i]);
		return 0;
	}
	return -EMFILE;
}

static void handle_index_give(struct hv *hv, struct hv_handle *h)
{
	if (!h->index)
		return;
	hv_counters_retire(hv, h);
	atomic_store(&hv->machine->handles[h->index].generation, 0);
	hv->handles[h->index] = NULL;
	h->index = 0;
	while (hv->handle_top > 1 && !hv->handles[hv->handle_top - 1])
		hv->handle_top--;
}

bool hv_handle_in_copy(struct hv *hv, uint64_t id)
{
	struct machine_handle *mh = &hv->machine->handles[handle_index(id)];

	return atomic_load(&mh->generation) == handle_generation(id) &&
	       atomic_load(&mh->copies_done) != atomic_load(&mh->copies_begun);
}

/* ---- letting go -------------------------------------------------------------------------------- */

static void handle_release(struct hv *hv, struct hv_handle *h)
{
	hv_maps_release(hv, h);
	hv_shares_release(hv, h);
	if (h->guest) {
		if (h->kind == HV_KIND_EVTCHN)
			hv_channels_release(hv, h);
		h->guest->nr_handles--;
		h->guest = NULL;
	}
	handle_index_give(hv, h);
	if (h->event_fd >= 0)
		(void)close(h->event_fd);
	h->event_fd = -1;
}

void hv_handle_close(struct hv *hv, struct hv_handle *h)
{
	handle_release(hv, h);
	hv_source_remove(hv, &h->source);
	free(h);
}

int hv_op_close(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	(void)p;
	handle_release(hv, h);
	h->kind = HV_KIND_NONE;
	return 0;
}

/* The domain is destroyed. Its handles stay connected but every operation is refused. */
void hv_handles_forget_guest(struct hv *hv, struct hv_guest *g)
{
	for (uint32_t i = 1; i < hv->handle_top; i++) {
		struct hv_handle *h = hv->handles[i];

		if (!h || h->guest != g)
			continue;
		hv_maps_release(hv, h);
		hv_shares_release(hv, h);
		h->guest = NULL;
	}
}

/* ---- introducing ------------------------------------------------------------------------------- */

static void handle_welcome(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	p->reply.value = h->id;
	p->reply.count = h->guest->slot;
	p->send_fds[p->nr_send_fds++] = hv->machine_fd;
	if (h->event_fd >= 0)
		p->send_fds[p->nr_send_fds++] = h->event_fd;
}

int hv_op_hello(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct hv_guest *g = hv_guest_find(hv, p->req.domid);
	int r;

	if (p->req.value != HV_VERSION)
		return -EPROTO;
	if (p->req.flags <= HV_KIND_NONE || p->req.flags >= HV_KIND_COUNT)
		return -EINVAL;
	if (!g || g->state != HV_DOMAIN_RUNNING)
		return -ESRCH;
	if (p->req.flags == HV_KIND_EVTCHN) {
		h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
		if (h->event_fd < 0)
			return -errno;
		r = eventfd_identity(h->event_fd, &h->event_identity);
		if (r < 0)
			return r;
	}
	r = handle_index_take(hv, h);
	if (r < 0)
		return r;
	h->kind = p->req.flags;
	h->domid = g->domid;
	h->guest = g;
	h->restricted_to = HV_NO_NOTIFY;
	g->nr_handles++;
	handle_welcome(hv, h, p);
	return 0;
}

/*
 * A program that executed itself anew holds its old event channel handle as a bare eventfd, and its
 * old connection as a descriptor nobody knows. The two connections change places: the handle lives
 * on behind the new one, the old one keeps an empty handle.
 */
int hv_op_adopt(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct hv_handle *old = NULL;
	int fd;

	for (uint32_t i = 1; i < hv->handle_top; i++) {
		struct hv_handle *o = hv->handles[i];

		if (o && o != h && o->event_fd >= 0 && o->event_identity == p->req.value &&
			o->pid == h->pid && o->guest == h->guest)
			old = o;
	}
	if (!old)
		return -EINVAL;
	fd = old->source.fd;
	old->source.fd = h->source.fd;
	h->source.fd = fd;
	ev.data.ptr = old;
	(void)epoll_ctl(hv->epoll_fd, EPOLL_CTL_MOD, old->source.fd, &ev);
	ev.data.ptr = h;
	(void)epoll_ctl(hv->epoll_fd, EPOLL_CTL_MOD, h->source.fd, &ev);
	handle_welcome(hv, old, p);
	return 0;
}

int hv_op_waker(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	uint32_t i = handle_index(p->req.value);

	(void)h;
	if (i >= MACHINE_HANDLES || !hv->handles[i] || hv->handles[i]->id != p->req.value ||
		hv->handles[i]->event_fd < 0)
		return -ESRCH;
	p->send_fds[p->nr_send_fds++] = hv->handles[i]->event_fd;
	return 0;
}

/* ---- asking and answering ---------------------------------------------------------------------- */

void hv_answer(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	struct iovec iov[2] = {{&p->reply, sizeof(p->reply)}, {p->out, p->out_size}};
	struct fdpass_message msg = {.iov = iov, .nr_iov = p->out_size ? 2 : 1};

	(void)hv;
	for (unsigned i = 0; i < p->nr_send_fds; i++)
		msg.fds[msg.nr_fds++] = p->send_fds[i];
	/* Who does not read its answers is not waited for: the loop then sees it hang up. */
	if (fdpass_send(h->source.fd, &msg, MSG_DONTWAIT) < 0)
		(void)shutdown(h->source.fd, SHUT_RDWR);
}

void hv_answer_waiters(struct hv *hv, bool xenstore, bool stop)
{
	for (uint32_t i = 1; i < hv->handle_top; i++) {
		struct hv_handle *h = hv->handles[i];
		struct hv_packet p = {.received_fd = -1};

		if (!h || !((xenstore && h->waits_for_xenstore) || (stop && h->waits_for_stop)))
			continue;
		h->waits_for_xenstore = h->waits_for_stop = false;
		hv_answer(hv, h, &p);
	}
}

/* Carries out one request. The handle the answer belongs to is looked up again by its connection,
 * because HV_ADOPT changes which handle that is. */
static void handle_serve(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	int fd = h->source.fd;

	p->out = hv->out;
	p->reply.result = hv_dispatch(hv, h, p);
	if (p->received_fd >= 0)
		(void)close(p->received_fd);
	if (p->reply.result < 0) {
		p->out_size = 0;
		p->nr_send_fds = 0;
	}
	if (p->deferred)
		return;
	for (uint32_t i = 1; i < hv->handle_top && h->source.fd != fd; i++)
		if (hv->handles[i] && hv->handles[i]->source.fd == fd)
			h = hv->handles[i];
	hv_answer(hv, h, p);
}

static void handle_ready(struct hv *hv, struct hv_source *s, uint32_t events)
{
	struct hv_handle *h = (struct hv_handle *)s;
	struct hv_packet p = {.received_fd = -1};
	struct iovec iov[2] = {{&p.req, sizeof(p.req)}, {hv->in, sizeof(hv->in)}};
	struct fdpass_message msg = {.iov = iov, .nr_iov = 2};
	ssize_t n;

	(void)events;
	n = fdpass_receive(s->fd, &msg, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return;
	for (unsigned i = 0; n > 0 && i < msg.nr_fds; i++) {
		if (p.received_fd >= 0)
			(void)close(p.received_fd);
		p.received_fd = msg.fds[i];
	}
	if (n < (ssize_t)sizeof(p.req) || msg.truncated) {
		if (p.received_fd >= 0)
			(void)close(p.received_fd);
		hv_handle_close(hv, h);
		return;
	}
	p.data = hv->in;
	p.data_size = (size_t)n - sizeof(p.req);
	handle_serve(hv, h, &p);
}

static void listener_ready(struct hv *hv, struct hv_source *s, uint32_t events)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	struct hv_handle *h;
	int fd;

	(void)events;
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	h = calloc(1, sizeof(*h));
	if (!h || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		free(h);
		(void)close(fd);
		return;
	}
	h->pid = cred.pid;
	h->event_fd = -1;
	if (hv_source_add(hv, &h->source, fd, handle_ready) < 0) {
		(void)close(fd);
		free(h);
	}
}

int hv_listen(struct hv *hv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, n;

	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/hypervisor", hv->dir);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 512) < 0) {
		n = -errno;
		(void)close(fd);
		return n;
	}
	return hv_source_add(hv, &hv->listener, fd, listener_ready);
}
