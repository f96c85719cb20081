/* A cluster key file is read again while its engine lives. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static const char kOld[] = "1111111111111111111111111111111111111111111111111111111111111111\n";
static const char kNew[] = "2222222222222222222222222222222222222222222222222222222222222222\n";
static char file_name[] = "/tmp/fastcontainer-keys-XXXXXX";

static void write_keys(const char* first, const char* second, mode_t mode) {
  const int fd = open(file_name, O_WRONLY | O_TRUNC);
  CHECK(fd >= 0);
  CHECK_INT(0, fchmod(fd, mode));
  CHECK_INT((int)strlen(first), (int)write(fd, first, strlen(first)));
  CHECK_INT((int)strlen(second), (int)write(fd, second, strlen(second)));
  close(fd);
}

static fc_engine* engine_with_keys(void) {
  fc_engine_options options;
  fc_engine* engine = NULL;
  init_options(&options, "memory:");
  options.cluster_key_file = text(file_name);
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  return engine;
}

static void route_once(fc_engine* engine) {
  route_result result;
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &result));
  CHECK_INT(FC_OK, fc_ticket_end(engine, result.ticket.id, NULL));
}

static void each_step_of_a_change_keeps_router_and_dispatcher_together(void) {
  fake_runtime runtime;
  fc_engine* engine;
  fc_dispatcher* dispatcher;
  memset(&runtime, 0, sizeof(runtime));
  write_keys(kOld, "", 0600);
  engine = engine_with_keys();
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  route_once(engine);
  write_keys(kOld, kNew, 0600);
  CHECK_INT(FC_OK, fc_engine_reload_keys(engine, NULL));
  route_once(engine);
  write_keys(kNew, kOld, 0640);
  CHECK_INT(FC_OK, fc_engine_reload_keys(engine, NULL));
  route_once(engine);
  write_keys(kNew, "", 0600);
  CHECK_INT(FC_OK, fc_engine_reload_keys(engine, NULL));
  /* The container is asked for anew: what both say is said with the new key. */
  exit_instances(&runtime, "ended");
  run_ready(engine);
  route_once(engine);
  CHECK_INT(0, (int)stat_of(engine, "fastcontainer_datagrams_refused_total", "cause=\"bad_mac\""));
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void a_file_that_cannot_be_taken_changes_nothing(void) {
  fc_error error = FC_ERROR_INIT;
  fc_engine* engine;
  write_keys(kOld, "", 0600);
  engine = engine_with_keys();
  write_keys("nonsense\n", "", 0600);
  CHECK_INT(FC_E_INVALID, fc_engine_reload_keys(engine, &error));
  CHECK(strstr(error.message, "line 1") != NULL && strstr(error.message, "64 hex digits") != NULL);
  write_keys(kNew, "", 0604);
  CHECK_INT(FC_E_PERMISSION, fc_engine_reload_keys(engine, &error));
  CHECK_INT(0, unlink(file_name));
  CHECK_INT(FC_E_NOT_FOUND, fc_engine_reload_keys(engine, &error));
  CHECK_INT(FC_E_NOT_FOUND, error.code);
  fc_engine_destroy(engine);
}

static void an_engine_without_a_key_file_has_none_to_read(void) {
  fc_error error = FC_ERROR_INIT;
  fc_engine* const engine = make_engine("memory:");
  CHECK_INT(FC_E_INVALID, fc_engine_reload_keys(engine, &error));
  CHECK(strstr(error.message, "cluster_key_file") != NULL);
  fc_engine_destroy(engine);
}

int main(void) {
  const int fd = mkstemp(file_name);
  CHECK(fd >= 0);
  close(fd);
  RUN(each_step_of_a_change_keeps_router_and_dispatcher_together);
  RUN(a_file_that_cannot_be_taken_changes_nothing);
  RUN(an_engine_without_a_key_file_has_none_to_read);
  return 0;
}
