/*
 * Building answers with json-c without losing an out-of-memory: every step says whether it worked,
 * and all may go on after one that did not.
 *
 * Any thread, its own objects; never logs.
 */
#ifndef BACKEND_UTIL_JSON_H
#define BACKEND_UTIL_JSON_H

#include <stdbool.h>

struct json_object;

/*
 * Set @key of @object to @value, which is taken over in any case. False when either is NULL, or
 * without memory. @key must stay alive.
 */
bool json_set(struct json_object *object, const char *key, struct json_object *value)
	__attribute__((nonnull(2), warn_unused_result));

bool json_set_null(struct json_object *object, const char *key)
	__attribute__((nonnull(2), warn_unused_result));

/* A string of any bytes, file names for example: those that are not UTF-8 become U+FFFD. */
struct json_object *json_text(const char *bytes) __attribute__((nonnull, warn_unused_result));

/* {"error": ...}, or NULL without memory. */
struct json_object *json_error(const char *fmt, ...)
	__attribute__((nonnull, format(printf, 1, 2), warn_unused_result));

#endif
