/* Keys and checks of records, and an engine's CMDB: get, list, txn, watch. */
#include <string.h>

#include "fixture.h"

static void key_and_name_are_inverse(void) {
  static const uint32_t kinds[] = {FC_RECORD_KEY,       FC_RECORD_CLASS, FC_RECORD_SPEC,
                                   FC_RECORD_PLACEMENT, FC_RECORD_HOST,  FC_RECORD_SCORES};
  char key[1024], name[1024], long_name[201];
  uint32_t kind = 99;
  size_t i;
  memset(long_name, '/', 200);
  long_name[200] = '\0';
  for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); ++i) {
    const int32_t length = fc_record_key(kinds[i], text("a-name.x"), key, sizeof(key));
    CHECK(length > 0 && (size_t)length == strlen(key));
    CHECK_INT(8, fc_record_name(text(key), &kind, name, sizeof(name)));
    CHECK_INT(kinds[i], kind);
    CHECK(strcmp(name, "a-name.x") == 0);
    CHECK_INT(FC_E_INVALID, fc_record_key(kinds[i], text("a-name.x"), key, (size_t)length));
    CHECK(fc_record_key(kinds[i], text(""), key, sizeof(key)) > 0);
    CHECK_INT(FC_E_INVALID, fc_record_name(text(key), &kind, name, sizeof(name)));
  }
  CHECK(fc_record_key(FC_RECORD_SPEC, text(long_name), key, sizeof(key)) > 200);
  CHECK_INT(200, fc_record_name(text(key), &kind, name, sizeof(name)));
  CHECK_INT(FC_E_INVALID, fc_record_key(99, text("x"), key, sizeof(key)));
}

static void request_key_is_stored_as_requests_look_it_up(void) {
  char plain[1024], dressed[1024];
  fc_error error = FC_ERROR_INIT;
  CHECK(fc_record_key(FC_RECORD_KEY, text("www.example"), plain, sizeof(plain)) > 0);
  CHECK(fc_record_key(FC_RECORD_KEY, text("WWW.Example.:80"), dressed, sizeof(dressed)) > 0);
  CHECK(strcmp(plain, dressed) == 0);
  CHECK_INT(FC_OK,
            fc_record_check(FC_RECORD_KEY, text("www.example"), text("{\"container\":\"c\"}"), &error));
  CHECK_INT(FC_E_INVALID,
            fc_record_check(FC_RECORD_KEY, text("WWW.example"), text("{\"container\":\"c\"}"), &error));
}

static void wrong_record_names_the_field(void) {
  fc_error error = FC_ERROR_INIT;
  CHECK_INT(FC_E_INVALID, fc_record_check(FC_RECORD_SPEC, text("site"),
                                          text("{\"v\":1,\"command\":[\"x\"],\"port\":\"80\"}"), &error));
  CHECK(strstr(error.message, "site") != NULL && strstr(error.message, "port") != NULL);
  CHECK_INT(FC_E_INVALID, fc_record_check(FC_RECORD_SPEC, text("site"), text("{\"v\":1}"), &error));
  CHECK(strstr(error.message, "command") != NULL);
  CHECK_INT(FC_OK, fc_record_check(FC_RECORD_SPEC, text("site"), text("{\"v\":1,\"class\":\"wp\"}"), &error));
  CHECK_INT(FC_E_INVALID, fc_record_check(FC_RECORD_HOST, text("h1"), text("{}"), &error));
  CHECK_INT(FC_E_INVALID, fc_record_check(FC_RECORD_SCORES, text("wp"),
                                          text("{\"v\":1,\"hosts\":{\"h1\":\"good\"}}"), &error));
  CHECK(strstr(error.message, "wp") != NULL && strstr(error.message, "hosts.h1") != NULL);
  CHECK_INT(FC_OK, fc_record_check(FC_RECORD_SCORES, text("*"), text("{\"hosts\":{\"h1\":null}}"), &error));
  CHECK_INT(FC_E_INVALID, fc_record_check(FC_RECORD_CLASS, text("*"), text("{\"v\":1}"), &error));
}

static void what_later_versions_add_is_unsupported(void) {
  static const struct {
    uint32_t kind;
    const char *json, *field, *accepted;
  } later[] = {
      {FC_RECORD_SPEC, "{\"v\":1,\"command\":[\"x\"],\"scale\":{\"max\":2}}", "\"scale.max\": 2",
       "accepted is 1"},
      {FC_RECORD_CLASS, "{\"v\":1,\"scale\":{\"max\":3}}", "\"scale.max\": 3", "accepted is 1"},
  };
  size_t i;
  for (i = 0; i < sizeof(later) / sizeof(later[0]); ++i) {
    fc_error error = FC_ERROR_INIT;
    CHECK_INT(FC_E_UNSUPPORTED, fc_record_check(later[i].kind, text("site"), text(later[i].json), &error));
    CHECK_INT(FC_E_UNSUPPORTED, error.code);
    CHECK(strstr(error.message, "site") != NULL);
    CHECK(strstr(error.message, later[i].field) != NULL);
    CHECK(strstr(error.message, later[i].accepted) != NULL);
  }
}

