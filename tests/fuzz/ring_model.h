/*
 * What a queue may do with a ring and the pages of a hostile guest, whatever is in them: a second reading of
 * ring/PROTOCOL.md, which shares no code with the first. It looks at the guest's memory before and after each pass,
 * and at each I/O:
 *
 *   R6, R16  of the ring exactly those requests are taken that are there; of an impossible producer nothing more
 *   R8-R12, R26, R27  what the slot says decides which answers may come
 *   R13      each request is answered once, with its id and operation, and zeros behind
 *   R10, R11 I/O is done on the sectors asked for, on the bytes of the segments; nothing else in the guest's pages
 *            changes, and nothing in pages that it did not grant writable
 *   R17      an event exactly when the threshold asks for one
 *   D2, D3   no flush or barrier succeeds without an fdatasync that was begun after it was taken
 *   D5       after one failed, nothing that writes succeeds
 *
 *   D1       the storage gets whole blocks; beside what a guest writes is what was there, read for this very write, and no
 *            other write is at work on a block that one completes
 *   R13      of requests that share an I/O each gets its own result: who fails has a reason of his own
 *   XSA-396  what is mapped for a request only it has mapped, as far as it needs it, and no more when it is answered;
 *            all together no more than agreed on
 *
 * Where a guest gives one id to several requests, only what does not depend on which is which.
 */
#ifndef TESTS_FUZZ_RING_MODEL_H
#define TESTS_FUZZ_RING_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/data/queue.h"

struct disk;

/* Of @queue, just made as @cfg says. */
void ring_model_init(const struct queue_config *cfg, const struct disk *disk, struct queue *queue);

/* The queue was told to stop: nothing is taken any more. */
void ring_model_stop(void);

/* One pass, and what to say of it. As queue_poll_once(). */
bool ring_model_pass(void);

/* What the queue's thread does before it sleeps (R18): true when another pass has work. */
bool ring_model_last_look(void);

/* Requests taken and not answered; 0 and 0 is all that may be when nothing moves any more. */
unsigned ring_model_unanswered(void);
bool ring_model_broken(void);

#endif
