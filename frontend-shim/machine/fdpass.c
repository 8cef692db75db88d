#include "frontend-shim/machine/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fdpass_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

ssize_t fdpass_send(int fd, const struct fdpass_message *msg, int flags)
{
	union fdpass_control control = {.room = {0}};
	struct msghdr mh = {.msg_iov = msg->iov, .msg_iovlen = msg->nr_iov};
	ssize_t n;

	if (msg->nr_fds) {
		struct cmsghdr *cm;

		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(msg->nr_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(msg->nr_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), msg->fds, msg->nr_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &mh, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t fdpass_receive(int fd, struct fdpass_message *msg, int flags)
{
	union fdpass_control control;
	struct msghdr mh = {.msg_iov = msg->iov,
		.msg_iovlen = msg->nr_iov,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	msg->nr_fds = 0;
	msg->truncated = mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		msg->nr_fds = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(msg->fds, CMSG_DATA(cm), msg->nr_fds * sizeof(int));
	}
	return n;
}
