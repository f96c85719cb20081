/* Placements by hand. */
#include <string.h>

#include "fixture.h"

typedef struct placed_seen {
  int calls;
  int32_t code;
  char host[128], from_host[128], message[240];
  uint64_t epoch;
} placed_seen;

static void on_placed(void* user_data, int32_t code, const fc_placed* placed, const fc_error* error) {
  placed_seen* const out = user_data;
  ++out->calls;
  out->code = code;
  CHECK((code == FC_OK) == (placed != NULL));
  CHECK((code == FC_OK) == (error == NULL));
  if (error != NULL) snprintf(out->message, sizeof(out->message), "%s", error->message);
  if (placed == NULL) return;
  snprintf(out->host, sizeof(out->host), "%s", as_c(placed->host));
  snprintf(out->from_host, sizeof(out->from_host), "%s", as_c(placed->from_host));
  out->epoch = placed->epoch;
}

static placed_seen place(fc_engine* engine, const char* container, const char* host) {
  placed_seen out;
  memset(&out, 0, sizeof(out));
  CHECK_INT(FC_PENDING,
            fc_place(engine, text(container), text(host), text("by hand"), NULL, on_placed, &out));
  CHECK_INT(0, out.calls);
  run_until(engine, &out.calls, 1);
  return out;
}

static void container_goes_where_it_is_told_and_open_tickets_stay_good(void) {
  fake_runtime runtimes[2];
  fc_dispatcher* dispatchers[2];
  fc_engine* const engine = make_engine("memory:");
  placed_seen seen;
  route_result before, after;
  memset(runtimes, 0, sizeof(runtimes));
  put_container(engine, "site");
  dispatchers[0] = make_dispatcher(engine, &runtimes[0], "h1", "127.0.0.1");
  dispatchers[1] = make_dispatcher(engine, &runtimes[1], "h2", "127.0.0.2");

  seen = place(engine, "site", "h2");
  CHECK_INT(FC_OK, seen.code);
  CHECK(strcmp(seen.host, "h2") == 0 && seen.from_host[0] == '\0');
  CHECK_INT(1, seen.epoch);
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &before));
  CHECK(strcmp(before.host, "h2") == 0);

  seen = place(engine, "site", "h2"); /* it is there already */
  CHECK_INT(FC_OK, seen.code);
  CHECK_INT(1, seen.epoch);
  seen = place(engine, "site", "h1");
  CHECK_INT(FC_OK, seen.code);
  CHECK(strcmp(seen.host, "h1") == 0 && strcmp(seen.from_host, "h2") == 0);
  CHECK_INT(2, seen.epoch);
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &after));
  CHECK(strcmp(after.host, "h1") == 0);
  CHECK(before.ticket.endpoint != after.ticket.endpoint);
  CHECK_INT(0, try_connect(&before.ticket)); /* the old run serves until its tickets end */
  CHECK_INT(FC_OK, fc_ticket_end(engine, before.ticket.id, NULL));
  CHECK_INT(FC_OK, fc_ticket_end(engine, after.ticket.id, NULL));

  seen = place(engine, "site", "");
  CHECK_INT(FC_OK, seen.code);
  CHECK(strcmp(seen.host, "h2") == 0);
  fc_dispatcher_destroy(dispatchers[0]);
  fc_dispatcher_destroy(dispatchers[1]);
  fc_engine_destroy(engine);
}

static void unknown_container_and_host_are_not_found(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* const dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  placed_seen seen;
  put_container(engine, "site");
  seen = place(engine, "nothing", "h1");
  CHECK_INT(FC_E_NOT_FOUND, seen.code);
  seen = place(engine, "site", "h9");
  CHECK_INT(FC_E_NOT_FOUND, seen.code);
  CHECK(strstr(seen.message, "h9") != NULL);
  CHECK_INT(FC_E_INVALID, fc_place(engine, text(""), text("h1"), text(""), NULL, on_placed, &seen));
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

int main(void) {
  RUN(container_goes_where_it_is_told_and_open_tickets_stay_good);
  RUN(unknown_container_and_host_are_not_found);
  return 0;
}
