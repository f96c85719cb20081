#include <netdb.h>

#include <cstring>
#include <string>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_scenarios.h"

namespace {

struct Tally {
  int64_t done = 0, verdicts[5] = {};
  uint32_t mechanism = 0;
  std::vector<int64_t> rtt, user_rtt;
};

void Count(void* user_data, const fc_probe_result* result) {
  Tally& tally = *static_cast<Tally*>(user_data);
  ++tally.done;
  ++tally.verdicts[result->verdict];
  tally.mechanism = result->mechanism;
  if (result->verdict != FC_VERDICT_UP && result->verdict != FC_VERDICT_UP_PORT_CLOSED) return;
  tally.rtt.push_back(static_cast<int64_t>(result->rtt_ns));
  tally.user_rtt.push_back(static_cast<int64_t>(result->user_rtt_ns));
}

void Add(const char* name, std::vector<int64_t>* times, Report* report) {
  constexpr struct {
    const char* name;
    double share;
  } kPercentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
  for (const auto& [suffix, share] : kPercentiles)
    report->Add(std::string(name) + "." + suffix, static_cast<double>(Percentile(times, share)) / 1e6);
}

}  // namespace

// One packet each, `interval-ms` apart, so that what is seen is the path and not its queue.
void Target(const Arguments& arguments, Report* report) {
  const auto host = arguments.find("host");
  if (host == arguments.end()) return report->Skip("--host is missing");
  const auto port = arguments.find("port");
  const bool tcp = port != arguments.end();
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = getaddrinfo(host->second.c_str(), tcp ? port->second.c_str() : nullptr, &hints, &found);
  if (failed != 0) return report->Skip(gai_strerror(failed));
  Prober prober(tcp ? FC_PROBE_TCP_CONNECT : FC_PROBE_NONE);
  if (!prober.ok()) return report->Skip(prober.problem());
  const int64_t probes = Number(arguments, "probes", 500);
  const int64_t interval = Number(arguments, "interval-ms", 10) * lab::kMillisecond;
  fc_probe_options options = Options(lab::kSecond);
  Tally tally;
  int64_t begun = 0;
  for (int64_t next = lab::Now(); tally.done < probes;) {
    if (begun < probes && lab::Now() >= next) {
      ++begun;
      next += interval;
      if (fc_prober_probe(prober.get(), found->ai_addr, found->ai_addrlen, &options, Count, &tally, nullptr) <
          0)
        return report->Skip("the prober refuses this address");
    }
    prober.Turn(begun < probes ? next : INT64_MAX);
  }
  freeaddrinfo(found);
  report->Add("mechanism", tally.mechanism);
  constexpr const char* kVerdicts[] = {"up", "up_port_closed", "down_unreachable", "down_timeout",
                                       "local_fault"};
  for (size_t i = 0; i < std::size(kVerdicts); ++i)
    report->Add(kVerdicts[i], static_cast<double>(tally.verdicts[i]));
  Add("rtt_ms", &tally.rtt, report);
  Add("user_rtt_ms", &tally.user_rtt, report);
  for (const int ms : {1, 2, 3, 5, 10, 20, 50, 100}) {
    int64_t later = probes - static_cast<int64_t>(tally.rtt.size());
    for (const int64_t rtt : tally.rtt) later += rtt > ms * lab::kMillisecond;
    report->Add("later_than_" + std::to_string(ms) + "_ms_per_million",
                static_cast<double>(later) * 1e6 / static_cast<double>(probes));
  }
}
