/*
 * Telling the service manager how we are: the protocol of sd_notify(3), which that page allows
 * anyone to speak without libsystemd.
 *
 * Main thread only; blocks for a tenth of a second at most; never logs: nobody listening is the ordinary case.
 */
#ifndef BACKEND_SUPERVISOR_NOTIFY_H
#define BACKEND_SUPERVISOR_NOTIFY_H

/* Take the address out of the environment, so that no worker speaks in our name. Call it once. */
void notify_init(void);

/* Send lines such as "READY=1\nSTATUS=serving". */
void notify(const char *fmt, ...) __attribute__((nonnull, format(printf, 1, 2)));

#endif
