/* probe_many: many probes of one address through the prober alone; prints what they found as JSON. */
#include <arpa/inet.h>
#include <fastcontainer.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct probe {
  struct run* run;
  uint64_t begin;
};

struct run {
  unsigned done, packets;
  unsigned verdicts[5];
  uint64_t min_ns, max_ns;
  struct probe* idle[1024];
  unsigned idle_count;
};

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_verdict(void* user_data, const fc_probe_result* result) {
  struct probe* probe = user_data;
  struct run* run = probe->run;
  uint64_t took = now() - probe->begin;
  run->done++;
  run->packets += result->packets;
  if (result->verdict >= 0 && result->verdict < 5) run->verdicts[result->verdict]++;
  if (took < run->min_ns) run->min_ns = took;
  if (took > run->max_ns) run->max_ns = took;
  run->idle[run->idle_count++] = probe;
}

static int timeout_ms(uint64_t deadline) {
  uint64_t at = now();
  if (deadline == UINT64_MAX) return -1;
  return deadline <= at ? 0 : (int)((deadline - at + 999999) / 1000000);
}

static void print(const struct run* run) {
  static const char* const names[] = {"up", "up_port_closed", "down_unreachable", "down_timeout",
                                      "local_fault"};
  const char* comma = "";
  int i;
  printf("{\"packets\":%u,\"min_ns\":%llu,\"max_ns\":%llu,\"verdicts\":{", run->packets,
         (unsigned long long)run->min_ns, (unsigned long long)run->max_ns);
  for (i = 0; i < 5; i++) {
    if (run->verdicts[i] == 0) continue;
    printf("%s\"%s\":%u", comma, names[i], run->verdicts[i]);
    comma = ",";
  }
  puts("}}");
}

int main(int argc, char** argv) {
  static const struct option options[] = {{"deadline-ms", required_argument, NULL, 'd'},
                                          {"concurrency", required_argument, NULL, 'c'},
                                          {NULL, 0, NULL, 0}};
  static struct probe probes[1024];
  static struct run run = {.min_ns = UINT64_MAX};
  struct sockaddr_in to = {.sin_family = AF_INET};
  fc_probe_options how;
  fc_error error = FC_ERROR_INIT;
  fc_prober* prober;
  unsigned count, begun = 0, concurrency = 1;
  int c;
  fc_probe_options_init(&how);
  how.hedge_ns[0] = 0;
  while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (c == 'd') how.deadline_ns = strtoull(optarg, NULL, 10) * 1000000u;
    if (c == 'c') concurrency = (unsigned)atoi(optarg);
  }
  if (argc - optind != 2 || concurrency < 1 || concurrency > 1024 ||
      inet_pton(AF_INET, argv[optind], &to.sin_addr) != 1) {
    fprintf(stderr, "usage: probe_many [--deadline-ms N] [--concurrency N] ADDRESS COUNT\n");
    return 2;
  }
  count = (unsigned)atoi(argv[optind + 1]);
  if (fc_prober_create(&prober, NULL, &error) != FC_OK) {
    fprintf(stderr, "probe_many: %s\n", error.message);
    return 1;
  }
  for (; run.idle_count < concurrency; run.idle_count++) {
    probes[run.idle_count].run = &run;
    run.idle[run.idle_count] = &probes[run.idle_count];
  }
  while (run.done < count) {
    struct pollfd fd = {fc_prober_fd(prober), POLLIN, 0};
    while (begun < count && run.idle_count > 0) {
      struct probe* probe = run.idle[--run.idle_count];
      probe->begin = now();
      begun++;
      if (fc_prober_probe(prober, (struct sockaddr*)&to, sizeof to, &how, on_verdict, probe, NULL) < 0)
        return 1;
    }
    poll(&fd, 1, timeout_ms(fc_prober_deadline(prober)));
    fc_prober_process(prober);
  }
  print(&run);
  fc_prober_destroy(prober);
  return 0;
}
