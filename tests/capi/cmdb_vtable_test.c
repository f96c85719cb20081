/* A CMDB of one's own under an engine. */
#include <string.h>

#include "map_cmdb.h"

static fc_engine* engine_on(const map_cmdb* map, fc_engine** engine) {
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  init_options(&options, NULL);
  options.cmdb = &kMapCmdb;
  options.cmdb_user_data = (void*)map;
  if (fc_engine_create(engine, &options, &error) != FC_OK) fprintf(stderr, "%s\n", error.message);
  CHECK(*engine != NULL);
  return *engine;
}

static void route_through(int own_thread) {
  fake_runtime runtimes[2];
  fc_dispatcher* dispatchers[2];
  fc_engine* engine = NULL;
  map_cmdb* const map = make_map(&engine, own_thread);
  route_result first, second;
  fc_attempt attempt;
  int old;
  memset(runtimes, 0, sizeof(runtimes));
  engine_on(map, &engine);
  CHECK_INT(0, map->calls); /* nothing is asked before the caller knows its engine */
  put_container(engine, "site");
  dispatchers[0] = make_dispatcher(engine, &runtimes[0], "h1", "127.0.0.1");
  dispatchers[1] = make_dispatcher(engine, &runtimes[1], "h2", "127.0.0.2");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &first));
  CHECK_INT(FC_ROUTE_PLACED, first.ticket.reason);
  old = strcmp(first.host, "h1") == 0 ? 0 : 1;
  fc_dispatcher_destroy(dispatchers[old]);
  memset(&attempt, 0, sizeof(attempt));
  attempt.struct_size = sizeof(attempt);
  attempt.outcome = FC_OUTCOME_REFUSED;
  memset(&second, 0, sizeof(second));
  second.ticket.struct_size = sizeof(second.ticket);
  CHECK_INT(FC_PENDING, fc_ticket_retry(engine, first.ticket.id, &attempt, NULL, &second.ticket, NULL,
                                        on_route, &second));
  run_until(engine, &second.calls, 1);
  CHECK_INT(FC_OK, second.code);
  CHECK(strcmp(first.host, second.host) != 0);
  fc_dispatcher_destroy(dispatchers[1 - old]);
  run_ready(engine);
  stop_answers(map);
  fc_engine_destroy(engine);
  CHECK_INT(1, map->destroyed);
  free_map(map);
}

static void own_cmdb_that_answers_inside_the_call_carries_a_relocation(void) { route_through(0); }
static void own_cmdb_that_answers_from_a_thread_carries_a_relocation(void) { route_through(1); }

static int32_t silent_get(void* user_data, fc_op op, fc_str key, int32_t linearizable) {
  (void)key;
  (void)linearizable;
  *(fc_op*)user_data = op;
  return FC_OK;
}
static int32_t silent_list(void* user_data, fc_op op, fc_str prefix, fc_str after, uint64_t at,
                           uint32_t limit) {
  (void)user_data, (void)op, (void)prefix, (void)after, (void)at, (void)limit;
  return FC_OK;
}
static int32_t silent_txn(void* user_data, fc_op op, const fc_compare* compares, uint32_t compare_count,
                          const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline) {
  (void)user_data, (void)op, (void)compares, (void)compare_count, (void)mutations, (void)mutation_count;
  (void)deadline;
  return FC_OK;
}
static int32_t silent_watch(void* user_data, fc_op op, fc_str prefix, uint64_t after_revision) {
  (void)user_data, (void)op, (void)prefix, (void)after_revision;
  return FC_OK;
}
static void silent_cancel(void* user_data, fc_op op) {
  if (*(fc_op*)user_data == op) *(fc_op*)user_data = 0;
}
static const fc_cmdb_vtable kSilent = {
    sizeof(fc_cmdb_vtable), 0,    silent_get, silent_list, silent_txn, silent_watch,
    silent_cancel,          NULL, NULL,       NULL,        NULL};

static void silent_cmdb_is_cancelled_and_its_late_answer_dropped(void) {
  fc_engine* engine = NULL;
  fc_engine_options options;
  fc_op pending = 0, asked = 0, late;
  fc_result answer;
  done_result got = {0, 0, ""};
  done_result written = {0, 0, ""};
  fc_mutation mutation;
  memset(&answer, 0, sizeof(answer));
  answer.struct_size = sizeof(answer);
  init_options(&options, NULL);
  options.cmdb = &kSilent;
  options.cmdb_user_data = &pending;
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/x"), 1, &asked, on_result_count, &got));
  run_ready(engine);
  CHECK(pending != 0);
  late = pending;
  CHECK_INT(FC_OK, fc_cancel(engine, asked));
  CHECK_INT(0, pending); /* the vtable was told */
  CHECK_INT(FC_E_NOT_FOUND, fc_op_complete(engine, late, &answer));
  CHECK_INT(FC_E_NOT_FOUND, fc_op_complete(engine, 12345, &answer));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, late)); /* it is the vtable's, not a call of the user's */

  /* A transaction's deadline holds although the vtable does not keep it. */
  memset(&mutation, 0, sizeof(mutation));
  mutation.kind = FC_PUT;
  mutation.key = text("/x");
  mutation.value = text("y");
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 1, NULL, on_result_count, &written, NULL));
  run_until(engine, &written.calls, 1);
  CHECK_INT(FC_E_UNKNOWN_OUTCOME, written.code);

  CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/x"), 1, &asked, on_result_count, &got));
  run_ready(engine);
  answer.struct_size = 0;
  CHECK_INT(FC_E_INVALID, fc_op_complete(engine, pending, &answer));
  answer.struct_size = sizeof(answer);
  CHECK_INT(FC_OK, fc_op_complete(engine, pending, &answer));
  CHECK_INT(FC_E_NOT_FOUND, fc_op_complete(engine, pending, &answer));
  CHECK_INT(FC_OK, fc_cancel(engine, asked)); /* answered, but not told yet */
  run_ready(engine);
  CHECK_INT(0, got.calls);
  fc_engine_destroy(engine);
}

static void negative_return_ends_the_operation_with_that_code(void) {
  fc_engine* engine = NULL;
  map_cmdb* const map = make_map(&engine, 0);
  done_result got = {0, 0, ""};
  engine_on(map, &engine);
  run_ready(engine);
  map->fail_gets = 1;
  CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/x"), 1, NULL, on_result_count, &got));
  CHECK_INT(0, got.calls);
  run_until(engine, &got.calls, 1);
  CHECK_INT(FC_E_CMDB, got.code);
  fc_engine_destroy(engine);
  CHECK_INT(1, map->destroyed);
  free_map(map);
}

int main(void) {
  RUN(own_cmdb_that_answers_inside_the_call_carries_a_relocation);
  RUN(own_cmdb_that_answers_from_a_thread_carries_a_relocation);
  RUN(silent_cmdb_is_cancelled_and_its_late_answer_dropped);
  RUN(negative_return_ends_the_operation_with_that_code);
  return 0;
}
