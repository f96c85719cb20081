/* judge_many CMDB-URL KEY-FILE COUNT KEY...: routes the keys each 5 ms with no freshness, so that each time
 * their hosts are judged anew, until there are COUNT verdicts; prints the verdicts as JSON. */
#include <fastcontainer.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct count {
  double up, down, service_down, local_fault, overloaded;
};

static unsigned waiting, failed;
static fc_engine* engine;

static fc_str str(const char* text) {
  fc_str out = {text, strlen(text)};
  return out;
}

static void end(const fc_ticket* ticket) {
  fc_outcome outcome = {.struct_size = sizeof outcome, .outcome = FC_OUTCOME_CANCELLED};
  fc_ticket_end(engine, ticket->id, &outcome);
}

static void on_route(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  waiting--;
  if (code == FC_OK) {
    end(ticket);
  } else {
    failed++;
    fprintf(stderr, "judge_many: %s: %s\n", (const char*)user_data, error->message);
  }
}

static void add(double* to, const fc_stat* stat, const char* name, const char* labels) {
  if (stat->name.length == strlen(name) && memcmp(stat->name.data, name, stat->name.length) == 0 &&
      stat->labels.length == strlen(labels) && memcmp(stat->labels.data, labels, stat->labels.length) == 0)
    *to += stat->value;
}

static void on_stat(void* user_data, const fc_stat* stat) {
  struct count* count = user_data;
  add(&count->up, stat, "fastcontainer_verdicts_total", "verdict=\"up\"");
  add(&count->down, stat, "fastcontainer_verdicts_total", "verdict=\"down\"");
  add(&count->service_down, stat, "fastcontainer_verdicts_total", "verdict=\"service_down\"");
  add(&count->local_fault, stat, "fastcontainer_verdicts_total", "verdict=\"local_fault\"");
  add(&count->overloaded, stat, "fastcontainer_hosts_overloaded", "");
}

static struct count stats(void) {
  struct count count = {0};
  fc_engine_stats(engine, on_stat, &count);
  return count;
}

static void pass(int milliseconds) {
  struct timespec from, now;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (;;) {
    struct pollfd fd = {fc_engine_fd(engine), POLLIN, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    long passed = (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
    if (passed >= milliseconds && waiting == 0) return;
    poll(&fd, 1, passed >= milliseconds ? -1 : (int)(milliseconds - passed));
    fc_engine_process(engine, 0);
  }
}

int main(int argc, char** argv) {
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  struct count count;
  double wanted, most_overloaded = 0;
  if (argc < 5) {
    fprintf(stderr, "usage: judge_many CMDB-URL KEY-FILE COUNT KEY...\n");
    return 2;
  }
  wanted = atof(argv[3]);
  fc_engine_options_init(&options);
  options.cmdb_url = str(argv[1]);
  options.cluster_key_file = str(argv[2]);
  options.freshness_ns = 1;
  if (fc_engine_create(&engine, &options, &error) != FC_OK) {
    fprintf(stderr, "judge_many: %s\n", error.message);
    return 1;
  }
  do {
    for (int i = 4; i < argc; i++) {
      fc_ticket ticket = FC_TICKET_INIT;
      int32_t code = fc_route(engine, str(argv[i]), NULL, &ticket, NULL, on_route, argv[i]);
      if (code == FC_OK) end(&ticket);
      if (code == FC_PENDING) waiting++;
      if (code < 0) failed++;
    }
    pass(5);
    count = stats();
    if (count.overloaded > most_overloaded) most_overloaded = count.overloaded;
  } while (count.up + count.down + count.service_down + count.local_fault < wanted && failed < 100);
  printf(
      "{\"up\":%.0f,\"down\":%.0f,\"service_down\":%.0f,\"local_fault\":%.0f,\"overloaded\":%.0f,"
      "\"failed\":%u}\n",
      count.up, count.down, count.service_down, count.local_fault, most_overloaded, failed);
  fc_engine_destroy(engine);
  return 0;
}
