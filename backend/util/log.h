/*
 * The program's log: stderr in the foreground, syslog otherwise.
 *
 * Control thread only (queue threads count, the control thread tells). Four levels as LOG_ERR,
 * LOG_WARNING, LOG_INFO, LOG_DEBUG of syslog(3). A line is the context set at start (which disk)
 * and one whole sentence without a full stop or newline.
 */
#ifndef BACKEND_UTIL_LOG_H
#define BACKEND_UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* @program and @context must stay alive; @context may be "". */
void log_init(const char *program, const char *context) __attribute__((nonnull));

/* From now on to syslog: what a process that goes into the background does last. */
void log_to_syslog(void);

/*
 * From now on into the file @path, which is made if it is missing, by way of standard error. False
 * when there is none (NULL or empty), or none that can be had, which a line says.
 */
bool log_to_file(const char *path) __attribute__((warn_unused_result));

/* Show LOG_DEBUG lines too. */
void log_set_debug(bool on);

/* The lines shown: up to this level, LOG_INFO at first. */
void log_set_level(int level);
int log_level(void);

/* error, warn, info, debug: what people write. Parsing is strict: false for anything else. */
bool log_level_parse(const char *name, int *ret_level) __attribute__((nonnull, warn_unused_result));
const char *log_level_name(int level);

void log_line(int level, const char *fmt, ...) __attribute__((nonnull, format(printf, 2, 3)));

#define log_err(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Lets a few lines through per interval and cause, so that a guest cannot fill the log (XSA-180). */
struct log_limit {
	uint64_t since_ms;
	unsigned lines;
};

/* True when one more line may be written at @now_ms: at most @lines per LIMIT_LOG_INTERVAL_MS. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned lines)
	__attribute__((nonnull));

#endif
