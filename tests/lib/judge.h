/*
 * Judges from outside whether a backend kept the order it promised: D2, D3 and D5 of
 * backend/DESIGN.md, R13 of ring/PROTOCOL.md.
 *
 * Pure, but for complaints on standard error. The input is the record of tests/lib/recordfs.c, into
 * which the frontend marked
 *
 *   mark ask SERIAL KIND        before it submitted a request: write, flush, flush-write, barrier,
 *                               barrier-write
 *   mark answer SERIAL STATUS   when it had the response
 *
 * Serials start at 1, count up, and are the first eight bytes of what the request writes.
 */
#ifndef TESTS_LIB_JUDGE_H
#define TESTS_LIB_JUDGE_H

/* How many promises were broken: each is a line on standard error. Stops at the first that makes
 * the record unreadable. */
unsigned judge(const char *record) __attribute__((nonnull, warn_unused_result));

#endif
