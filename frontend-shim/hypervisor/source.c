#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "frontend-shim/hypervisor/hv.h"

int hv_source_add(struct hv *hv, struct hv_source *s, int fd,
	void (*ready)(struct hv *, struct hv_source *, uint32_t))
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	s->fd = fd;
	s->ready = ready;
	if (epoll_ctl(hv->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	return 0;
}

void hv_source_remove(struct hv *hv, struct hv_source *s)
{
	if (s->fd < 0)
		return;
	(void)epoll_ctl(hv->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	(void)close(s->fd);
	s->fd = -1;
}
