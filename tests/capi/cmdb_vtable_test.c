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

/* A CMDB that has leases and nothing else. */
typedef struct leasing {
  fc_engine** engine;
  uint64_t ttl_ns; /* of the lease 7; 0: there is none */
  int cancelled;
} leasing;
static int32_t answer_lease(leasing* store, fc_op op, int32_t code) {
  fc_result answer;
  memset(&answer, 0, sizeof(answer));
  answer.struct_size = sizeof(answer);
  answer.code = code;
  answer.lease = 7;
  answer.lease_ttl_ns = store->ttl_ns;
  CHECK_INT(FC_OK, fc_op_complete(*store->engine, op, &answer));
  return FC_OK;
}
static int32_t lease_grant(void* user_data, fc_op op, uint64_t ttl_ns) {
  ((leasing*)user_data)->ttl_ns = ttl_ns;
  return answer_lease(user_data, op, FC_OK);
}
static int32_t lease_keep(void* user_data, fc_op op, uint64_t lease) {
  leasing* const store = user_data;
  return answer_lease(store, op, lease == 7 && store->ttl_ns > 0 ? FC_OK : FC_E_NOT_FOUND);
}
static int32_t lease_revoke(void* user_data, fc_op op, uint64_t lease) {
  (void)user_data, (void)op;
  return lease == 7 ? FC_OK : FC_E_CMDB; /* 7: never answers */
}
static int32_t lease_txn(void* user_data, fc_op op, const fc_compare* compares, uint32_t compare_count,
                         const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline) {
  (void)compares, (void)compare_count, (void)deadline;
  CHECK_INT(1, (int)mutation_count);
  return answer_lease(user_data, op, mutations[0].lease == 7 ? FC_OK : FC_E_NOT_FOUND);
}
static void count_cancel(void* user_data, fc_op op) {
  (void)op;
  ++((leasing*)user_data)->cancelled;
}

typedef struct lease_result {
  int calls;
  int32_t code;
  uint64_t lease, ttl_ns;
} lease_result;
static void on_lease(void* user_data, const fc_result* result) {
  lease_result* const out = user_data;
  ++out->calls;
  out->code = result->code;
  out->lease = result->lease;
  out->ttl_ns = result->lease_ttl_ns;
}

static int32_t write_under(fc_engine* engine, uint64_t lease) {
  lease_result out = {0, 0, 0, 0};
  fc_mutation mutation;
  memset(&mutation, 0, sizeof(mutation));
  mutation.kind = FC_PUT;
  mutation.key = text("/x");
  mutation.lease = lease;
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_lease, &out, NULL));
  run_until(engine, &out.calls, 1);
  return out.code;
}

static void own_cmdb_may_have_leases(void) {
  fc_engine* engine = NULL;
  fc_engine_options options;
  fc_cmdb_vtable vtable = kSilent;
  leasing store = {&engine, 0, 0};
  lease_result out = {0, 0, 0, 0};
  fc_op op = 0;
  vtable.txn = lease_txn;
  vtable.cancel = count_cancel;
  vtable.lease_grant = lease_grant;
  init_options(&options, NULL);
  options.cmdb = &vtable;
  options.cmdb_user_data = &store;
  CHECK_INT(FC_E_INVALID, fc_engine_create(&engine, &options, NULL)); /* all three or none */
  vtable.lease_keep = lease_keep;
  vtable.lease_revoke = lease_revoke;
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  CHECK_INT(FC_PENDING, fc_cmdb_lease_keep(engine, 7, NULL, on_lease, &out));
  CHECK_INT(0, out.calls);
  run_until(engine, &out.calls, 1);
  CHECK_INT(FC_E_NOT_FOUND, out.code);
  CHECK_INT(FC_PENDING, fc_cmdb_lease_grant(engine, 5000000000u, NULL, on_lease, &out));
  run_until(engine, &out.calls, 2);
  CHECK_INT(FC_OK, out.code);
  CHECK(out.lease == 7 && out.ttl_ns == 5000000000u);
  CHECK_INT(FC_PENDING, fc_cmdb_lease_keep(engine, out.lease, NULL, on_lease, &out));
  run_until(engine, &out.calls, 3);
  CHECK_INT(FC_OK, out.code);
  CHECK_INT(FC_PENDING, fc_cmdb_lease_revoke(engine, 8, NULL, on_lease, &out));
  run_until(engine, &out.calls, 4);
  CHECK_INT(FC_E_CMDB, out.code);
  CHECK_INT(FC_PENDING, fc_cmdb_lease_revoke(engine, 7, &op, on_lease, &out));
  run_ready(engine);
  CHECK_INT(FC_OK, fc_cancel(engine, op));
  CHECK_INT(1, store.cancelled);
  CHECK_INT(4, out.calls);
  CHECK_INT(FC_E_NOT_FOUND, write_under(engine, 6));
  CHECK_INT(FC_OK, write_under(engine, 7));
  fc_engine_destroy(engine);
}

static void cmdb_without_leases_says_so(void) {
  fc_engine* engine = NULL;
  fc_engine_options options;
  fc_op pending = 0;
  lease_result out = {0, 0, 0, 0};
  init_options(&options, NULL);
  options.cmdb = &kSilent;
  options.cmdb_user_data = &pending;
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  CHECK_INT(FC_PENDING, fc_cmdb_lease_grant(engine, 1000000000u, NULL, on_lease, &out));
  run_until(engine, &out.calls, 1);
  CHECK_INT(FC_E_UNSUPPORTED, out.code);
  fc_engine_destroy(engine);
}

int main(void) {
  RUN(own_cmdb_that_answers_inside_the_call_carries_a_relocation);
  RUN(own_cmdb_that_answers_from_a_thread_carries_a_relocation);
  RUN(silent_cmdb_is_cancelled_and_its_late_answer_dropped);
  RUN(negative_return_ends_the_operation_with_that_code);
  RUN(own_cmdb_may_have_leases);
  RUN(cmdb_without_leases_says_so);
  return 0;
}
