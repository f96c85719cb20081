/* Structs that grow, errors, and the functions on records: no loop is needed. */
#include <string.h>

#include "fixture.h"

typedef struct longer_options {
  fc_engine_options known;
  uint64_t newer;
} longer_options;

static int32_t create_with(const fc_engine_options* options, fc_error* error) {
  fc_engine* engine = NULL;
  const int32_t code = fc_engine_create(&engine, options, error);
  CHECK((code == FC_OK) == (engine != NULL));
  if (error != NULL) CHECK_INT(code, error->code);
  fc_engine_destroy(engine);
  return code;
}

static void zero_tail_is_accepted_and_an_unknown_one_refused_by_name(void) {
  longer_options options;
  fc_error error = FC_ERROR_INIT;
  memset(&options, 0, sizeof(options));
  init_options(&options.known, "memory:");
  options.known.struct_size = sizeof(options);
  CHECK_INT(FC_OK, create_with(&options.known, &error));
  CHECK(error.message[0] == '\0');
  options.newer = 1;
  CHECK_INT(FC_E_INVALID, create_with(&options.known, &error));
  CHECK(strstr(error.message, "fc_engine_options") != NULL);
  CHECK_INT(FC_E_INVALID, create_with(&options.known, NULL));
}

static void older_shorter_struct_gets_defaults_for_the_rest(void) {
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  init_options(&options, "memory:");
  options.struct_size = (uint32_t)offsetof(fc_engine_options, cluster_key_file);
  memset((char*)&options + options.struct_size, 0xff, sizeof(options) - options.struct_size);
  CHECK_INT(FC_OK, create_with(&options, &error));
  options.struct_size = 0;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
}

static void error_struct_is_filled_as_far_as_it_goes(void) {
  char room[sizeof(fc_error) + 16];
  fc_error* const error = (fc_error*)(void*)room;
  const uint32_t cut = (uint32_t)offsetof(fc_error, message) + 8;
  memset(room, 0x55, sizeof(room));
  error->struct_size = cut;
  CHECK_INT(FC_E_INVALID, fc_record_check(99, text("x"), text("{}"), error));
  CHECK_INT(cut, error->struct_size);
  CHECK_INT(FC_E_INVALID, error->code);
  CHECK_INT(7, strlen(error->message));
  CHECK_INT(0x55, room[cut]);
  error->struct_size = 8;
  CHECK_INT(FC_E_INVALID, fc_record_check(99, text("x"), text("{}"), error));
  CHECK_INT(FC_E_INVALID, error->code);
  error->struct_size = 0;
  error->code = 5;
  CHECK_INT(FC_E_INVALID, fc_record_check(99, text("x"), text("{}"), error));
  CHECK_INT(5, error->code);
}

static void ticket_of_an_older_program_is_not_written_past_its_end(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher* dispatcher;
  route_result first;
  fc_ticket ticket;
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &first));
  memset(&ticket, 0x55, sizeof(ticket));
  ticket.struct_size = (uint32_t)offsetof(fc_ticket, epoch);
  CHECK_INT(FC_OK, fc_ticket_alive(engine, first.ticket.id));
  CHECK_INT(FC_OK, fc_route(engine, text("site.test"), NULL, &ticket, NULL, on_route, &first));
  CHECK_INT(offsetof(fc_ticket, epoch), ticket.struct_size);
  CHECK(same(ticket.host, "h1"));
  CHECK(ticket.epoch == 0x5555555555555555u);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void wrong_options_name_the_field(void) {
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  fc_str witness = text("gateway.example");
  fc_cmdb_vtable vtable;

  init_options(&options, NULL);
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "cmdb_url") != NULL);
  init_options(&options, "mysql://host");
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  init_options(&options, "sqlite:/nowhere/at/all/cmdb");
  CHECK_INT(FC_E_CMDB, create_with(&options, &error));
  init_options(&options, "memory:");
  options.bind_address = text("10.0.0.1");
  CHECK_INT(FC_E_PERMISSION, create_with(&options, &error));
  CHECK(strstr(error.message, "10.0.0.1") != NULL);
  options.bind_address = text("localhost");
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "bind_address") != NULL);
  init_options(&options, "memory:");
  options.witnesses = &witness;
  options.witness_count = 1;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "gateway.example") != NULL);
  init_options(&options, "memory:");
  options.profile = 9;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  init_options(&options, "memory:");
  options.admission = FC_ADMISSION_HEARTBEAT;
  CHECK_INT(FC_OK, create_with(&options, &error));
  options.admission = FC_ADMISSION_HEARTBEAT + 1;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "admission") != NULL);
  options.admission = FC_ADMISSION_CONFIRM;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "peers") != NULL);
  init_options(&options, "memory:");
  options.cluster_key_file = text("/nowhere/key");
  CHECK_INT(FC_E_NOT_FOUND, create_with(&options, &error));
  init_options(&options, NULL);
  memset(&vtable, 0, sizeof(vtable));
  vtable.struct_size = sizeof(vtable);
  options.cmdb = &vtable;
  CHECK_INT(FC_E_INVALID, create_with(&options, &error));
  CHECK(strstr(error.message, "fc_cmdb_vtable") != NULL);
}

