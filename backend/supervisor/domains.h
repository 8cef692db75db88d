/*
 * Which domains there are, by libxenctrl.
 *
 * Main thread only. Never logs, but libxenctrl may write to standard error. What cannot be learned,
 * as in a driver domain without that privilege, is unknown and taken for alive.
 */
#ifndef BACKEND_SUPERVISOR_DOMAINS_H
#define BACKEND_SUPERVISOR_DOMAINS_H

#include <stdbool.h>
#include <stdint.h>

struct domains;

/* NULL when the hypervisor cannot be asked; errno says why. */
struct domains *domains_open(void);
void domains_close(struct domains *domains);

/*
 * True if there certainly is no domain @domid any more, or it is dying: it runs no guest, and waits
 * for its memory to be let go. One that only has shut down is not gone. @domains may be NULL.
 */
bool domains_is_gone(struct domains *domains, uint32_t domid);

#endif
