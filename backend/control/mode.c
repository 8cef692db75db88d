#include "backend/control/mode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/control/options.h"
#include "backend/control/publish.h"
#include "backend/control/vbd_impl.h"
#include "backend/util/limits.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

static const char *asker(enum change_by by)
{
	switch (by) {
	case CHANGE_BY_TOOLSTACK:
		return "the toolstack";
	case CHANGE_BY_OPERATOR:
		return "the operator";
	case CHANGE_BY_GUEST:
		break;
	}
	return "the guest";
}

static bool is_connected(const struct vbd *vbd)
{
	return vbd->self == XENBUS_CONNECTED && vbd->conn.nr_queues > 0;
}

static enum cache_mode active_mode(const struct vbd *vbd)
{
	return vbd->conn.disk.storage.cache;
}

/* ---- the store ---- */

/* The node cache-mode. Absent, it reads as an empty one; what is too long for any mode, as that much of it. */
static int read_text(struct vbd *vbd, char ret_text[OPTIONS_CACHE_MAX])
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	char *text = NULL;
	enum node_result result =
		node_string(&dir, "cache-mode", OPTIONS_CACHE_MAX - 1, NULL, &text);

	if (result == NODE_ERROR)
		return dir.error;
	(void)snprintf(ret_text, OPTIONS_CACHE_MAX, "%s",
		result == NODE_VALUE       ? text
		: result == NODE_MALFORMED ? "?"
					   : "");
	free(text);
	return 0;
}

/* What was wished, and what came of it. Kept until it has got through. */
static int tell(struct vbd *vbd)
{
	struct mode_news *news = &vbd->mode.news;
	bool by_operator = news->wish.by == CHANGE_BY_OPERATOR;
	struct publish_mode mode = {.active = vbd->conn.features.cache,
		.is_offline = !is_connected(vbd),
		.by_guest = news->wish.by == CHANGE_BY_GUEST,
		.error = news->failed ? news->problem.text : NULL,
		.configured = by_operator && !news->failed && !news->wish.clear_fault
				      ? cache_mode_name(news->wish.mode)
				      : NULL};
	int r;

	if (!news->is_due)
		return 0;
	r = publish_mode(&vbd->pub, vbd->self, &mode);
	if (r == -EAGAIN)
		return 0;
	news->is_due = false;
	if (r == 0 && mode.configured)
		(void)snprintf(vbd->mode.text, OPTIONS_CACHE_MAX, "%s", mode.configured);
	return r == -ESTALE || r == -ENOENT ? 0 : r;
}

/* ---- what comes of a wish ---- */

static void log_change(
	struct vbd *vbd, const struct change_wish *wish, int error, const struct problem *problem)
{
	const char *mode = cache_mode_name(wish->mode);

	if (!log_limit_pass(&vbd->mode.limit, vbd->now_ms, LIMIT_LOG_LIFE))
		return;
	if (error) {
		log_warn("the cache mode stays %s, though %s asks for another%s: %s",
			cache_mode_name(active_mode(vbd)), asker(wish->by),
			wish->clear_fault ? " (clear-fault)" : "", problem->text);
		return;
	}
	log_info("cache mode is %s now: %s asked for it", mode, asker(wish->by));
	if (!cache_flushes(wish->mode))
		log_warn(MODE_UNSAFE_TEXT);
}

/* The operator hears of a failure by the answer alone. */
static void end_wish(
	struct vbd *vbd, const struct change_wish *wish, int error, const struct problem *problem)
{
	struct mode *mode = &vbd->mode;

	if (error || vbd->conn.features.cache != wish->mode)
		log_change(vbd, wish, error, problem);
	if (error == 0)
		vbd->conn.features.cache = wish->mode;
	/* Whoever writes the same again wants it to be tried again. */
	if (error && wish->by == CHANGE_BY_TOOLSTACK)
		mode->text[0] = '\a';
	if (error == 0 && wish->by == CHANGE_BY_GUEST)
		mode->guest_is_off = cache_writes_through(wish->mode);
	if (error == 0 && wish->by != CHANGE_BY_GUEST && !wish->clear_fault)
		mode->configured = wish->mode;
	if (error && wish->by == CHANGE_BY_OPERATOR)
		return;
	mode->news = (struct mode_news){.is_due = true, .wish = *wish, .failed = error != 0};
	if (error)
		mode->news.problem = *problem;
}

/* ---- whether it may be ---- */

/* What becomes of a wish that this driver's connection rules out. */
static const char *later(enum change_by by)
{
	return by == CHANGE_BY_OPERATOR
		       ? "ask again when its driver has connected anew, or write the node cache-mode, which holds from then on"
		       : "this takes effect when it connects anew";
}

