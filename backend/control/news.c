/*
 * What the storage and the queues of a connected disk tell, and what the guest and the toolstack hear of it.
 */
#include <errno.h>

#include "backend/control/publish.h"
#include "backend/control/vbd_impl.h"
#include "backend/util/log.h"

/* ---- the size ---- */

/*
 * The published size is the one that was told last. In Closing nothing is told; with the next connection comes the
 * size of then. What is held up otherwise waits for the next look.
 */
static int tell_size(struct vbd *vbd)
{
	struct connection *conn = &vbd->conn;
	uint64_t nr_sectors = disk_nr_sectors(&conn->disk);
	int r;

	if (vbd->self != XENBUS_CONNECTED || conn->features.nr_sectors == nr_sectors)
		return 0;
	r = publish_sectors(&vbd->pub, vbd->frontend, nr_sectors);
	if (r == 0)
		conn->features.nr_sectors = nr_sectors;
	return r;
}

enum vbd_end vbd_look_at_size(struct vbd *vbd, uint64_t now_ms, struct problem *ret_problem)
{
	int r;

	vbd->now_ms = now_ms;
	ret_problem->text[0] = '\0';
	if (vbd->end != VBD_LIVES || vbd->conn.nr_queues == 0)
		return vbd->end;
	/* An empty image is not told. */
	(void)connection_look_at_size(&vbd->conn, now_ms, ret_problem);
	r = tell_size(vbd);
	if (r && r != -ESTALE && r != -ENOENT && r != -EAGAIN)
		return vbd_give_up(vbd, r);
	return vbd->end;
}

/* ---- the queue's word ---- */

/* R16: the guest broke its ring. Its disk ends here; it may start over. */
static enum vbd_end end_broken(struct vbd *vbd)
{
	struct problem problem;
	int r;

	(void)problem_set(&problem, 0,
		"domain %u broke its ring (request producer beyond one ring): nothing more is taken from it until the frontend reconnects",
		vbd->id.domid);
	/* While Closing the state stays; the ring goes all the same, and the reason is told. */
	r = vbd_refuse(vbd, vbd->self, &problem);
	if (r && r != -ESTALE && r != -ENOENT && r != -EAGAIN)
		return vbd_give_up(vbd, r);
	return vbd_look(vbd, vbd->now_ms);
}

/* D5. The log has it; a directory that is changing hands need not. */
static void tell_faulty(struct vbd *vbd)
{
	struct problem problem;

	(void)problem_set(&problem, 0,
		"%s: all writes and flushes fail until the disk is detached and attached again, or blkbackctl clear-fault accepts that",
		connection_fault_cause(&vbd->conn));
	/* Of an fdatasync that fails the log says so itself. */
	if (vbd->conn.lost_write)
		log_err("%s", problem.text);
	(void)!publish_error(&vbd->pub, vbd->self, problem.text);
}

/* D9. As loud as can be: the guest waits for somebody to read this. */
static void tell_stopped(struct vbd *vbd)
{
	struct problem problem;

	connection_stop_cause(&vbd->conn, &problem);
	/* It would wait for what is kept. */
	change_abandon(&vbd->conn.change, &vbd->conn.disk, -ECANCELED,
		"the disk was stopped by an error meanwhile: blkbackctl resume first");
	log_err("stopped: %s", problem.text);
	(void)!publish_stopped(&vbd->pub, vbd->self, problem.text);
}

bool vbd_go_on(struct vbd *vbd)
{
	if (!connection_go_on(&vbd->conn))
		return false;
	log_info("goes on, by blkbackctl");
	(void)!publish_stopped(&vbd->pub, vbd->self, NULL);
	return true;
}

enum vbd_end vbd_heed_queue(struct vbd *vbd, uint64_t now_ms)
{
	struct problem ignored;
	unsigned news;

	vbd->now_ms = now_ms;
	news = connection_heed(&vbd->conn, now_ms);
	if (news & CONNECTION_FAULTY)
		tell_faulty(vbd);
	if (news & CONNECTION_STOPPED)
		tell_stopped(vbd);
	if (news & CONNECTION_BROKEN)
		return end_broken(vbd);
	/* Something was refused or has failed: perhaps beyond an end that is another now. */
	return vbd_look_at_size(vbd, now_ms, &ignored);
}