typedef struct seen {
  int calls, puts;
  int32_t code;
  uint32_t count, kind;
  uint64_t put_revision;
  uint64_t revision, record_revision;
  char key[1024], value[1024], next[1024];
} seen;

static void on_result(void* user_data, const fc_result* result) {
  seen* const out = user_data;
  ++out->calls;
  out->code = result->code;
  out->count = result->record_count;
  out->kind = result->watch_kind;
  out->revision = result->revision;
  if (result->watch_kind == FC_WATCH_PUT) {
    ++out->puts;
    out->put_revision = result->revision;
  }
  snprintf(out->next, sizeof(out->next), "%s", as_c(result->next));
  if (result->record_count > 0) {
    snprintf(out->key, sizeof(out->key), "%s", as_c(result->records[0].key));
    snprintf(out->value, sizeof(out->value), "%s", as_c(result->records[0].value));
    out->record_revision = result->records[0].revision;
  }
}

static fc_mutation put_of(const char* key, const char* value) {
  fc_mutation mutation;
  memset(&mutation, 0, sizeof(mutation));
  mutation.kind = FC_PUT;
  mutation.key = text(key);
  mutation.value = text(value);
  return mutation;
}

static void cmdb_of_an_engine_compares_and_sets(void) {
  fc_engine* const engine = make_engine("memory:");
  fc_compare compare;
  fc_mutation mutation = put_of("/own/a", "1");
  fc_error error = FC_ERROR_INIT;
  seen out;
  fc_op op = 0;
  memset(&out, 0, sizeof(out));
  compare.key = text("/own/a");
  compare.revision = 0;
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, &compare, 1, &mutation, 1, 0, &op, on_result, &out, &error));
  CHECK(op != 0);
  CHECK_INT(0, out.calls);
  run_until(engine, &out.calls, 1);
  CHECK_INT(FC_OK, out.code);
  CHECK(out.revision > 0);
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, op));
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, &compare, 1, &mutation, 1, 0, NULL, on_result, &out, NULL));
  run_until(engine, &out.calls, 2);
  CHECK_INT(FC_E_CONFLICT, out.code);
  CHECK_INT(1, out.count);
  CHECK(strcmp(out.value, "1") == 0);
  CHECK_INT(FC_PENDING, fc_cmdb_get(engine, text("/own/b"), 1, NULL, on_result, &out));
  run_until(engine, &out.calls, 3);
  CHECK_INT(FC_OK, out.code);
  CHECK_INT(0, out.record_revision);
  CHECK_INT(FC_PENDING, fc_cmdb_list(engine, text("/own/"), text(""), 0, 10, NULL, on_result, &out));
  run_until(engine, &out.calls, 4);
  CHECK_INT(1, out.count);
  CHECK(out.next[0] == '\0');
  fc_engine_destroy(engine);
  CHECK_INT(4, out.calls);
}

static void wrong_value_of_a_record_is_not_written(void) {
  fc_engine* const engine = make_engine("memory:");
  char key[1024];
  fc_mutation mutation;
  fc_error error = FC_ERROR_INIT;
  seen out;
  memset(&out, 0, sizeof(out));
  CHECK(fc_record_key(FC_RECORD_SPEC, text("site"), key, sizeof(key)) > 0);
  mutation = put_of(key, "{\"v\":1,\"command\":\"not-an-array\"}");
  CHECK_INT(FC_E_INVALID, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_result, &out, &error));
  CHECK(strstr(error.message, "command") != NULL);
  mutation.kind = 9;
  CHECK_INT(FC_E_INVALID, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_result, &out, &error));
  fc_engine_destroy(engine);
  CHECK_INT(0, out.calls);
}

static void watch_shows_each_change_until_it_is_cancelled(void) {
  fc_engine* const engine = make_engine("memory:");
  fc_mutation mutation = put_of("/own/a", "1");
  seen written, watched;
  fc_op watch = 0;
  memset(&written, 0, sizeof(written));
  memset(&watched, 0, sizeof(watched));
  CHECK_INT(FC_PENDING, fc_cmdb_watch(engine, text("/own/"), 0, &watch, on_result, &watched));
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_result, &written, NULL));
  run_until(engine, &written.calls, 1);
  run_until(engine, &watched.puts, 1);
  CHECK(strcmp(watched.key, "/own/a") == 0);
  CHECK_INT(written.revision, watched.put_revision);
  CHECK_INT(FC_OK, fc_cancel(engine, watch));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, watch));
  watched.calls = 0;
  mutation.kind = FC_DELETE;
  CHECK_INT(FC_PENDING, fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_result, &written, NULL));
  run_until(engine, &written.calls, 2);
  run_ready(engine);
  fc_engine_destroy(engine);
  CHECK_INT(0, watched.calls);
}

int main(void) {
  RUN(key_and_name_are_inverse);
  RUN(request_key_is_stored_as_requests_look_it_up);
  RUN(wrong_record_names_the_field);
  RUN(what_later_versions_add_is_unsupported);
  RUN(cmdb_of_an_engine_compares_and_sets);
  RUN(wrong_value_of_a_record_is_not_written);
  RUN(watch_shows_each_change_until_it_is_cancelled);
  return 0;
}
