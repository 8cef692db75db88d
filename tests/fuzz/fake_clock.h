/*
 * Time that passes when the test says so: clock_gettime() of CLOCK_MONOTONIC, and of no other clock.
 */
#ifndef TESTS_FUZZ_FAKE_CLOCK_H
#define TESTS_FUZZ_FAKE_CLOCK_H

void fake_clock_reset(void);
void fake_clock_pass(unsigned seconds);

#endif
