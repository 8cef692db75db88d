#include "backend/data/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include <xenevtchn.h>

int channel_open(
	struct channel *channel, uint32_t domid, uint32_t remote_port, struct problem *ret_problem)
{
	int port;

	*channel = (struct channel){.handle = xenevtchn_open(NULL, 0)};
	if (channel->handle == NULL)
		return problem_set(ret_problem, errno ? -errno : -ENODEV,
			"event channels cannot be used: %s: is /dev/xen/evtchn there (module xen-evtchn)?",
			strerror(errno));
	port = xenevtchn_bind_interdomain(channel->handle, domid, remote_port);
	if (port < 0) {
		int r = errno ? -errno : -EINVAL;

		channel_close(channel);
		return problem_set(ret_problem, r,
			"event-channel %u of domain %u cannot be bound: %s: the frontend must have allocated it for this domain, and nobody else may have bound it",
			remote_port, domid, strerror(-r));
	}
	channel->port = (uint32_t)port;
	/* A spurious wake-up must not block in the read behind xenevtchn_pending(). */
	(void)fcntl(xenevtchn_fd(channel->handle), F_SETFL, O_NONBLOCK);
	return 0;
}

void channel_close(struct channel *channel)
{
	if (channel->handle)
		(void)xenevtchn_close(channel->handle);
	channel->handle = NULL;
}

int channel_fd(const struct channel *channel)
{
	return xenevtchn_fd(channel->handle);
}

bool channel_take(struct channel *channel)
{
	int port = xenevtchn_pending(channel->handle);

	if (port < 0 || (uint32_t)port != channel->port)
		return false;
	channel->masked = true;
	return true;
}

void channel_unmask(struct channel *channel)
{
	if (!channel->masked)
		return;
	channel->masked = false;
	(void)xenevtchn_unmask(channel->handle, channel->port);
}

bool channel_notify(struct channel *channel)
{
	return xenevtchn_notify(channel->handle, channel->port) == 0;
}
