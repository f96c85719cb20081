#include <algorithm>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#include "benchmarks/probe_scenarios.h"

void Overshoot(const Arguments& arguments, Report* report) {
  constexpr int64_t kDeadline = 10 * lab::kMillisecond;
  const int64_t probes = Number(arguments, "probes", 400);
  const sockaddr_in silent = lab::Address(lab::kSilent);
  const fc_probe_options options = Options(kDeadline, 3 * lab::kMillisecond);
  Prober prober;
  if (!prober.ok()) return report->Skip(prober.problem());
  std::vector<int64_t> ours, theirs;
  int64_t wrong = 0;
  for (int64_t i = 0; i < probes; ++i) {
    int64_t begin = lab::Now();
    wrong += prober.Ask(silent, options).verdict != FC_VERDICT_DOWN_TIMEOUT;
    ours.push_back(lab::Now() - begin - kDeadline);
    begin = lab::Now();
    int error;
    AskByNewRawSocket(silent, kDeadline, &error);
    if (error == 0) theirs.push_back(lab::Now() - begin - kDeadline);
  }
  report->Add("wrong", static_cast<double>(wrong));
  for (const double share : {0.5, 0.99}) {
    const std::string name = share < 0.9 ? "p50_ms" : "p99_ms";
    report->Add(name, static_cast<double>(Percentile(&ours, share)) / 1e6);
    if (!theirs.empty())
      report->Add("receive_timeout_" + name, static_cast<double>(Percentile(&theirs, share)) / 1e6);
  }
}
