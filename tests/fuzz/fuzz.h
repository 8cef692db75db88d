/*
 * What every fuzz target is made of. A target is one file, NAME-t.c, that defines LLVMFuzzerTestOneInput(): libFuzzer
 * calls it with inputs it makes up (`make fuzz`), replay.c with those kept in corpus/NAME (`make check`).
 *
 * An input is read as a stream: behind its end everything is 0. So every input means something, and a short one
 * is a prefix of longer ones.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise: broken, it ends the program, whatever the build. */
#define FUZZ_CHECK(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(                                                             \
				stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);    \
			(void)fprintf(stderr, __VA_ARGS__);                                        \
			(void)fputc('\n', stderr);                                                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz_input {
	const uint8_t *at;
	const uint8_t *end;
};

/* True while there is something left. */
static inline bool fuzz_more(const struct fuzz_input *in)
{
	return in->at < in->end;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	return fuzz_more(in) ? *in->at++ : 0;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t low = fuzz_u8(in);

	return (uint16_t)(low | fuzz_u8(in) << 8);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t low = fuzz_u16(in);

	return low | (uint32_t)fuzz_u16(in) << 16;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t low = fuzz_u32(in);

	return low | (uint64_t)fuzz_u32(in) << 32;
}

/* As many of the next @n bytes as there are; the rest of @ret_bytes is left as it is. */
static inline size_t fuzz_bytes(struct fuzz_input *in, void *ret_bytes, size_t n)
{
	size_t left = (size_t)(in->end - in->at);

	if (n > left)
		n = left;
	if (n > 0)
		memcpy(ret_bytes, in->at, n);
	in->at += n;
	return n;
}

#endif
