/* fc_probe() by the dispatcher's ECHO. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

typedef struct seen {
  int calls;
  fc_probe_result result;
} seen;

static void on_probe(void* user_data, const fc_probe_result* result) {
  seen* const out = user_data;
  out->calls++;
  out->result = *result;
}

static struct sockaddr_in local(uint16_t port) {
  struct sockaddr_in out;
  memset(&out, 0, sizeof(out));
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

static seen probe(fc_engine* engine, const struct sockaddr_in* at, uint32_t mechanism, uint64_t deadline) {
  seen out;
  fc_probe_options options;
  memset(&out, 0, sizeof(out));
  fc_probe_options_init(&options);
  options.mechanism = mechanism;
  options.deadline_ns = deadline;
  CHECK_INT(FC_PENDING,
            fc_probe(engine, (const struct sockaddr*)at, sizeof(*at), &options, NULL, on_probe, &out));
  CHECK_INT(0, out.calls);
  run_until(engine, &out.calls, 1);
  return out;
}

static void a_dispatcher_answers_its_echo(void) {
  fake_runtime runtime = {0};
  fc_engine* const engine = make_engine("memory:");
  fc_dispatcher_options options;
  fc_dispatcher* dispatcher = NULL;
  done_result ready = {0, 0, ""};
  struct sockaddr_in at, nobody;
  seen out;
  runtime.engine = engine;
  init_dispatcher_options(&options, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, NULL));
  run_until(engine, &ready.calls, 1);
  CHECK_INT(FC_OK, ready.code);
  at = local((uint16_t)options.port);
  out = probe(engine, &at, FC_PROBE_ECHO, 0);
  CHECK_INT(FC_VERDICT_UP, out.result.verdict);
  CHECK_INT(FC_PROBE_ECHO, (int)out.result.mechanism);
  CHECK(out.result.rtt_ns > 0);
  CHECK_INT(100, (int)(out.result.deadline_ns / 1000000));
  {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof(nobody);
    nobody = local(0);
    CHECK(bind(fd, (struct sockaddr*)&nobody, sizeof(nobody)) == 0);
    CHECK(getsockname(fd, (struct sockaddr*)&nobody, &length) == 0);
    out = probe(engine, &nobody, FC_PROBE_ECHO, 20000000); /* takes it, and says nothing */
    CHECK_INT(FC_VERDICT_DOWN_TIMEOUT, out.result.verdict);
    close(fd);
  }
  out = probe(engine, &nobody, FC_PROBE_ECHO, 0);
  CHECK_INT(FC_VERDICT_UP_PORT_CLOSED, out.result.verdict);
  CHECK_INT(ECONNREFUSED, out.result.error);
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
}

static void an_echo_is_cancelled_and_ends_with_the_engine(void) {
  fc_engine* const engine = make_engine("memory:");
  struct sockaddr_in at = local(9);
  fc_probe_options options;
  fc_op op = 0;
  seen cancelled, ended;
  memset(&cancelled, 0, sizeof(cancelled));
  memset(&ended, 0, sizeof(ended));
  fc_probe_options_init(&options);
  options.mechanism = FC_PROBE_ECHO;
  CHECK_INT(FC_PENDING,
            fc_probe(engine, (const struct sockaddr*)&at, sizeof(at), &options, &op, on_probe, &cancelled));
  CHECK_INT(FC_OK, fc_cancel(engine, op));
  CHECK_INT(FC_E_NOT_FOUND, fc_cancel(engine, op));
  CHECK_INT(FC_PENDING,
            fc_probe(engine, (const struct sockaddr*)&at, sizeof(at), &options, &op, on_probe, &ended));
  at.sin_port = 0;
  CHECK_INT(FC_E_INVALID,
            fc_probe(engine, (const struct sockaddr*)&at, sizeof(at), &options, &op, on_probe, &ended));
  fc_engine_destroy(engine);
  CHECK_INT(0, cancelled.calls);
  CHECK_INT(1, ended.calls);
  CHECK_INT(FC_VERDICT_LOCAL_FAULT, ended.result.verdict);
  CHECK_INT(ECANCELED, ended.result.error);
}

int main(void) {
  RUN(a_dispatcher_answers_its_echo);
  RUN(an_echo_is_cancelled_and_ends_with_the_engine);
  return 0;
}
