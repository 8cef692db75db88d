/*
 * What is so of an image at this moment: who has it, and what the page cache holds of it, under whatever name. Changes neither.
 *
 * One thread. A child process looks: one that storage keeps waiting for ever is left behind, and says nothing. Needs root. Never prints.
 */
#ifndef TOOLS_IMAGE_LOOK_H
#define TOOLS_IMAGE_LOOK_H

#include <stdbool.h>

struct json_object;

/*
 * Adds to @image, the object of that name in a worker's answer to show: "holder", a text if somebody but the worker has it, and "cache", an object;
 * each null if it is not so or not known; then "unknown" says why. Waits @timeout_ms at most. False without memory.
 */
bool image_look(struct json_object *image, unsigned timeout_ms) __attribute__((nonnull));

#endif
