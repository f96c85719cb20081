/* A request's way through the C ABI: placed, started, warm, ended, idle exit, relocated, retried. */
#include <errno.h>
#include <string.h>

#include "fixture.h"

static void first_request_places_and_starts_the_container(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* dispatcher;
  route_result first;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "SITE.test:8080", &first));
  CHECK(first.ticket.id != 0);
  CHECK_INT(FC_ROUTE_PLACED, first.ticket.reason);
  CHECK_INT(1, first.ticket.attempt);
  CHECK(strcmp(first.host, "h1") == 0);
  CHECK(first.ticket.endpoint != 0);
  CHECK_INT(1, runtime.starts);
  CHECK(strstr(runtime.last_spec, "\"image\"") != NULL);
  CHECK_INT(0, try_connect(&first.ticket));
  CHECK_INT(FC_OK, fc_ticket_end(engine, first.ticket.id, NULL));
  CHECK_INT(FC_E_NOT_FOUND, fc_ticket_end(engine, first.ticket.id, NULL));
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
  CHECK_INT(1, runtime.destroyed);
}

static void warm_route_answers_at_once_without_a_callback(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_ticket ticket = FC_TICKET_INIT;
  fc_op op = 77;
  fc_dispatcher* dispatcher;
  route_result first, unused;
  memset(&unused, 0, sizeof(unused));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &first));
  CHECK_INT(FC_OK, fc_ticket_alive(engine, first.ticket.id));
  CHECK_INT(FC_OK, fc_route(engine, text("site.test"), NULL, &ticket, &op, on_route, &unused));
  CHECK_INT(0, op);
  CHECK_INT(FC_ROUTE_LEASE, ticket.reason);
  CHECK(ticket.id != first.ticket.id);
  CHECK_INT(first.ticket.endpoint, ticket.endpoint);
  CHECK(same(ticket.container, "site"));
  CHECK(same(ticket.host, "h1"));
  CHECK_INT(FC_OK, fc_ticket_end(engine, ticket.id, NULL));
  CHECK_INT(FC_OK, fc_ticket_end(engine, first.ticket.id, NULL));
  run_ready(engine);
  CHECK_INT(0, unused.calls);
  CHECK(stat_of(engine, "fastcontainer_tickets_total", "reason=\"lease\"") == 1);
  CHECK(stat_of(engine, "fastcontainer_tickets_open", "") == 0);
  CHECK(stat_of(engine, "fastcontainer_starts_total", "host=\"h1\"") == 1);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void concurrent_requests_share_one_start(void) {
  enum { kRequests = 10 };
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  route_result results[kRequests];
  fc_dispatcher* dispatcher;
  int i;
  memset(results, 0, sizeof(results));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  runtime.hold = 1;
  for (i = 0; i < kRequests; ++i) {
    fc_ticket ticket = FC_TICKET_INIT;
    CHECK_INT(FC_PENDING, fc_route(engine, text("site.test"), NULL, &ticket, NULL, on_route, &results[i]));
  }
  run_until(engine, &runtime.held_count, 1);
  for (i = 0; i < kRequests; ++i) CHECK_INT(0, results[i].calls);
  release_starts(&runtime);
  for (i = 0; i < kRequests; ++i) {
    run_until(engine, &results[i].calls, 1);
    CHECK_INT(FC_OK, results[i].code);
    CHECK_INT(FC_OK, fc_ticket_end(engine, results[i].ticket.id, NULL));
  }
  CHECK_INT(1, runtime.starts);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void unknown_key_and_failed_start_are_told_apart(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  route_result result;
  fc_dispatcher* dispatcher;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_E_UNKNOWN_KEY, route_and_wait(engine, "nobody.test", &result));
  CHECK_INT(FC_E_UNKNOWN_KEY, route_and_wait(engine, "nobody.test", &result));
  CHECK_INT(FC_E_INVALID, route_and_wait(engine, "", &result));
  runtime.fail_starts = 100;
  CHECK_INT(FC_E_START_FAILED, route_and_wait(engine, "site.test", &result));
  CHECK(strstr(result.message, "scripted to fail") != NULL);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void refused_request_is_sent_again_on_another_host(void) {
  fake_runtime runtimes[2];
  fc_dispatcher* dispatchers[2];
  fc_engine* const engine = make_engine("memory:");
  route_result first, second;
  fc_attempt attempt;
  fc_op op = 0;
  int32_t code;
  int old;
  memset(runtimes, 0, sizeof(runtimes));
  memset(&second, 0, sizeof(second));
  put_container(engine, "site");
  dispatchers[0] = make_dispatcher(engine, &runtimes[0], "h1", "127.0.0.1");
  dispatchers[1] = make_dispatcher(engine, &runtimes[1], "h2", "127.0.0.2");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &first));
  old = strcmp(first.host, "h1") == 0 ? 0 : 1;

  fc_dispatcher_destroy(dispatchers[old]); /* closes the runtime's listeners: the whole service is gone */
  CHECK_INT(1, runtimes[old].destroyed);
  CHECK_INT(ECONNREFUSED, try_connect(&first.ticket));
  memset(&attempt, 0, sizeof(attempt));
  attempt.struct_size = sizeof(attempt);
  attempt.outcome = FC_OUTCOME_REFUSED;
  code = fc_ticket_retry(engine, first.ticket.id, &attempt, NULL, &second.ticket, &op, on_route, &second);
  CHECK_INT(FC_E_INVALID, code); /* second.ticket says no size */
  second.ticket.struct_size = sizeof(second.ticket);
  code = fc_ticket_retry(engine, first.ticket.id, &attempt, NULL, &second.ticket, &op, on_route, &second);
  CHECK_INT(FC_PENDING, code);
  run_until(engine, &second.calls, 1);
  CHECK_INT(FC_OK, second.code);
  CHECK_INT(2, second.ticket.attempt);
  CHECK_INT(FC_ROUTE_RELOCATED, second.ticket.reason);
  CHECK(strcmp(first.host, second.host) != 0);
  CHECK(second.ticket.endpoint != first.ticket.endpoint);
  CHECK_INT(first.ticket.epoch + 1, second.ticket.epoch);
  CHECK_INT(0, try_connect(&second.ticket));
  CHECK_INT(FC_E_NOT_FOUND, fc_ticket_end(engine, first.ticket.id, NULL));

  attempt.bytes_written = 1; /* and neither idempotent nor held */
  attempt.outcome = FC_OUTCOME_CLOSED;
  code = fc_ticket_retry(engine, second.ticket.id, &attempt, NULL, &first.ticket, &op, on_route, &second);
  CHECK_INT(FC_E_UNSAFE, code);
  CHECK_INT(FC_E_NOT_FOUND, fc_ticket_end(engine, second.ticket.id, NULL));
  fc_dispatcher_destroy(dispatchers[1 - old]);
  fc_engine_destroy(engine);
}

