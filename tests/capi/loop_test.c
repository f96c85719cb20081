/* How an engine sits in a host's event loop, and what may be done inside a callback. */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static void edge_triggered_host_with_a_budget_of_one_misses_nothing(void) {
  enum { kRequests = 50 };
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* dispatcher;
  route_result results[kRequests];
  struct epoll_event event;
  int i, answered = 0;
  const int outer = epoll_create1(EPOLL_CLOEXEC);
  CHECK(outer >= 0);
  memset(results, 0, sizeof(results));
  memset(&event, 0, sizeof(event));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  event.events = EPOLLIN | EPOLLET;
  CHECK_INT(0, epoll_ctl(outer, EPOLL_CTL_ADD, fc_engine_fd(engine), &event));
  for (i = 0; i < kRequests; ++i) {
    fc_ticket ticket = FC_TICKET_INIT;
    CHECK_INT(FC_PENDING, fc_route(engine, text("site.test"), NULL, &ticket, NULL, on_route, &results[i]));
  }
  while (answered < kRequests) {
    /* One call for each edge: what the budget leaves undone must come with an edge of its own. */
    CHECK_INT(1, epoll_wait(outer, &event, 1, 20000));
    CHECK(fc_engine_process(engine, 1) >= 0);
    for (i = answered = 0; i < kRequests; ++i) answered += results[i].calls;
  }
  for (i = 0; i < kRequests; ++i) {
    CHECK_INT(FC_OK, results[i].code);
    CHECK_INT(FC_OK, fc_ticket_end(engine, results[i].ticket.id, NULL));
  }
  close(outer);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void* wake_from_another_thread(void* user_data) {
  fc_engine_wake(user_data);
  return NULL;
}

static void wake_makes_the_descriptor_readable_from_any_thread(void) {
  fc_engine* const engine = make_engine("memory:");
  struct pollfd ready;
  pthread_t thread;
  memset(&ready, 0, sizeof(ready));
  ready.fd = fc_engine_fd(engine);
  ready.events = POLLIN;
  run_ready(engine);
  CHECK_INT(0, pthread_create(&thread, NULL, wake_from_another_thread, engine));
  CHECK_INT(1, poll(&ready, 1, 20000));
  CHECK_INT(0, pthread_join(thread, NULL));
  CHECK(fc_engine_process(engine, 0) >= 0);
  fc_engine_destroy(engine);
}

typedef struct nested {
  fc_engine* engine;
  fc_dispatcher* dispatcher;
  int calls, inner_calls, found;
  int32_t first_code;
  fc_op victim;
  route_result inner, cancelled;
} nested;

static void on_inner_stat(void* user_data, const fc_stat* stat) {
  (void)stat;
  ++((nested*)user_data)->found;
}

static void call_everything(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  nested* const all = user_data;
  fc_ticket next = FC_TICKET_INIT;
  (void)error;
  ++all->calls;
  all->first_code = code;
  if (ticket == NULL) return;
  CHECK_INT(FC_E_INVALID, fc_engine_process(all->engine, 0)); /* the one thing that is not legal here */
  CHECK_INT(FC_OK, fc_cancel(all->engine, all->victim));
  CHECK_INT(FC_OK, fc_engine_stats(all->engine, on_inner_stat, all));
  CHECK_INT(FC_OK, fc_ticket_alive(all->engine, ticket->id));
  all->inner.code = fc_route(all->engine, text("site.test"), NULL, &next, NULL, on_route, &all->inner);
  CHECK(all->inner.code == FC_OK || all->inner.code == FC_PENDING);
  if (all->inner.code == FC_OK) CHECK_INT(FC_OK, fc_ticket_end(all->engine, next.id, NULL));
  CHECK_INT(FC_OK, fc_ticket_end(all->engine, ticket->id, NULL));
  fc_dispatcher_destroy(all->dispatcher);
}

static void every_function_may_be_called_from_a_callback(void) {
  fake_runtime runtime = {0};
  fc_ticket ticket = FC_TICKET_INIT;
  nested all;
  memset(&all, 0, sizeof(all));
  all.engine = make_engine("memory:");
  put_container(all.engine, "site");
  all.dispatcher = make_dispatcher(all.engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_PENDING, fc_route(all.engine, text("site.test"), NULL, &ticket, NULL, call_everything, &all));
  CHECK_INT(FC_PENDING,
            fc_route(all.engine, text("site.test"), NULL, &ticket, &all.victim, on_route, &all.cancelled));
  run_until(all.engine, &all.calls, 1);
  CHECK_INT(FC_OK, all.first_code);
  CHECK(all.found > 10);
  run_ready(all.engine);
  CHECK_INT(1, runtime.destroyed);
  fc_engine_destroy(all.engine);
  CHECK_INT(0, all.cancelled.calls);
  CHECK_INT(all.inner.code == FC_OK ? 0 : 1, all.inner.calls);
}

typedef struct at_the_end {
  fc_engine* engine;
  int calls;
} at_the_end;

static void route_again(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  at_the_end* const out = user_data;
  fc_ticket next = FC_TICKET_INIT;
  (void)ticket;
  (void)error;
  ++out->calls;
  CHECK_INT(FC_E_SHUTDOWN, code);
  CHECK_INT(FC_E_SHUTDOWN, fc_route(out->engine, text("site.test"), NULL, &next, NULL, route_again, out));
  CHECK_INT(FC_E_SHUTDOWN, fc_cmdb_get(out->engine, text("/x"), 0, NULL, on_result_count, NULL));
  CHECK_INT(FC_E_NOT_FOUND, fc_ticket_end(out->engine, 1, NULL));
}

static void callback_at_the_end_cannot_begin_anything(void) {
  at_the_end out = {NULL, 0};
  fc_ticket ticket = FC_TICKET_INIT;
  out.engine = make_engine("memory:");
  CHECK_INT(FC_PENDING, fc_route(out.engine, text("site.test"), NULL, &ticket, NULL, route_again, &out));
  fc_engine_destroy(out.engine);
  CHECK_INT(1, out.calls);
}

static void engine_is_made_after_fork(void) {
  int status = -1;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    fake_runtime runtime = {0};
    fc_engine* const engine = make_engine("memory:");
    fc_dispatcher* dispatcher;
    route_result result;
    put_container(engine, "site");
    dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
    CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &result));
    fc_dispatcher_destroy(dispatcher);
    fc_engine_destroy(engine);
    _exit(0);
  }
  CHECK_INT(child, waitpid(child, &status, 0));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void engines_of_one_process_share_a_named_memory_cmdb(void) {
  fake_runtime runtime = {0};
  fc_engine* const host = make_engine("memory:shared");
  fc_engine* const proxy = make_engine("memory:shared");
  fc_dispatcher* dispatcher;
  fc_ticket ticket = FC_TICKET_INIT;
  route_result result;
  int32_t code;
  memset(&result, 0, sizeof(result));
  put_container(host, "site");
  dispatcher = make_dispatcher(host, &runtime, "h1", "127.0.0.1");
  code = fc_route(proxy, text("site.test"), NULL, &ticket, NULL, on_route, &result);
  CHECK_INT(FC_PENDING, code);
  while (result.calls == 0) {
    struct pollfd ready[2];
    memset(ready, 0, sizeof(ready));
    ready[0].fd = fc_engine_fd(host);
    ready[1].fd = fc_engine_fd(proxy);
    ready[0].events = ready[1].events = POLLIN;
    CHECK(poll(ready, 2, 20000) > 0);
    CHECK(fc_engine_process(host, 0) >= 0);
    CHECK(fc_engine_process(proxy, 0) >= 0);
  }
  CHECK_INT(FC_OK, result.code);
  fc_engine_destroy(proxy);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(host);
}

int main(void) {
  RUN(edge_triggered_host_with_a_budget_of_one_misses_nothing);
  RUN(wake_makes_the_descriptor_readable_from_any_thread);
  RUN(every_function_may_be_called_from_a_callback);
  RUN(callback_at_the_end_cannot_begin_anything);
  RUN(engine_is_made_after_fork);
  RUN(engines_of_one_process_share_a_named_memory_cmdb);
  return 0;
}
