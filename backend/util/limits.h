/*
 * Every resource a guest can make the host hold, in one place. See SECURITY.md.
 * Any thread; constants only.
 */
#ifndef BACKEND_UTIL_LIMITS_H
#define BACKEND_UTIL_LIMITS_H

#include <stddef.h>

/* Rings of one disk. */
#define LIMIT_QUEUES 8

/* A ring has up to 2^order pages. What a queue allocates goes by the slots its ring has. */
#define LIMIT_RING_ORDER 4

/*
 * Requests taken from one ring and not yet answered: a ring of one page has 32 slots, one of 16 pages,
 * the largest, 512 (R4 of ring/PROTOCOL.md).
 */
#define LIMIT_SLOTS 512

/*
 * Segments, and therefore grants and pages, of one request: an indirect one. In the slot itself are 11.
 * The pages that hold the segments of an indirect request are read and let go before the request begins.
 */
#define LIMIT_SEGMENTS 256

/*
 * Grants kept mapped per queue. blkif.h asks a backend to keep at least ring size * 11: 352 for one
 * page, 5632 for the largest ring. Linux's frontend makes requests of 32 segments and a page that holds them:
 * so there are 33 for each slot, 1056 for one page as from the kernel's backend, as long as that is not more
 * than the largest ring needs at least.
 */
#define LIMIT_PERSISTENT_GRANTS      (LIMIT_SLOTS * 11)
#define LIMIT_PERSISTENT_GRANTS_SLOT 33

/*
 * Pages of a guest mapped at a time, by one disk: its queues share them evenly. Four of the largest rings get what blkif.h
 * asks for. And by all disks of this host: half of what Xen gives one domain room for by default (max_maptrack_frames=1024:
 * 262144 pages), because others map, too. blkback-vbd --max-grants says otherwise. Beyond either, data is copied.
 */
#define LIMIT_GRANTS_DISK     (4 * LIMIT_PERSISTENT_GRANTS)
#define LIMIT_GRANTS_HOST     131072
#define LIMIT_GRANTS_HOST_MAX 16777216 /* what may be said: 64 GiB */

/*
 * Pages that a guest has not used for so long are given back to it, as by the kernel's backend, so many at a time: unmapping costs
 * a hypercall each, and requests may come. And sooner where another page needs the place: but not those that were used just now.
 */
#define LIMIT_GRANT_IDLE_S  60u
#define LIMIT_GRANT_EVICT_S 2u /* by a clock without fractions: for more than a second */
#define LIMIT_GRANT_RELEASE 32u

/* Chunks of copy buffers per queue, each for 11 pages: 22.5 MB. A request that finds too few free waits in its turn. */
#define LIMIT_COPY_CHUNKS 512

/*
 * Slots and copy buffers are memory only once a request has used them: up to 6.8 kB for a slot, 45 kB for a
 * buffer. After so long without any request, so many stay.
 */
#define LIMIT_IDLE_KEEP 32
#define LIMIT_IDLE_MS   1000

/* Threads of a queue that read and write through the page cache (cache modes writethrough, writeback, unsafe). */
#define LIMIT_MOVE_THREADS 16u

/* Seconds after which I/O that the storage has not answered is told of, and the most that may be said. */
#define LIMIT_TIMEOUT_S     30u
#define LIMIT_TIMEOUT_MAX_S 86400u

/*
 * A change of the cache mode that has not got the storage to itself after so long is given up, and I/O goes on as before. A guest
 * may ask for one so often.
 */
#define LIMIT_CHANGE_MS          10000u
#define LIMIT_CHANGE_INTERVAL_MS 1000u

/*
 * A connection waits so long for an image that somebody else has, and looks so often whether it is free: QEMU may let go of it when the
 * guest unplugs its emulated disks, and a guest that migrates within this host has another worker until the toolstack removes it.
 */
#define LIMIT_IMAGE_WAIT_MS  30000u
#define LIMIT_IMAGE_RETRY_MS 100u

/* The monitor of a device model that still has the image has so long to answer, and is asked so often. */
#define LIMIT_MONITOR_MS          500u
#define LIMIT_MONITOR_INTERVAL_MS 2000u

/*
 * Bytes of one line of a device model's monitor: it may be the guest's by now. Two hundred disks are 150 kB, the schema of QEMU 7.2 has 210 kB. In
 * memory it is some hundred times that at worst.
 */
#define LIMIT_QMP_ANSWER (256u << 10)
#define LIMIT_QMP_SCHEMA (1024u << 10)

/*
 * So long a connection waits for what the page cache has of the image to be written, before it tries again; and, when it is written, for others
 * to let go of pages that stay.
 */
#define LIMIT_HAND_OVER_MS        10000u
#define LIMIT_HAND_OVER_SETTLE_MS 500u

/*
 * Bytes of a discard that are given back in one go, of a file and of a device. A file system lets nobody else at the file
 * meanwhile: 8 MiB in one piece take ext4 0.1 to 6 ms, in 1024 pieces up to 0.2 s (128 MiB: 60 ms, 1.5 s). A guest may discard
 * its whole disk with one request.
 */
#define LIMIT_DISCARD_STEP_FILE   (8u << 20)
#define LIMIT_DISCARD_STEP_DEVICE (128u << 20)

/*
 * Requests one pass takes, submits together and answers together before it looks for more: the first one, and those behind it at
 * most. Those that will share an I/O count as one, up to LIMIT_TAKE_RUN segments, which is what a guest asks for with one indirect
 * request of 128 KiB; behind them it may be one more. Few at first, so that guest, worker and storage work at the same time: taking the whole ring at once made the
 * three wait for each other in turn (backend/DESIGN.md, section 9).
 */
#define LIMIT_TAKE_FIRST    2
#define LIMIT_TAKE_PER_PASS 32
#define LIMIT_TAKE_RUN      32

/*
 * The same where an I/O has ended when it is put, so that there is nothing to wait for: three quarters of a ring of one page. While the
 * guest is woken by the answers we are at the rest.
 */
#define LIMIT_TAKE_ENDED 24

/* I/Os that one pass looks at the ends of, however many have ended. */
#define LIMIT_REAP_PER_PASS 33

/*
 * Log lines a guest can cause per interval: for each kind of bad request or failed I/O, and for
 * each kind of life-cycle line (connected, refused, disconnected).
 */
#define LIMIT_LOG_TROUBLE     1u
#define LIMIT_LOG_LIFE        8u
#define LIMIT_LOG_INTERVAL_MS 10000u

/* The control thread looks at what a queue counted no more often than this. */
#define LIMIT_REPORT_INTERVAL_MS 100u

/* Events of the store that are taken before the control thread looks at what they are about. */
#define LIMIT_STORE_EVENTS 64u

/* Longest value read from a frontend's node; all we read are short numbers and words. */
#define LIMIT_FRONTEND_VALUE 64

#endif
