/* fc_cancel, and callbacks that run exactly once, also when the engine is destroyed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "fixture.h"

typedef struct probe_seen {
  int calls;
  int32_t verdict, error;
} probe_seen;

static void on_probe(void* user_data, const fc_probe_result* result) {
  probe_seen* const out = user_data;
  ++out->calls;
  out->verdict = result->verdict;
  out->error = result->error;
}

static void on_place(void* user_data, int32_t code, const fc_placed* placed, const fc_error* error) {
  done_result* const out = user_data;
  ++out->calls;
  out->code = code;
  CHECK((code == FC_OK) == (placed != NULL));
  if (error != NULL) snprintf(out->message, sizeof(out->message), "%s", error->message);
}

static struct sockaddr_in loopback(const char* address) {
  struct sockaddr_in out;
  memset(&out, 0, sizeof(out));
  out.sin_family = AF_INET;
  CHECK_INT(1, inet_pton(AF_INET, address, &out.sin_addr));
  return out;
}

static void cancelled_route_never_calls_back(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_ticket ticket = FC_TICKET_INIT;
  route_result cancelled, kept;
  fc_dispatcher* dispatcher;
  fc_op first = 0, second = 0;
  memset(&cancelled, 0, sizeof(cancelled));
  memset(&kept, 0, sizeof(kept));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  runtime.hold = 1;
  CHECK_INT(FC_PENDING, fc_route(engine, text("site.test"), NULL, &ticket, &first, on_route, &cancelled));
  CHECK_INT(FC_PENDING, fc_route(engine, text("site.test"), NULL, &ticket, &second, on_route, &kept));
  CHECK(first != second);
  CHECK_INT(FC_OK, fc_cancel(engine, first));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, first));
  run_until(engine, &runtime.held_count, 1);
  release_starts(&runtime);
  run_until(engine, &kept.calls, 1);
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, second));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, 0));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, ~(fc_op)0));
  CHECK(stat_of(engine, "fastcontainer_tickets_open", "") == 1);
  CHECK_INT(FC_OK, fc_ticket_end(engine, kept.ticket.id, NULL));
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
  CHECK_INT(0, cancelled.calls);
  CHECK_INT(1, kept.calls);
}

static void cancel_after_the_grant_gives_the_ticket_back(void) {
  /* The answer may already wait in the loop; whoever cancels then must not leave a ticket open. */
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_ticket ticket = FC_TICKET_INIT;
  route_result result;
  fc_dispatcher* dispatcher;
  fc_op op = 0;
  int step;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  for (step = 0; step < 40; ++step) {
    int i;
    memset(&result, 0, sizeof(result));
    if (fc_route(engine, text("site.test"), NULL, &ticket, &op, on_route, &result) == FC_OK) {
      CHECK_INT(FC_OK, fc_ticket_end(engine, ticket.id, NULL));
      break;
    }
    for (i = 0; i < step; ++i) CHECK(fc_engine_process(engine, 1) >= 0);
    if (fc_cancel(engine, op) == FC_OK) {
      run_ready(engine);
      CHECK_INT(0, result.calls);
    } else {
      CHECK_INT(1, result.calls);
      CHECK_INT(FC_OK, fc_ticket_end(engine, result.ticket.id, NULL));
    }
    CHECK(stat_of(engine, "fastcontainer_tickets_open", "") == 0);
  }
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void probe_place_and_get_are_cancelled_by_the_same_call(void) {
  fc_engine* const engine = make_engine("memory:");
  const struct sockaddr_in self = loopback("127.0.0.1");
  probe_seen probed = {0, 0, 0};
  done_result placed = {0, 0, ""}, got = {0, 0, ""};
  fc_op op = 0;
  CHECK_INT(FC_PENDING,
            fc_probe(engine, (const struct sockaddr*)&self, sizeof(self), NULL, &op, on_probe, &probed));
  CHECK_INT(FC_OK, fc_cancel(engine, op));
  CHECK_INT(FC_PENDING, fc_place(engine, text("nothing"), text(""), text("test"), &op, on_place, &placed));
  CHECK_INT(FC_OK, fc_cancel(engine, op));
  CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/x"), 0, &op, on_result_count, &got));
  CHECK_INT(FC_OK, fc_cancel(engine, op));
  run_ready(engine);
  CHECK_INT(FC_PENDING,
            fc_probe(engine, (const struct sockaddr*)&self, sizeof(self), NULL, &op, on_probe, &probed));
  run_until(engine, &probed.calls, 1);
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, op));
  CHECK(probed.verdict == FC_VERDICT_UP || probed.verdict == FC_VERDICT_LOCAL_FAULT);
  CHECK_INT(FC_E_INVALID, fc_probe(engine, NULL, 0, NULL, &op, on_probe, &probed));
  CHECK_INT(FC_E_INVALID, fc_probe(engine, (const struct sockaddr*)&self, 4, NULL, &op, on_probe, &probed));
  fc_engine_destroy(engine);
  CHECK_INT(1, probed.calls);
  CHECK_INT(0, placed.calls);
  CHECK_INT(0, got.calls);
}

