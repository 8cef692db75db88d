/*
 * Shared by the contract tests: what Xen guarantees and the simulator has to keep. They use the real
 * public headers only and play both sides within one domain (grants and event channels to oneself are
 * ordinary), so the same programs run in the simulator, as dom0 or as a guest, and on real Xen.
 */
#ifndef TESTS_CONTRACT_CONTRACT_H
#define TESTS_CONTRACT_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define CONTRACT_PAGE 4096u

/* This domain's id, as xenstore tells it. */
uint32_t contract_domid(void);

/* Some domain that is neither this one nor dom0, and need not exist. */
uint32_t contract_other_domid(void);

/* Whether `fd` becomes readable within the time an event needs at most, or is so now. */
bool contract_readable(int fd);
bool contract_readable_now(int fd);

/* The next event of a handle; fails the test if none comes. */
uint32_t contract_event(xenevtchn_handle *xce);

/* A bound pair of ports of this domain, each end with its own handle. */
struct contract_pair {
	xenevtchn_handle *a, *b;
	uint32_t port_a, port_b;
};

/* b binds to a; the event that binding raises on b is taken and unmasked. */
void contract_pair_open(struct contract_pair *p);
void contract_pair_close(struct contract_pair *p);

#endif
