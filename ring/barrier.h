/*
 * Access to words another domain writes at the same time.
 *
 * Any thread. Each helper makes exactly one access of the word's own width, so the compiler can
 * neither repeat nor split it (XSA-155, XSA-197), and orders it as its name says. The other end runs
 * on another CPU of the same machine, hence the C11 atomic orders are what is needed: Xen's
 * virt_rmb/virt_wmb/virt_mb.
 */
#ifndef RING_BARRIER_H
#define RING_BARRIER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Read an index published by the peer, then read what it published: slots after the index. */
static inline uint32_t shared_load_acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Read a word whose value orders nothing. */
static inline uint32_t shared_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Write the slots, then publish the index that covers them. */
static inline void shared_store_release(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Write a word that publishes nothing by itself. */
static inline void shared_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/*
 * Write one word, then read another one the peer writes (Dekker): "publish my index, then look
 * whether the peer wants an event", and "ask for an event, then look for more work". Without it
 * both sides can miss each other and sleep for ever.
 */
static inline void shared_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* In a loop that looks at such a word: the processor may do something else meanwhile. */
#if defined(__x86_64__) || defined(__i386__)
#define SHARED_RELAX "pause"
#elif defined(__aarch64__)
#define SHARED_RELAX "yield"
#else
#define SHARED_RELAX ""
#endif

static inline void shared_relax(void)
{
	__asm__ volatile(SHARED_RELAX ::: "memory");
}

/*
 * Copy what the guest can write to. Whatever is done next is done with the copy: the compiler must not read the page
 * again instead (XSA-155).
 */
static inline void shared_copy(void *to, const void *shared, size_t n)
{
	memcpy(to, shared, n);
	__asm__ volatile("" ::: "memory");
}

#endif
