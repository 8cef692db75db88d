#include "tests/fuzz/fake_store.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <xenstore.h>
#include <xenstore_lib.h>

#include "tests/fuzz/fuzz.h"

static struct fake_node nodes[FAKE_NODES];
static unsigned nr_nodes;

void fake_store_reset(void)
{
	nr_nodes = 0;
}

static struct fake_node *find(const char *path)
{
	for (unsigned i = 0; i < nr_nodes; i++)
		if (strcmp(nodes[i].path, path) == 0)
			return &nodes[i];
	return NULL;
}

bool fake_store_set(const char *path, const uint8_t *value, size_t n, int error)
{
	struct fake_node *node = find(path);

	if (node == NULL) {
		if (nr_nodes == FAKE_NODES)
			return false;
		node = &nodes[nr_nodes++];
		(void)snprintf(node->path, sizeof(node->path), "%s", path);
	}
	node->value = value;
	node->n = n;
	node->error = error;
	return true;
}

/* ---- libxenstore ---- */

struct xs_handle {
	int unused;
};

static struct xs_handle the_handle;

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	return &the_handle;
}

void xs_close(struct xs_handle *h)
{
	(void)h;
}

/* There is one at a time, which can be waited for. */
int xs_fileno(struct xs_handle *h)
{
	static int fd = -1;

	(void)h;
	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC);
	return fd;
}

/* Nothing listens. */
const char *xs_daemon_socket(void)
{
	return NULL;
}

/* As the real one: in memory of its own, with a terminator behind it. */
void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *len)
{
	const struct fake_node *node = find(path);
	uint8_t *copy;

	(void)h;
	(void)t;
	if (node == NULL || node->error) {
		errno = node ? node->error : ENOENT;
		return NULL;
	}
	copy = malloc(node->n + 1);
	FUZZ_CHECK(copy, "no memory");
	if (node->n > 0)
		memcpy(copy, node->value, node->n);
	copy[node->n] = '\0';
	*len = (unsigned)node->n;
	return copy;
}

/* What reads nodes calls none of these. */
bool xs_write(
	struct xs_handle *h, xs_transaction_t t, const char *path, const void *data, unsigned len)
{
	(void)h, (void)t, (void)data, (void)len;
	FUZZ_CHECK(false, "'%s' is written", path);
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	(void)h, (void)t;
	FUZZ_CHECK(false, "'%s' is removed", path);
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *num)
{
	(void)h, (void)t, (void)num;
	FUZZ_CHECK(false, "'%s' is listed", path);
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	(void)h, (void)token;
	FUZZ_CHECK(false, "'%s' is watched", path);
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	(void)h, (void)token;
	FUZZ_CHECK(false, "'%s' is not watched", path);
}

char **xs_check_watch(struct xs_handle *h)
{
	(void)h;
	FUZZ_CHECK(false, "events are taken");
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	(void)h;
	FUZZ_CHECK(false, "a transaction");
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool give_up)
{
	(void)h, (void)t, (void)give_up;
	FUZZ_CHECK(false, "a transaction");
}