static void open_ticket_is_told_that_its_container_has_ended(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* dispatcher;
  route_result result;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &result));
  exit_instances(&runtime, "signal 9");
  run_until(engine, &result.lost.count, 1);
  CHECK_INT(FC_LOST_CONTAINER, result.lost.reason);
  CHECK_INT(result.ticket.id, result.lost.ticket);
  CHECK_INT(FC_OK, fc_ticket_end(engine, result.ticket.id, NULL));
  run_ready(engine);
  CHECK_INT(1, result.lost.count);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void count_containers(void* user_data, const fc_container_info* info) {
  if (info->state == FC_CONTAINER_RUNNING) ++*(int*)user_data;
  CHECK(same(info->container, "site"));
  CHECK(info->address_length > 0);
}

static void drained_dispatcher_stops_its_containers(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* dispatcher;
  route_result result;
  done_result drained = {0, 0, ""};
  int running = 0;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &result));
  CHECK_INT(FC_OK, fc_dispatcher_list(dispatcher, count_containers, &running));
  CHECK_INT(1, running);
  CHECK_INT(FC_OK, fc_ticket_end(engine, result.ticket.id, NULL));
  CHECK_INT(FC_PENDING, fc_dispatcher_drain(dispatcher, 1000000000, on_done, &drained));
  run_until(engine, &drained.calls, 1);
  CHECK_INT(FC_OK, drained.code);
  CHECK_INT(1, runtime.stops);
  running = 0;
  CHECK_INT(FC_OK, fc_dispatcher_list(dispatcher, count_containers, &running));
  CHECK_INT(0, running);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

int main(void) {
  RUN(first_request_places_and_starts_the_container);
  RUN(warm_route_answers_at_once_without_a_callback);
  RUN(concurrent_requests_share_one_start);
  RUN(unknown_key_and_failed_start_are_told_apart);
  RUN(refused_request_is_sent_again_on_another_host);
  RUN(open_ticket_is_told_that_its_container_has_ended);
  RUN(drained_dispatcher_stops_its_containers);
  return 0;
}
