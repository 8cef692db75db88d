/*
 * Every resource a guest can make the host hold, in one place. See SECURITY.md.
 * Any thread; constants only.
 */
#ifndef BACKEND_UTIL_LIMITS_H
#define BACKEND_UTIL_LIMITS_H

#include <stddef.h>

/* Rings of one disk. */
#define LIMIT_QUEUES 8

/* Requests taken from one ring and not yet answered: a single-page ring has 32 slots. */
#define LIMIT_SLOTS 32

/* Segments, and therefore grants and pages, of one request. */
#define LIMIT_SEGMENTS 11

/*
 * Grants kept mapped per queue. blkif.h asks a backend to keep at least ring size * 11 = 352; three
 * times that, as the kernel's backend keeps, absorbs frontends that rotate through more pages.
 */
#define LIMIT_PERSISTENT_GRANTS 1056

/* Bytes of copy buffers per queue: every slot may need one page per segment. */
#define LIMIT_COPY_BYTES ((size_t)LIMIT_SLOTS * LIMIT_SEGMENTS * 4096u)

/*
 * Requests one pass takes, submits together and answers together before it looks for more. Few, so
 * that guest, worker and storage work at the same time: taking the whole ring at once made the
 * three wait for each other in turn (backend/DESIGN.md, section 9).
 */
#define LIMIT_TAKE_PER_PASS 4

/*
 * Log lines a guest can cause per interval: for each kind of bad request or failed I/O, and for
 * each kind of life-cycle line (connected, refused, disconnected).
 */
#define LIMIT_LOG_TROUBLE     1u
#define LIMIT_LOG_LIFE        8u
#define LIMIT_LOG_INTERVAL_MS 10000u

/* The control thread looks at what a queue counted no more often than this. */
#define LIMIT_REPORT_INTERVAL_MS 100u

/* Longest value read from a frontend's node; all we read are short numbers and words. */
#define LIMIT_FRONTEND_VALUE 64

#endif
