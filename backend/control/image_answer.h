/*
 * What `show` says of the image: whose it is, for whom it is waited, and its last hand-overs. What is so of it at this moment beyond
 * that, blkbackctl looks up itself (tools/image_look.h): storage that does not answer must not keep a worker waiting.
 *
 * Control thread only. Never logs.
 */
#ifndef BACKEND_CONTROL_IMAGE_ANSWER_H
#define BACKEND_CONTROL_IMAGE_ANSWER_H

#include <stdint.h>

struct json_object;
struct vbd;

/* What is open, whatever became of its name: "... (deleted)" after it was removed. NULL without memory. */
struct json_object *image_path_json(int fd);

/* NULL without memory. @now_ms: CLOCK_MONOTONIC. */
struct json_object *image_answer(const struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

#endif
