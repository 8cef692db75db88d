#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend-shim/toolstack/toolstack.h"

static size_t strings_pack(char *at, const char *s)
{
	size_t n = strlen(s) + 1;

	if (at)
		memcpy(at, s, n);
	return n;
}

/* Packs the log path, the arguments and the environment; only measures if `at` is NULL. */
static size_t spawn_pack(const struct spawn *s, char *at, struct hv_request *req)
{
	size_t n = strings_pack(at, s->log);

	req->count = req->flags = 0;
	for (; s->argv[req->count]; req->count++)
		n += strings_pack(at ? at + n : NULL, s->argv[req->count]);
	for (; s->env[req->flags]; req->flags++)
		n += strings_pack(at ? at + n : NULL, s->env[req->flags]);
	return n;
}

int spawn_child(struct hv_client *c, const struct spawn *s, int child_fd)
{
	struct hv_call call = {.req = {.op = HV_SPAWN, .domid = s->domid}, .send_fd = child_fd};
	char *data;
	int r;

	call.data_size = spawn_pack(s, NULL, &call.req);
	data = malloc(call.data_size);
	if (!data)
		return -ENOMEM;
	(void)spawn_pack(s, data, &call.req);
	call.data = data;
	r = hv_client_call(c, &call);
	free(data);
	(void)close(child_fd);
	return r;
}

int spawn_wait_ready(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int64_t deadline = tool_now_ms() + timeout_ms;
	char byte;

	for (;;) {
		int64_t left = deadline - tool_now_ms();
		int n = poll(&pfd, 1, left > 0 ? (int)left : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ETIMEDOUT;
		return read(fd, &byte, 1) == 1 ? 0 : -EPIPE;
	}
}