static void dispatcher_options_are_checked_before_anything_is_bound(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher_options options;
  fc_dispatcher* dispatcher = NULL;
  fc_error error = FC_ERROR_INIT;
  done_result ready = {0, 0, ""};
  init_dispatcher_options(&options, &runtime, "", "127.0.0.1");
  CHECK_INT(FC_E_INVALID, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error));
  CHECK(strstr(error.message, "host") != NULL);
  init_dispatcher_options(&options, &runtime, "h1", "127.0.0.1");
  options.labels_json = text("[1]");
  CHECK_INT(FC_E_INVALID, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error));
  CHECK(strstr(error.message, "labels_json") != NULL);
  init_dispatcher_options(&options, &runtime, "h1", "127.0.0.1");
  options.address = text("10.1.2.3");
  CHECK_INT(FC_E_PERMISSION, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error));
  init_dispatcher_options(&options, &runtime, "h1", "127.0.0.1");
  options.runtime_vtable = NULL;
  options.runtime = text("docker");
  CHECK_INT(FC_E_UNSUPPORTED, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error));
  options.runtime = text("process");
  CHECK_INT(FC_E_INVALID, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error));
  CHECK(strstr(error.message, "state_directory") != NULL);
  CHECK(dispatcher == NULL);
  fc_engine_destroy(engine);
  CHECK_INT(0, ready.calls);
}

static void port_in_use_is_told_at_once(void) {
  fake_runtime runtimes[2];
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher *first = NULL, *second = NULL;
  fc_dispatcher_options options;
  fc_error error = FC_ERROR_INIT;
  memset(runtimes, 0, sizeof(runtimes));
  init_dispatcher_options(&options, &runtimes[0], "h1", "127.0.0.1");
  CHECK_INT(FC_OK, fc_dispatcher_create(&first, engine, &options, NULL, NULL, &error));
  options.runtime_user_data = &runtimes[1];
  options.host = text("h2");
  CHECK_INT(FC_E_SYSTEM, fc_dispatcher_create(&second, engine, &options, NULL, NULL, &error));
  CHECK(second == NULL);
  CHECK_INT(0, runtimes[1].destroyed); /* it is still the caller's */
  fc_dispatcher_destroy(first);
  fc_engine_destroy(engine);
}

static void names_of_codes(void) {
  CHECK(strcmp(fc_code_name(FC_E_TIMEOUT), "FC_E_TIMEOUT") == 0);
  CHECK(strcmp(fc_code_name(FC_OK), "FC_OK") == 0);
  CHECK(fc_code_name(-12345) != NULL);
  CHECK(strcmp(fc_version(), "0.1.0") == 0);
}

static void null_handles_are_no_ops(void) {
  fc_engine_destroy(NULL);
  fc_dispatcher_destroy(NULL);
  fc_prober_destroy(NULL);
}

int main(void) {
  RUN(zero_tail_is_accepted_and_an_unknown_one_refused_by_name);
  RUN(older_shorter_struct_gets_defaults_for_the_rest);
  RUN(error_struct_is_filled_as_far_as_it_goes);
  RUN(ticket_of_an_older_program_is_not_written_past_its_end);
  RUN(wrong_options_name_the_field);
  RUN(dispatcher_options_are_checked_before_anything_is_bound);
  RUN(port_in_use_is_told_at_once);
  RUN(names_of_codes);
  RUN(null_handles_are_no_ops);
  return 0;
}
