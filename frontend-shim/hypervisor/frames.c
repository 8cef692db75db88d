#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend-shim/hypervisor/hv.h"

static bool frame_is_free(const struct hv_guest *g, uint32_t frame)
{
	return g->free_frames[frame / 64] >> (frame % 64) & 1;
}

static void frame_mark(struct hv_guest *g, uint32_t frame, bool is_free)
{
	uint64_t bit = 1ULL << (frame % 64);

	if (is_free)
		g->free_frames[frame / 64] |= bit;
	else
		g->free_frames[frame / 64] &= ~bit;
}

int hv_frames_init(struct hv_guest *g)
{
	g->free_frames = calloc(GUEST_FRAMES / 64, sizeof(uint64_t));
	if (!g->free_frames)
		return -ENOMEM;
	for (uint32_t f = GUEST_FIRST_FRAME; f < GUEST_FRAMES; f++)
		frame_mark(g, f, true);
	g->next_frame = GUEST_FIRST_FRAME;
	return 0;
}

/* The first run of `count` free frames in [from, to), or `to`. */
static uint32_t frames_find(const struct hv_guest *g, uint32_t from, uint32_t to, uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t f = from; f < to; f++) {
		run = frame_is_free(g, f) ? run + 1 : 0;
		if (run == count)
			return f + 1 - count;
	}
	return to;
}

int hv_frames_alloc(struct hv_guest *g, uint32_t count, uint32_t *ret_first)
{
	uint32_t first = frames_find(g, g->next_frame, GUEST_FRAMES, count);

	if (first == GUEST_FRAMES)
		first = frames_find(g, GUEST_FIRST_FRAME, GUEST_FRAMES, count);
	if (first == GUEST_FRAMES)
		return -ENOSPC;
	for (uint32_t f = first; f < first + count; f++)
		frame_mark(g, f, false);
	g->nr_frames += count;
	g->next_frame = first + count;
	*ret_first = first;
	return 0;
}

/* Gives the page's memory back to Linux; the next owner finds zeroes, as the next guest would. */
static void frame_release(struct hv_guest *g, uint32_t frame)
{
	(void)fallocate(g->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)frame * GUEST_PAGE, GUEST_PAGE);
	frame_mark(g, frame, true);
	g->nr_frames--;
}

void hv_frame_free(struct hv *hv, struct hv_guest *g, uint32_t frame)
{
	struct hv_limbo *l;
	uint32_t nr_busy = 0;

	/* The grant entry was cleared before: a copy begun after this look cannot find the frame. */
	for (uint32_t i = 1; i < hv->handle_top; i++)
		if (hv->handles[i] && hv->handles[i]->kind == HV_KIND_GNTTAB)
			nr_busy += hv_handle_in_copy(hv, hv->handles[i]->id);
	if (!nr_busy) {
		frame_release(g, frame);
		return;
	}
	l = calloc(1, sizeof(*l) + nr_busy * sizeof(l->busy[0]));
	if (!l)
		return; /* the frame stays unused until the domain goes: safe, and all we can do */
	l->frame = frame;
	/* Copies end meanwhile but none begins that matters: never more than were counted. */
	for (uint32_t i = 1; i < hv->handle_top && l->nr_busy < nr_busy; i++) {
		struct hv_handle *h = hv->handles[i];

		if (h && h->kind == HV_KIND_GNTTAB && hv_handle_in_copy(hv, h->id))
			l->busy[l->nr_busy++] = h->id;
	}
	l->next = g->limbo;
	g->limbo = l;
}

void hv_frames_reclaim(struct hv *hv, struct hv_guest *g)
{
	struct hv_limbo **pos = &g->limbo, *l;

	while ((l = *pos)) {
		uint32_t still = 0;

		for (uint32_t i = 0; i < l->nr_busy; i++)
			if (hv_handle_in_copy(hv, l->busy[i]))
				l->busy[still++] = l->busy[i];
		l->nr_busy = still;
		if (still) {
			pos = &l->next;
			continue;
		}
		*pos = l->next;
		frame_release(g, l->frame);
		free(l);
	}
}
