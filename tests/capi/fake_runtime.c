#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

static void complete(fake_runtime* runtime, fc_op op, int32_t code, const char* message) {
  fc_result result;
  memset(&result, 0, sizeof(result));
  result.struct_size = sizeof(result);
  result.code = code;
  result.message = text(message);
  CHECK_INT(FC_OK, fc_op_complete(runtime->engine, op, &result));
}

static int32_t fake_start(void* user_data, fc_op op, const fc_start_request* request) {
  fake_runtime* const runtime = user_data;
  fake_instance* instance;
  const int on = 1;
  CHECK_INT(sizeof(*request), request->struct_size);
  CHECK(request->epoch > 0);
  ++runtime->starts;
  snprintf(runtime->last_spec, sizeof(runtime->last_spec), "%.*s", (int)request->spec_json.length,
           request->spec_json.data);
  if (runtime->fail_starts > 0) {
    --runtime->fail_starts;
    complete(runtime, op, FC_E_START_FAILED, "scripted to fail");
    return FC_OK;
  }
  CHECK(runtime->instance_count < kMostInstances);
  instance = &runtime->instances[runtime->instance_count++];
  snprintf(instance->name, sizeof(instance->name), "%s", as_c(request->instance));
  snprintf(instance->container, sizeof(instance->container), "%s", as_c(request->container));
  instance->listener = socket(request->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(instance->listener >= 0);
  setsockopt(instance->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(instance->listener, request->address, request->address_length) != 0 ||
      listen(instance->listener, 64) != 0) {
    close(instance->listener);
    instance->listener = -1;
    complete(runtime, op, FC_E_START_FAILED, "the port is taken");
    return FC_OK;
  }
  if (runtime->hold) {
    runtime->held[runtime->held_count++] = op;
    return FC_OK;
  }
  complete(runtime, op, FC_OK, "");
  return FC_OK;
}

static int32_t fake_stop(void* user_data, fc_op op, fc_str instance, uint64_t grace_ns) {
  fake_runtime* const runtime = user_data;
  int i;
  (void)grace_ns;
  for (i = 0; i < runtime->instance_count; ++i) {
    if (!same(instance, runtime->instances[i].name) || runtime->instances[i].listener < 0) continue;
    close(runtime->instances[i].listener);
    runtime->instances[i].listener = -1;
    ++runtime->stops;
    complete(runtime, op, FC_OK, "");
    return FC_OK;
  }
  return FC_E_NOT_FOUND;
}

static int32_t fake_watch_exits(void* user_data, fc_op op) {
  ((fake_runtime*)user_data)->exits = op;
  return FC_OK;
}

static void fake_destroy(void* user_data) {
  fake_runtime* const runtime = user_data;
  close_listeners(runtime);
  ++runtime->destroyed;
}

const fc_runtime_vtable kFakeRuntime = {sizeof(fc_runtime_vtable), 0,           fake_start, fake_stop, NULL,
                                        fake_watch_exits,          fake_destroy};

void release_starts(fake_runtime* runtime) {
  while (runtime->held_count > 0) complete(runtime, runtime->held[--runtime->held_count], FC_OK, "");
}

void close_listeners(fake_runtime* runtime) {
  int i;
  for (i = 0; i < runtime->instance_count; ++i) {
    if (runtime->instances[i].listener >= 0) close(runtime->instances[i].listener);
    runtime->instances[i].listener = -1;
  }
}

void exit_instances(fake_runtime* runtime, const char* reason) {
  int i;
  for (i = 0; i < runtime->instance_count; ++i) {
    fc_record record;
    fc_result event;
    if (runtime->instances[i].listener < 0) continue;
    close(runtime->instances[i].listener);
    runtime->instances[i].listener = -1;
    memset(&record, 0, sizeof(record));
    record.key = text(runtime->instances[i].name);
    memset(&event, 0, sizeof(event));
    event.struct_size = sizeof(event);
    event.watch_kind = FC_WATCH_DELETE;
    event.record_count = 1;
    event.records = &record;
    event.message = text(reason);
    CHECK_INT(FC_OK, fc_op_complete(runtime->engine, runtime->exits, &event));
  }
}

uint16_t free_udp_port(const char* address) {
  struct sockaddr_in local;
  socklen_t length = sizeof(local);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  memset(&local, 0, sizeof(local));
  local.sin_family = AF_INET;
  CHECK_INT(1, inet_pton(AF_INET, address, &local.sin_addr));
  CHECK_INT(0, bind(fd, (struct sockaddr*)&local, sizeof(local)));
  CHECK_INT(0, getsockname(fd, (struct sockaddr*)&local, &length));
  close(fd);
  return ntohs(local.sin_port);
}

void init_dispatcher_options(fc_dispatcher_options* options, fake_runtime* runtime, const char* host,
                             const char* address) {
  fc_dispatcher_options_init(options);
  options->host = text(host);
  options->address = text(address);
  options->port = free_udp_port(address);
  options->runtime_vtable = &kFakeRuntime;
  options->runtime_user_data = runtime;
  /* Tests that run at the same time on one machine keep apart. */
  options->port_first = 20000 + (uint32_t)(getpid() % 97) * 100;
  options->port_last = options->port_first + 99;
}

fc_dispatcher* make_dispatcher(fc_engine* engine, fake_runtime* runtime, const char* host,
                               const char* address) {
  fc_dispatcher_options options;
  fc_dispatcher* dispatcher = NULL;
  fc_error error = FC_ERROR_INIT;
  done_result ready = {0, 0, ""};
  runtime->engine = engine;
  init_dispatcher_options(&options, runtime, host, address);
  if (fc_dispatcher_create(&dispatcher, engine, &options, on_done, &ready, &error) != FC_OK)
    fprintf(stderr, "%s\n", error.message);
  CHECK(dispatcher != NULL);
  CHECK_INT(0, ready.calls);
  run_until(engine, &ready.calls, 1);
  if (ready.code != FC_OK) fprintf(stderr, "%s\n", ready.message);
  CHECK_INT(FC_OK, ready.code);
  return dispatcher;
}
