/*
 * What makes two states one: the same fingerprint, the operations taken so far aside.
 */
#include "tests/unit/order-world.h"

#include <string.h>

static uint64_t mix(uint64_t print, uint64_t word)
{
	print = (print ^ word ^ print >> 29) * 0x9e3779b97f4a7c15u;
	print = (print ^ print >> 32) * 0x9fb21c651e98df25u;
	return print ^ print >> 32;
}

/* All that matters about one operation in some @list. */
static uint64_t word_of(const struct world *w, uint16_t ref, uint64_t list)
{
	const struct op *ops = w->queue[ORDER_REF_QUEUE(ref)].op, *op = &ops[ORDER_REF_SLOT(ref)];
	const struct order_node *node = &w->order.node[ref];
	uint64_t word = list << 40 | op->kind | (uint64_t)op->facts << 8;

	for (unsigned i = 0; i < OPS_MAX && op->kind != ORDER_FLUSH; i++)
		if (is_barrier(ops[i].kind) && ops[i].place < op->place)
			word += 1u << 24;
	if (op->facts & ASKED)
		word |= (uint64_t)(node->stage | (node->error ? 8u : 0)) << 32;
	return word;
}

/* Add the operations of a disk's list to the prints of their queues. */
static void add_list(uint64_t *prints, const struct world *w, struct order_list list, uint64_t name)
{
	for (uint16_t ref = list.head; ref != ORDER_NO_REF; ref = w->order.node[ref].next)
		prints[ORDER_REF_QUEUE(ref)] += mix(0, word_of(w, ref, name));
}

static bool is_of(uint16_t ref, unsigned q)
{
	return ref != ORDER_NO_REF && ORDER_REF_QUEUE(ref) == q;
}

/*
 * Slots are names only; so are the queues' numbers: what they have is added up. Of the order in a
 * ring it matters how many barriers come before a write, and the order of the held list. In a list
 * of the disk only barriers have an order: for others it orders what one section will collect.
 */
static uint64_t print_of_queue(const struct world *w, unsigned q)
{
	const struct queue *queue = &w->queue[q];
	const struct order_port *port = &queue->port;
	const struct order *o = &w->order;
	const uint8_t parts[24] = {(uint8_t)port->writes, port->holding, port->parked,
		port->barrier, port->faulty, queue->member, queue->awake, queue->poked,
		queue->section, queue->knows_fault, o->members >> q & 1, o->parked >> q & 1,
		o->own_barrier >> q & 1, o->sync_queue >> q & 1,
		w->sync_running && w->sync_queue == q, o->wake >> q & 1, is_of(o->active, q),
		is_of(o->barriers.head, q), queue->reads, queue->held_up, port->quiet,
		o->quiet >> q & 1, plan->named ? (uint8_t)(q + 1) : 0};
	uint64_t print = 0, held = 16, words[3];

	memcpy(words, parts, sizeof(words));
	for (uint16_t slot = port->held.head; slot != ORDER_NO_REF; slot = port->slot[slot].next)
		print += mix(0, word_of(w, ORDER_REF(q, slot), held++));
	for (unsigned slot = 0; slot < OPS_MAX; slot++)
		if (queue->op[slot].live)
			print += mix(0, word_of(w, ORDER_REF(q, slot), 0));
	return mix(mix(mix(print, words[0]), words[1]), words[2]);
}

uint64_t print_of(const struct world *w)
{
	const struct order *o = &w->order;
	/* Each of the first two is less than 16. */
	const uint8_t parts[8] = {(uint8_t)(o->gate | (unsigned)o->change << 4),
		(uint8_t)(o->sync_told | o->sync_is_needed << 1 | o->gather_left << 2 |
			  o->gather_next << 5),
		o->fault != 0, w->dirty, w->dirty_in_sync, w->sync_running, w->sync_failed,
		(uint8_t)(w->loose | w->loose_in_sync << 1)};
	uint64_t word, print = 0, prints[QUEUES_MAX] = {0};

	add_list(prints, w, o->covered, 1);
	add_list(prints, w, o->waiting, 2);
	add_list(prints, w, o->barriers, 3);
	for (unsigned q = 0; q < plan->queues; q++) {
		add_list(prints, w, o->outbox[q], 4);
		print += mix(prints[q], print_of_queue(w, q));
	}
	memcpy(&word, parts, sizeof(word));
	return (mix(print, word) & ~(uint64_t)7) | w->nr_taken;
}