static int check_wish(struct vbd *vbd, const struct change_wish *wish, struct problem *problem)
{
	const struct connection *conn = &vbd->conn;
	bool caches = !cache_writes_through(wish->mode);

	if (conn->change.state != CHANGE_NONE)
		return problem_set(problem, -EBUSY, "another change is under way: ask again");
	if (connection_is_faulty(&vbd->conn) && !wish->clear_fault)
		return problem_set(problem, -EIO,
			"data was lost: until blkbackctl clear-fault has accepted that, nothing is changed");
	if (disk_is_stopped(&vbd->conn.disk))
		return problem_set(problem, -EBUSY,
			"the disk is stopped by an error: blkbackctl resume first");
	/* Of a disk that is unsafe already nothing is promised anew. */
	if (wish->clear_fault)
		return 0;
	if (caches && !conn->features.flush && !conn->features.barrier)
		return problem_set(problem, -ENOTSUP,
			"the guest's driver was offered neither flush nor barrier, and would never use them: %s",
			later(wish->by));
	if (caches && conn->flush_failed)
		return problem_set(problem, -ENOTSUP,
			"the guest's driver was told that a flush failed, and may never send one again: %s",
			later(wish->by));
	if (caches && vbd->mode.guest_is_off && wish->by != CHANGE_BY_GUEST)
		return problem_set(problem, -ENOTSUP,
			"the guest has turned its write cache off, and may never flush again: %s",
			later(wish->by));
	return 0;
}

/* 1 if it is under way, 0 if there was nothing to be done, -errno with the sentence. */
static int begin(struct vbd *vbd, const struct change_wish *wish, struct problem *problem)
{
	int r = check_wish(vbd, wish, problem);

	if (r)
		return r;
	if (wish->mode == active_mode(vbd) && !wish->clear_fault)
		return 0;
	r = change_begin(&vbd->conn.change, &vbd->conn.disk, wish, vbd->now_ms, problem);
	return r ? r : 1;
}

static void begin_or_tell(struct vbd *vbd, const struct change_wish *wish)
{
	struct problem problem = {.text = ""};
	int r = begin(vbd, wish, &problem);

	if (r <= 0)
		end_wish(vbd, wish, r, &problem);
}

/* ---- the toolstack ---- */

static int heed_toolstack(struct vbd *vbd)
{
	struct change_wish wish = {.mode = active_mode(vbd), .by = CHANGE_BY_TOOLSTACK};
	struct disk_options options;
	struct problem problem;
	char text[OPTIONS_CACHE_MAX];
	int r;

	if (!vbd->mode.toolstack_asks)
		return 0;
	vbd->mode.toolstack_asks = false;
	r = read_text(vbd, text);
	if (r || strcmp(text, vbd->mode.text) == 0)
		return r;
	(void)snprintf(vbd->mode.text, OPTIONS_CACHE_MAX, "%s", text);
	r = options_read(vbd->store, vbd->backend, vbd->conn.default_cache, &options, &problem);
	if (r) {
		end_wish(vbd, &wish, r, &problem);
		return 0;
	}
	wish.mode = options.cache;
	begin_or_tell(vbd, &wish);
	return 0;
}

/* ---- the guest ---- */

/* What it has written before it is connected is an earlier driver's. */
static void note_guest(struct vbd *vbd)
{
	if (is_connected(vbd))
		vbd->mode.guest_asks = true;
}

/* The mode in which its write cache is @on. */
static int wish_of_guest(
	const struct vbd *vbd, bool on, enum cache_mode *ret_mode, struct problem *problem)
{
	enum cache_mode active = active_mode(vbd), configured = vbd->mode.configured;

	*ret_mode = on ? configured : cache_mode_writing_through(active);
	if (!on && !cache_flushes(active))
		return problem_set(problem, -EPERM,
			"the disk's cache mode is unsafe: nothing that is written to it is made durable");
	if (on && cache_writes_through(configured))
		return problem_set(problem, -EPERM,
			"the disk's cache mode is %s: it has no write cache to be turned on",
			cache_mode_name(configured));
	return 0;
}

static int heed_guest(struct vbd *vbd)
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->frontend};
	struct change_wish wish = {.mode = active_mode(vbd), .by = CHANGE_BY_GUEST};
	struct problem problem;
	bool on = false;
	int r = 0;

	if (!vbd->mode.guest_asks || vbd->now_ms < vbd->mode.guest_may_ms)
		return 0;
	vbd->mode.guest_asks = false;
	vbd->mode.guest_may_ms = vbd->now_ms + LIMIT_CHANGE_INTERVAL_MS;
	switch (node_bool(&dir, "write-cache-request", &on)) {
	case NODE_ABSENT:
		return 0;
	case NODE_ERROR:
		/* In a driver domain a guest may hide it from us. */
		return dir.error == -EACCES ? 0 : dir.error;
	case NODE_MALFORMED:
		r = problem_set(&problem, -EINVAL, "write-cache-request is neither 0 nor 1");
		break;
	case NODE_VALUE:
		r = wish_of_guest(vbd, on, &wish.mode, &problem);
		break;
	}
	if (r)
		end_wish(vbd, &wish, r, &problem);
	else
		begin_or_tell(vbd, &wish);
	return 0;
}

