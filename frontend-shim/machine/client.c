#include "frontend-shim/machine/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend-shim/machine/eventfd.h"
#include "frontend-shim/machine/fdpass.h"

int hv_client_domid(uint32_t *ret_domid)
{
	const char *s = getenv("XENSIM_DOMID");
	unsigned long v;
	char *end;

	if (!s || !*s) {
		*ret_domid = 0;
		return 0;
	}
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || v >= MACHINE_DOMIDS - 16)
		return -EINVAL;
	*ret_domid = (uint32_t)v;
	return 0;
}

static int client_connect(const char *dir, bool inherit)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, n;

	if (!dir)
		dir = getenv("XENSIM_DIR");
	if (!dir || !*dir)
		return -ENOENT;
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/hypervisor", dir);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | (inherit ? 0 : SOCK_CLOEXEC), 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		n = errno == ECONNREFUSED ? -ENOENT : -errno;
		(void)close(fd);
		return n;
	}
	return fd;
}

static void call_close_fds(struct hv_call *call)
{
	for (unsigned i = 0; i < HV_MAX_FDS; i++) {
		if (call->fds[i] >= 0)
			(void)close(call->fds[i]);
		call->fds[i] = -1;
	}
}

int hv_client_call(struct hv_client *c, struct hv_call *call)
{
	struct iovec out[2] = {
		{&call->req, sizeof(call->req)}, {(void *)(uintptr_t)call->data, call->data_size}};
	struct iovec in[2] = {{&call->reply, sizeof(call->reply)}, {call->out, call->out_room}};
	struct fdpass_message msg = {.iov = out, .nr_iov = 2};
	ssize_t n;
	int r;

	memset(call->fds, -1, sizeof(call->fds));
	if (c->fd < 0)
		return -EBADF;
	msg.fds[0] = call->send_fd;
	msg.nr_fds = call->send_fd >= 0;

	r = pthread_mutex_lock(&c->lock);
	if (r)
		return -r;
	n = fdpass_send(c->fd, &msg, 0);
	if (n >= 0) {
		msg = (struct fdpass_message){.iov = in, .nr_iov = 2};
		n = fdpass_receive(c->fd, &msg, 0);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (n == -EPIPE || n == -ECONNRESET || n == 0)
		return -EIO;
	if (n < 0)
		return (int)n;

	for (unsigned i = 0; i < msg.nr_fds; i++)
		call->fds[i] = msg.fds[i];
	r = call->reply.result;
	if ((size_t)n < sizeof(call->reply))
		r = -EPROTO;
	else if (msg.truncated)
		r = -EMSGSIZE;
	else
		call->out_size = (size_t)n - sizeof(call->reply);
	if (r < 0)
		call_close_fds(call);
	return r;
}

int hv_client_simple(struct hv_client *c, const struct hv_request *req, struct hv_reply *ret_reply)
{
	struct hv_call call = {.req = *req, .send_fd = -1};
	int r;

	r = hv_client_call(c, &call);
	if (r < 0)
		return r;
	if (ret_reply)
		*ret_reply = call.reply;
	call_close_fds(&call);
	return r;
}

/* Keeps what HV_HELLO and HV_ADOPT answer: who we are, the machine, the eventfd. */
static int client_welcome(struct hv_client *c, struct hv_call *call)
{
	if (!c->machine) {
		void *p = mmap(NULL, sizeof(struct machine), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_NORESERVE, call->fds[0], 0);

		if (p == MAP_FAILED)
			return -errno;
		(void)madvise(p, sizeof(struct machine), MADV_DONTDUMP); /* only an economy */
		c->machine = p;
		if (c->machine->magic != MACHINE_MAGIC)
			return -EPROTO;
	}
	c->id = call->reply.value;
	c->slot = call->reply.count;
	c->event_fd = call->fds[1];
	call->fds[1] = -1;
	return 0;
}

int hv_client_open(
	struct hv_client *c, const char *dir, uint32_t domid, enum hv_kind kind, bool inherit)
{
	struct hv_call call = {.send_fd = -1};
	int r;

	*c = (struct hv_client){.fd = -1, .event_fd = -1, .pid = getpid(), .domid = domid};
	r = pthread_mutex_init(&c->lock, NULL);
	if (r)
		return -r;
	c->fd = client_connect(dir, inherit);
	if (c->fd < 0)
		return c->fd;
	call.req = (struct hv_request){
		.op = HV_HELLO, .domid = domid, .flags = kind, .value = HV_VERSION};
	r = hv_client_call(c, &call);
	if (!r) {
		r = client_welcome(c, &call);
		call_close_fds(&call);
	}
	if (!r && inherit && c->event_fd >= 0)
		r = eventfd_set_inherited(c->event_fd);
	if (r < 0)
		hv_client_close(c);
	return r;
}

int hv_client_adopt(struct hv_client *c, int fd)
{
	struct hv_call call = {.req.op = HV_ADOPT, .send_fd = -1};
	int r;

	r = eventfd_identity(fd, &call.req.value);
	if (r < 0)
		return r;
	r = hv_client_call(c, &call);
	if (r < 0)
		return r;
	if (c->event_fd >= 0)
		(void)close(c->event_fd);
	r = client_welcome(c, &call);
	call_close_fds(&call);
	return r;
}

void hv_client_close(struct hv_client *c)
{
	/* Closing a device releases its resources before close() returns; hanging up on a socket does
	 * not, so the owner asks first. A child after fork() only lets go of its copy. */
	if (c->fd >= 0 && c->pid == getpid())
		(void)hv_client_simple(c, &(struct hv_request){.op = HV_CLOSE}, NULL);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	if (c->event_fd >= 0)
		(void)close(c->event_fd);
	c->event_fd = -1;
	if (c->machine)
		(void)munmap(c->machine, sizeof(struct machine));
	c->machine = NULL;
}
