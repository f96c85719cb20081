#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

fc_str text(const char* string) {
  fc_str out;
  out.data = string;
  out.length = strlen(string);
  return out;
}

int same(fc_str a, const char* b) { return a.length == strlen(b) && memcmp(a.data, b, a.length) == 0; }

const char* as_c(fc_str a) {
  static char rooms[4][1024];
  static int next;
  char* const room = rooms[next++ % 4];
  const size_t length = a.length < sizeof(rooms[0]) - 1 ? a.length : sizeof(rooms[0]) - 1;
  if (length > 0) memcpy(room, a.data, length);
  room[length] = '\0';
  return room;
}

static void log_line(void* user_data, int32_t level, fc_str component, fc_str message) {
  (void)user_data;
  fprintf(stderr, "[%d] %.*s: %.*s\n", (int)level, (int)component.length, component.data, (int)message.length,
          message.data);
}

void init_options(fc_engine_options* options, const char* url) {
  fc_engine_options_init(options);
  if (url != NULL) options->cmdb_url = text(url);
  if (getenv("FC_TEST_LOG") != NULL) options->log = log_line;
}

fc_engine* make_engine(const char* url) {
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  fc_engine* engine = NULL;
  init_options(&options, url);
  if (fc_engine_create(&engine, &options, &error) != FC_OK) fprintf(stderr, "%s\n", error.message);
  CHECK_INT(FC_OK, error.code);
  CHECK(engine != NULL);
  return engine;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_stat(void* user_data, const fc_stat* stat) {
  (void)user_data;
  if (stat->value != 0) fprintf(stderr, "%s{%s} %g\n", as_c(stat->name), as_c(stat->labels), stat->value);
}

void run_until(fc_engine* engine, const int* counter, int target) {
  const double give_up = seconds() + 20;
  while (*counter < target) {
    struct pollfd ready = {fc_engine_fd(engine), POLLIN, 0};
    if (seconds() >= give_up) fc_engine_stats(engine, print_stat, NULL);
    CHECK(seconds() < give_up);
    CHECK(poll(&ready, 1, 1000) >= 0);
    CHECK(fc_engine_process(engine, 0) >= 0);
  }
}

void run_ready(fc_engine* engine) {
  struct pollfd ready = {fc_engine_fd(engine), POLLIN, 0};
  int rounds = 0;
  while (rounds++ < 1000 && poll(&ready, 1, 0) == 1) CHECK(fc_engine_process(engine, 0) >= 0);
}

void on_done(void* user_data, int32_t code, const fc_error* error) {
  done_result* const out = user_data;
  ++out->calls;
  out->code = code;
  snprintf(out->message, sizeof(out->message), "%s", error != NULL ? error->message : "");
}

void on_result_count(void* user_data, const fc_result* result) {
  done_result* const out = user_data;
  ++out->calls;
  out->code = result->code;
  snprintf(out->message, sizeof(out->message), "%s", as_c(result->message));
}

void put(fc_engine* engine, uint32_t kind, const char* name, const char* json) {
  char key[1024];
  fc_mutation mutation;
  fc_error error = FC_ERROR_INIT;
  done_result done = {0, 0, ""};
  CHECK(fc_record_key(kind, text(name), key, sizeof(key)) > 0);
  memset(&mutation, 0, sizeof(mutation));
  mutation.kind = FC_PUT;
  mutation.key = text(key);
  mutation.value = text(json);
  if (fc_cmdb_txn(engine, NULL, 0, &mutation, 1, 0, NULL, on_result_count, &done, &error) != FC_PENDING)
    fprintf(stderr, "%s\n", error.message);
  CHECK_INT(FC_OK, error.code);
  run_until(engine, &done.calls, 1);
  CHECK_INT(FC_OK, done.code);
}

void put_container(fc_engine* engine, const char* container) {
  char key[256];
  char json[256];
  put(engine, FC_RECORD_SPEC, container,
      "{\"v\":1,\"command\":[\"serve\"],\"image\":\"kept\",\"concurrency\":0}");
  snprintf(key, sizeof(key), "%s.test", container);
  snprintf(json, sizeof(json), "{\"container\":\"%s\"}", container);
  put(engine, FC_RECORD_KEY, key, json);
}

typedef struct stat_search {
  const char *name, *labels;
  double value;
} stat_search;

static void find_stat(void* user_data, const fc_stat* stat) {
  stat_search* const search = user_data;
  if (same(stat->name, search->name) && same(stat->labels, search->labels)) search->value = stat->value;
}

double stat_of(fc_engine* engine, const char* name, const char* labels) {
  stat_search search = {name, labels, -1};
  CHECK_INT(FC_OK, fc_engine_stats(engine, find_stat, &search));
  return search.value;
}

void on_route(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  route_result* const out = user_data;
  ++out->calls;
  out->code = code;
  CHECK((code == FC_OK) == (ticket != NULL));
  CHECK((code == FC_OK) == (error == NULL));
  if (ticket != NULL) {
    out->ticket = *ticket;
    snprintf(out->host, sizeof(out->host), "%s", as_c(ticket->host));
  }
  if (error != NULL) {
    CHECK_INT(code, error->code);
    snprintf(out->message, sizeof(out->message), "%s", error->message);
  }
}

void on_lost(void* user_data, uint64_t ticket, uint32_t reason) {
  struct lost_result* const out = user_data;
  ++out->count;
  out->reason = reason;
  out->ticket = ticket;
}

int32_t route_and_wait(fc_engine* engine, const char* key, route_result* out) {
  const fc_ticket empty = FC_TICKET_INIT;
  fc_route_options options;
  fc_op op = 0;
  int32_t code;
  memset(&options, 0, sizeof(options));
  options.struct_size = sizeof(options);
  options.on_lost = on_lost;
  options.on_lost_user_data = &out->lost;
  memset(out, 0, sizeof(*out));
  out->ticket = empty;
  code = fc_route(engine, text(key), &options, &out->ticket, &op, on_route, out);
  if (code == FC_OK) snprintf(out->host, sizeof(out->host), "%s", as_c(out->ticket.host));
  if (code != FC_PENDING) return code;
  CHECK(op != 0);
  run_until(engine, &out->calls, 1);
  return out->code;
}

int try_connect(const fc_ticket* ticket) {
  const int fd = socket(ticket->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = 0;
  CHECK(fd >= 0);
  if (connect(fd, ticket->address, ticket->address_length) != 0) result = errno;
  close(fd);
  return result;
}