static void destroying_the_engine_ends_each_operation_once(void) {
  enum { kEach = 5 };
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  const struct sockaddr_in self = loopback("127.0.0.1");
  route_result loading[kEach], starting[kEach];
  done_result placed[kEach], got[kEach], watched[kEach], drained[kEach];
  probe_seen probed[kEach];
  fc_ticket ticket = FC_TICKET_INIT;
  fc_dispatcher* dispatcher;
  int i;
  memset(loading, 0, sizeof(loading));
  memset(starting, 0, sizeof(starting));
  memset(placed, 0, sizeof(placed));
  memset(got, 0, sizeof(got));
  memset(watched, 0, sizeof(watched));
  memset(drained, 0, sizeof(drained));
  memset(probed, 0, sizeof(probed));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  runtime.hold = 1;
  for (i = 0; i < kEach; ++i)
    CHECK_INT(FC_PENDING, fc_route(engine, text("site.test"), NULL, &ticket, NULL, on_route, &starting[i]));
  run_until(engine, &runtime.held_count, 1);
  for (i = 0; i < kEach; ++i) {
    CHECK_INT(FC_PENDING, fc_route(engine, text("other.test"), NULL, &ticket, NULL, on_route, &loading[i]));
    CHECK_INT(FC_PENDING,
              fc_place(engine, text("other"), text(""), text("test"), NULL, on_place, &placed[i]));
    CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/x"), 0, NULL, on_result_count, &got[i]));
    CHECK_INT(FC_PENDING, fc_cmdb_watch(engine, text("/x"), 0, NULL, on_result_count, &watched[i]));
    CHECK_INT(FC_PENDING, fc_probe(engine, (const struct sockaddr*)&self, sizeof(self), NULL, NULL, on_probe,
                                   &probed[i]));
    CHECK_INT(FC_PENDING, fc_dispatcher_drain(dispatcher, 1, on_done, &drained[i]));
  }
  fc_dispatcher_destroy(dispatcher);
  for (i = 0; i < kEach; ++i) CHECK_INT(0, drained[i].calls);
  fc_engine_destroy(engine);
  for (i = 0; i < kEach; ++i) {
    CHECK_INT(1, starting[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, starting[i].code);
    CHECK_INT(1, loading[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, loading[i].code);
    CHECK_INT(1, placed[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, placed[i].code);
    CHECK_INT(1, got[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, got[i].code);
    CHECK_INT(1, watched[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, watched[i].code);
    CHECK_INT(1, probed[i].calls);
    CHECK_INT(FC_VERDICT_LOCAL_FAULT, probed[i].verdict);
    CHECK_INT(ECANCELED, probed[i].error);
    CHECK_INT(1, drained[i].calls);
    CHECK_INT(FC_E_SHUTDOWN, drained[i].code);
  }
}

static void dispatcher_destroyed_before_it_serves_says_so(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher_options options;
  fc_dispatcher* dispatcher = NULL;
  done_result ready = {0, 0, ""};
  runtime.engine = engine;
  init_dispatcher_options(&options, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, NULL));
  fc_dispatcher_destroy(dispatcher);
  CHECK_INT(0, ready.calls);
  run_until(engine, &ready.calls, 1);
  CHECK_INT(FC_E_SHUTDOWN, ready.code);
  fc_engine_destroy(engine);
  CHECK_INT(1, ready.calls);
  CHECK_INT(1, runtime.destroyed);
}

int main(void) {
  RUN(cancelled_route_never_calls_back);
  RUN(cancel_after_the_grant_gives_the_ticket_back);
  RUN(probe_place_and_get_are_cancelled_by_the_same_call);
  RUN(destroying_the_engine_ends_each_operation_once);
  RUN(dispatcher_destroyed_before_it_serves_says_so);
  return 0;
}
