#include "tests/contract/contract.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* Far longer than any event takes; reached only by a test that fails. */
#define CONTRACT_DEADLINE_MS 60000

uint32_t contract_domid(void)
{
	struct xs_handle *xs = xs_open(0);
	uint32_t domid;
	char *text;

	assert_non_null(xs);
	text = xs_read(xs, XBT_NULL, "domid", NULL);
	assert_non_null(text);
	domid = (uint32_t)strtoul(text, NULL, 10);
	free(text);
	xs_close(xs);
	return domid;
}

uint32_t contract_other_domid(void)
{
	return contract_domid() + 77;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int n;

	do {
		n = poll(&pfd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

bool contract_readable(int fd)
{
	return readable(fd, CONTRACT_DEADLINE_MS);
}

bool contract_readable_now(int fd)
{
	return readable(fd, 0);
}

uint32_t contract_event(xenevtchn_handle *xce)
{
	int port;

	assert_true(contract_readable(xenevtchn_fd(xce)));
	port = xenevtchn_pending(xce);
	assert_true(port > 0);
	return (uint32_t)port;
}

void contract_pair_open(struct contract_pair *p)
{
	uint32_t self = contract_domid();
	int r;

	p->a = xenevtchn_open(NULL, 0);
	p->b = xenevtchn_open(NULL, 0);
	assert_non_null(p->a);
	assert_non_null(p->b);
	r = xenevtchn_bind_unbound_port(p->a, self);
	assert_true(r > 0);
	p->port_a = (uint32_t)r;
	r = xenevtchn_bind_interdomain(p->b, self, p->port_a);
	assert_true(r > 0);
	p->port_b = (uint32_t)r;
	assert_int_equal(contract_event(p->b), p->port_b);
	assert_int_equal(xenevtchn_unmask(p->b, p->port_b), 0);
}

void contract_pair_close(struct contract_pair *p)
{
	assert_int_equal(xenevtchn_close(p->a), 0);
	assert_int_equal(xenevtchn_close(p->b), 0);
}
