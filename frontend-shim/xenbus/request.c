/*
 * What the messages of a client mean for xenbus: which to rewrite, what to remember until the client
 * goes, and how to undo it then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/xenbus/xenbus.h"

/* The two strings of XS_WATCH, XS_UNWATCH and XS_WATCH_EVENT. */
static int message_strings(const struct bus_message *m, const char **first, const char **second)
{
	size_t n = strnlen(m->body, m->hdr.len);

	if (n + 1 >= m->hdr.len ||
		strnlen(m->body + n + 1, m->hdr.len - n - 1) == m->hdr.len - n - 1)
		return -EINVAL;
	*first = m->body;
	*second = m->body + n + 1;
	return 0;
}

static int message_set_strings(struct bus_message *m, const char *first, const char *second)
{
	size_t a = strlen(first) + 1, b = strlen(second) + 1;

	if (a + b > XENSTORE_PAYLOAD_MAX)
		return -E2BIG;
	memmove(m->body, first, a);
	memcpy(m->body + a, second, b);
	m->hdr.len = (uint32_t)(a + b);
	return 0;
}

static bool client_has_transaction(const struct bus_client *c, uint32_t id)
{
	for (const struct bus_transaction *t = c->transactions; t; t = t->next)
		if (t->id == id)
			return true;
	return false;
}

/*
 * The message as it goes over the ring: numbered by client, tokens marked. Transactions are the whole
 * domain's for xenstored, so it is checked here that this one is the client's own.
 */
int bus_request_rewrite(
	struct bus_client *c, const struct bus_message *m, struct bus_message *ret_out)
{
	char token[XENSTORE_PAYLOAD_MAX + 16];
	const char *path, *own;
	int r;

	if (m->hdr.tx_id && !client_has_transaction(c, m->hdr.tx_id))
		return -ENOENT;
	*ret_out = *m;
	ret_out->hdr.req_id = c->number;
	if (m->hdr.type != XS_WATCH && m->hdr.type != XS_UNWATCH)
		return 0;
	r = message_strings(m, &path, &own);
	if (r < 0)
		return r;
	(void)snprintf(token, sizeof(token), "%x:%s", c->number, own);
	return message_set_strings(ret_out, path, token);
}

static int watch_remember(struct bus_client *c, const struct bus_message *sent)
{
	char token[XENSTORE_PAYLOAD_MAX + 16];
	const char *path, *own;
	struct bus_watch *w;

	if (message_strings(sent, &path, &own) < 0)
		return -EINVAL;
	(void)snprintf(token, sizeof(token), "%x:%s", c->number, own);
	w = malloc(sizeof(*w) + strlen(path) + 1);
	if (!w)
		return -ENOMEM;
	w->token = strdup(token);
	if (!w->token) {
		free(w);
		return -ENOMEM;
	}
	memcpy(w->path, path, strlen(path) + 1);
	w->next = c->watches;
	c->watches = w;
	return 0;
}

static void watch_forget(struct bus_client *c, const char *path, const char *token)
{
	for (struct bus_watch **pos = &c->watches; *pos; pos = &(*pos)->next) {
		struct bus_watch *w = *pos;

		if (strcmp(w->path, path) != 0 || strcmp(w->token, token) != 0)
			continue;
		*pos = w->next;
		free(w->token);
		free(w);
		return;
	}
}

static void transaction_remember(struct bus_client *c, const struct bus_message *reply)
{
	struct bus_transaction *t = malloc(sizeof(*t));

	if (!t)
		return; /* xenstored ends it with the domain; this client cannot use it */
	t->id = (uint32_t)strtoul(reply->body, NULL, 10);
	t->next = c->transactions;
	c->transactions = t;
}

static void transaction_forget(struct bus_client *c, uint32_t id)
{
	for (struct bus_transaction **pos = &c->transactions; *pos; pos = &(*pos)->next) {
		struct bus_transaction *t = *pos;

		if (t->id != id)
			continue;
		*pos = t->next;
		free(t);
		return;
	}
}

/* Takes the reply to c->sent into account. A failed UNWATCH or TRANSACTION_END leaves nothing to
 * undo either: EAGAIN ends a transaction, ENOENT says that there was no such thing. */
void bus_request_done(struct bus_client *c, const struct bus_message *reply)
{
	const struct bus_message *sent = &c->sent;
	bool ok = reply->hdr.type != XS_ERROR;
	const char *path, *token;
	char marked[XENSTORE_PAYLOAD_MAX + 16];

	if (sent->hdr.type == XS_WATCH && ok)
		(void)watch_remember(c, sent);
	if (sent->hdr.type == XS_TRANSACTION_START && ok)
		transaction_remember(c, reply);
	if (sent->hdr.type == XS_TRANSACTION_END)
		transaction_forget(c, sent->hdr.tx_id);
	if (sent->hdr.type == XS_UNWATCH && message_strings(sent, &path, &token) == 0) {
		(void)snprintf(marked, sizeof(marked), "%x:%s", c->number, token);
		watch_forget(c, path, marked);
	}
}

/* The next request that undoes something the client left, in the client's own terms; false when all
 * is undone. Transactions first: watches need none. */
bool bus_request_cleanup(struct bus_client *c, struct bus_message *ret_out)
{
	const char *own;

	memset(&ret_out->hdr, 0, sizeof(ret_out->hdr));
	if (c->mode == CLIENT_DEAD && c->transactions) {
		ret_out->hdr.type = XS_TRANSACTION_END;
		ret_out->hdr.tx_id = c->transactions->id;
		ret_out->hdr.len = 2;
		memcpy(ret_out->body, "F", 2);
		return true;
	}
	if (!c->watches)
		return false;
	own = strchr(c->watches->token, ':') + 1;
	ret_out->hdr.type = XS_UNWATCH;
	(void)message_set_strings(ret_out, c->watches->path, own); /* it fitted before */
	return true;
}

void bus_request_forget(struct bus_client *c)
{
	while (c->watches)
		watch_forget(c, c->watches->path, c->watches->token);
	while (c->transactions)
		transaction_forget(c, c->transactions->id);
}

int bus_event_split(const struct bus_message *m, uint32_t *ret_number, struct bus_message *ret_out)
{
	const char *path, *token;
	char *own;
	int r;

	r = message_strings(m, &path, &token);
	if (r < 0)
		return r;
	*ret_number = (uint32_t)strtoul(token, &own, 16);
	if (*own != ':')
		return -EINVAL;
	ret_out->hdr = m->hdr;
	return message_set_strings(ret_out, path, own + 1);
}
