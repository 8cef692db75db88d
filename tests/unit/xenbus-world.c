#include "tests/unit/xenbus-world.h"

struct world world_new(void)
{
	return (struct world){
		.node = XENBUS_INITIALISING,
		.frontend = XENBUS_INITIALISING,
		.online = true,
		.self = XENBUS_INITIALISING,
		.storage_ready = true,
	};
}

struct xenbus_input world_input(const struct world *w)
{
	bool up = w->frontend == XENBUS_INITIALISED || w->frontend == XENBUS_CONNECTED;

	return (struct xenbus_input){
		.self = w->self,
		.node = w->node,
		.frontend = w->frontend,
		.online = w->online,
		.rekeyed = w->rings && up && w->key != w->rings_key,
	};
}

static void go(struct world *w, enum xenbus_state state)
{
	w->self = state;
	w->node = state;
	w->writes++;
}

void world_perform(struct world *w, enum xenbus_action action)
{
	switch (action) {
	case XENBUS_DO_NOTHING:
		break;
	case XENBUS_DO_OPEN:
		w->rings = false;
		go(w, XENBUS_INITWAIT);
		break;
	case XENBUS_DO_CONNECT:
		w->rings = true;
		w->connects++;
		w->rings_key = w->key;
		go(w, XENBUS_CONNECTED);
		break;
	case XENBUS_DO_CLOSING:
		go(w, XENBUS_CLOSING);
		break;
	case XENBUS_DO_CLOSED:
		w->rings = false;
		go(w, XENBUS_CLOSED);
		break;
	case XENBUS_DO_FINISH:
		w->rings = false;
		w->ended = true;
		break;
	}
}

unsigned world_settle(struct world *w)
{
	unsigned n = 0;

	while (!w->ended && n <= WORLD_CHAIN_MAX) {
		struct xenbus_input in = world_input(w);
		enum xenbus_action action = xenbus_next(&in);

		if (action == XENBUS_DO_CONNECT && !w->storage_ready)
			return n;
		if (action == XENBUS_DO_NOTHING)
			return n;
		world_perform(w, action);
		n++;
	}
	return n;
}
