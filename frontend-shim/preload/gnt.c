#include "frontend-shim/preload/gnt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct xengntdev_handle *gnt_open(
	struct xentoollog_logger *logger, enum hv_kind kind, const char *context)
{
	struct xengntdev_handle *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	if (h) {
		h->logger = logger;
		h->context = context;
		(void)pthread_mutex_init(&h->lock, NULL); /* cannot fail on Linux */
		r = shim_connect(&h->client, kind, false);
	}
	if (r < 0) {
		shim_log_error(logger, context, -r,
			"cannot open a handle on the simulated host (XENSIM_DIR, XENSIM_DOMID)");
		free(h);
		errno = -r;
		return NULL;
	}
	h->self = &h->client.machine->handles[handle_index(h->client.id)];
	return h;
}

static void memory_free(struct gnt_memory *m)
{
	if (!m)
		return;
	(void)munmap(m->base, GUEST_BYTES);
	(void)close(m->fd);
	free(m);
}

int gnt_close(struct xengntdev_handle *h)
{
	if (!h)
		return 0;
	/* The mappings are not inherited across fork(): in a child these addresses are others'. */
	regions_clear(&h->regions, h->client.pid == getpid());
	hv_client_close(&h->client);
	for (unsigned i = 0; i < MACHINE_DOMAINS; i++)
		memory_free(h->memories[i]);
	while (h->retired) {
		struct gnt_memory *m = h->retired;

		h->retired = m->next;
		memory_free(m);
	}
	free(h);
	return 0;
}

static struct gnt_memory *memory_fetch(struct xengntdev_handle *h, uint32_t domid)
{
	struct hv_call call = {.req = {.op = HV_MEMORY, .domid = domid}, .send_fd = -1};
	struct gnt_memory *m;
	void *base;

	if (hv_client_call(&h->client, &call) < 0)
		return NULL;
	m = calloc(1, sizeof(*m));
	base = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		call.fds[0], 0);
	if (!m || base == MAP_FAILED) {
		if (base != MAP_FAILED)
			(void)munmap(base, GUEST_BYTES);
		(void)close(call.fds[0]);
		free(m);
		return NULL;
	}
	(void)madvise(base, GUEST_BYTES, MADV_DONTDUMP); /* only an economy */
	*m = (struct gnt_memory){
		.word = (uint32_t)call.reply.value, .fd = call.fds[0], .base = base};
	return m;
}

struct gnt_memory *gnt_memory(struct xengntdev_handle *h, uint32_t domid, uint32_t word)
{
	uint32_t slot = word & 0xffff;
	struct gnt_memory *m = atomic_load_explicit(&h->memories[slot], memory_order_acquire);

	if (m && m->word == word)
		return m;
	(void)pthread_mutex_lock(&h->lock);
	m = atomic_load(&h->memories[slot]);
	if (!m || m->word != word) {
		struct gnt_memory *fresh = memory_fetch(h, domid);

		/* The domain may have been replaced between the caller's look and this one. */
		if (fresh && fresh->word == word) {
			if (m) {
				m->next = h->retired;
				h->retired = m;
			}
			atomic_store(&h->memories[slot], fresh);
			m = fresh;
		} else {
			memory_free(fresh);
			m = NULL;
		}
	}
	(void)pthread_mutex_unlock(&h->lock);
	return m;
}