/* ---- the operator ---- */

/* Where nobody is connected the node is all there is. */
static int set_configured(struct vbd *vbd, enum cache_mode mode, struct problem *problem)
{
	struct publish_mode what = {
		.is_offline = true, .configured = cache_mode_name(mode), .active = mode};
	int r = publish_mode(&vbd->pub, vbd->self, &what);

	if (r)
		return problem_set(problem, r, "xenstore could not be written: %s", strerror(-r));
	return 0;
}

int mode_set(struct vbd *vbd, enum cache_mode mode, struct problem *ret_problem)
{
	struct change_wish wish = {.mode = mode, .by = CHANGE_BY_OPERATOR};
	int r;

	if (!is_connected(vbd))
		return set_configured(vbd, mode, ret_problem);
	r = begin(vbd, &wish, ret_problem);
	if (r <= 0)
		end_wish(vbd, &wish, r, ret_problem);
	if (r)
		return r;
	r = tell(vbd);
	return r ? problem_set(ret_problem, r, "xenstore could not be written: %s", strerror(-r))
		 : 0;
}

/* The loss is nobody's business any more. */
static void forget_fault(struct vbd *vbd)
{
	connection_forget_fault(&vbd->conn);
	vbd->told_lost = false;
	log_warn(
		"the loss of data was accepted by blkbackctl clear-fault: writes and flushes are served again");
	(void)!publish_no_fault(&vbd->pub, vbd->self);
}

int mode_clear_fault(struct vbd *vbd, struct problem *ret_problem)
{
	struct change_wish wish = {.clear_fault = true, .by = CHANGE_BY_OPERATOR};
	int r;

	if (!connection_is_faulty(&vbd->conn))
		return problem_set(
			ret_problem, -ENOENT, "no data was lost: there is nothing to clear");
	if (!vbd->conn.has_disk) {
		forget_fault(vbd);
		return 0;
	}
	if (!is_connected(vbd))
		return problem_set(
			ret_problem, -EBUSY, "the guest's driver is just leaving: ask again");
	wish.mode = cache_flushes(active_mode(vbd)) ? cache_mode_writing_through(active_mode(vbd))
						    : active_mode(vbd);
	r = begin(vbd, &wish, ret_problem);
	return r;
}

/* ---- all of them ---- */

void mode_note(struct vbd *vbd, const char *path, bool is_wish)
{
	const char *name = strrchr(path, '/');

	if (is_wish)
		note_guest(vbd);
	else if (name && strcmp(name, "/cache-mode") == 0)
		vbd->mode.toolstack_asks = true;
}

void mode_reset(struct vbd *vbd)
{
	struct mode *mode = &vbd->mode;

	mode->configured = active_mode(vbd);
	mode->guest_asks = mode->guest_is_off = false;
	mode->news.is_due = false;
	/* As of then: what was written since is another wish. */
	memcpy(mode->text, vbd->conn.options.cache_text, sizeof(mode->text));
}

int mode_look(struct vbd *vbd)
{
	int r;

	if (!is_connected(vbd))
		return 0;
	/* One after the other; what comes meanwhile is heeded when this one is over. */
	r = vbd->conn.change.state == CHANGE_NONE ? heed_toolstack(vbd) : 0;
	if (r == 0 && vbd->conn.change.state == CHANGE_NONE)
		r = heed_guest(vbd);
	return r ? r : tell(vbd);
}

bool mode_heed(struct vbd *vbd, int *ret_error, struct problem *ret_problem)
{
	struct change *change = &vbd->conn.change;
	struct change_wish wish;
	int r;

	if (change->state == CHANGE_RUNS)
		change_heed(change, &vbd->conn.disk, vbd->now_ms);
	if (!change_collect(change, &wish, ret_error, ret_problem))
		return false;
	/* The connection that it was about may be gone: what the operator has got is written down all the same. */
	if (*ret_error != -ENOTCONN)
		end_wish(vbd, &wish, *ret_error, ret_problem);
	if (*ret_error == 0 && wish.clear_fault)
		forget_fault(vbd);
	/* Who is answered finds it in the store; and somebody may have asked meanwhile. */
	r = vbd->end == VBD_LIVES ? tell(vbd) : 0;
	if (r == 0 && vbd->end == VBD_LIVES)
		r = mode_look(vbd);
	if (r)
		(void)vbd_give_up(vbd, r);
	return wish.by == CHANGE_BY_OPERATOR;
}

int mode_patience_ms(const struct vbd *vbd, uint64_t now_ms)
{
	const struct mode *mode = &vbd->mode;
	const struct change *change = &vbd->conn.change;

	if (change->state == CHANGE_ENDED)
		return 0;
	if (change->state == CHANGE_RUNS)
		return change_patience_ms(change, now_ms);
	if (!mode->guest_asks || !is_connected(vbd))
		return -1;
	return now_ms < mode->guest_may_ms ? (int)(mode->guest_may_ms - now_ms) : 0;
}
