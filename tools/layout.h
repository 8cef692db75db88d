/*
 * What workers answered, laid out for people: to `show`, a table of disks or one disk at length; to `resize`, a line.
 *
 * One thread; prints to standard output. A key an older or newer worker does not have is shown as -.
 */
#ifndef TOOLS_LAYOUT_H
#define TOOLS_LAYOUT_H

struct asked;
struct json_object;

/* One line for each disk, headings included. */
void layout_list(const struct asked *list, unsigned n);

void layout_disk(struct json_object *disk) __attribute__((nonnull));

void layout_size(struct json_object *answer) __attribute__((nonnull));

/* The answer to set-cache and clear-fault. */
void layout_mode(struct json_object *answer) __attribute__((nonnull));

#endif
