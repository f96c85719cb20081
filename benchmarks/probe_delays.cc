#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_scenarios.h"
#include "benchmarks/tun_responder.h"

namespace {

constexpr uint32_t kHosts = 64;
// So few that the prober sleeps in between: what uses up its share of a processor is kept waiting for one.
constexpr size_t kAtOnce = 32;

struct Variant {
  const char* name;
  double hedge, second_hedge;  // shares of the deadline
  double most;                 // times the deadline, for an adaptive one
};
// The first two hedges are 3 ms, and 2 and 5 ms, at a deadline of 10 ms.
constexpr Variant kVariants[] = {{"one_packet", 0, 0, 0},
                                 {"one_hedge", 0.3, 0, 0},
                                 {"two_hedges", 0.2, 0.5, 0},
                                 {"adaptive", 0, 0, 10},
                                 {"adaptive_hedge", 0.3, 0, 10}};

struct Tally {
  int64_t probes = 0, other = 0, packets = 0, open = 0;
  std::vector<int64_t> deadlines;
  struct Down {
    int64_t at, deadline;
  };
  std::vector<Down> down;
};

void Count(void* user_data, const fc_probe_result* result) {
  Tally& tally = *static_cast<Tally*>(user_data);
  --tally.open;
  ++tally.probes;
  tally.packets += result->packets;
  if (result->verdict == FC_VERDICT_DOWN_TIMEOUT)
    tally.down.push_back({lab::Now(), static_cast<int64_t>(result->deadline_ns)});
  tally.other += result->verdict != FC_VERDICT_DOWN_TIMEOUT && result->verdict != FC_VERDICT_UP;
  tally.deadlines.push_back(static_cast<int64_t>(result->deadline_ns));
}

fc_probe_options How(const Variant& variant, int64_t deadline) {
  const auto part = [deadline](double share) {
    return static_cast<int64_t>(static_cast<double>(deadline) * share);
  };
  fc_probe_options options = Options(deadline, part(variant.hedge), part(variant.second_hedge));
  options.deadline_max_ns = static_cast<uint64_t>(part(variant.most));
  return options;
}

void Ask(Prober* prober, const fc_probe_options& options, int64_t probes, Tally* tally) {
  for (int64_t begun = 0; begun < probes || tally->open > 0;) {
    for (; begun < probes && tally->open < static_cast<int64_t>(kAtOnce); ++begun) {
      const sockaddr_in to = lab::Address(lab::kDelayed, static_cast<uint32_t>(begun) % kHosts);
      ++tally->open;
      if (fc_prober_probe(prober->get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to), &options, Count,
                          tally, nullptr) < 0)
        --tally->open;
    }
    prober->Turn();
  }
}

void Add(const std::string& name, const TunResponder& responder, Tally* tally, Report* report) {
  int64_t excluded = 0;
  for (const Tally::Down& down : tally->down) excluded += responder.WasLate(down.at - down.deadline, down.at);
  tally->probes -= excluded;
  const auto probes = static_cast<double>(std::max(tally->probes, int64_t{1}));
  report->Add(name + ".excluded", static_cast<double>(excluded));
  report->Add(name + ".probes", static_cast<double>(tally->probes));
  report->Add(name + ".false_per_million",
              static_cast<double>(static_cast<int64_t>(tally->down.size()) - excluded) * 1e6 / probes);
  report->Add(name + ".other", static_cast<double>(tally->other));
  report->Add(name + ".packets", static_cast<double>(tally->packets) / probes);
  report->Add(name + ".deadline_ms_p50", static_cast<double>(Percentile(&tally->deadlines, 0.5)) / 1e6);
  report->Add(name + ".deadline_ms_p99", static_cast<double>(Percentile(&tally->deadlines, 0.99)) / 1e6);
}

}  // namespace

void Delays(const Arguments& arguments, Report* report) {
  const int64_t probes = Number(arguments, "probes", 200'000);
  const int64_t deadline = Number(arguments, "deadline-ms", 10) * lab::kMillisecond;
  constexpr int64_t kRounds = 4;  // the variants take turns, so that whatever else happens happens to all
  TunResponder responder;
  const std::string problem = responder.Open();
  if (!problem.empty()) return report->Skip(problem);
  const pid_t child = lab::Spawn([&] {
    responder.Serve(DelayDistribution(), static_cast<uint64_t>(Number(arguments, "seed", 1)), "");
    return 0;
  });
  std::vector<Tally> tallies(std::size(kVariants));
  for (int64_t round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < std::size(kVariants); ++i) {
      Prober prober;
      if (!prober.ok()) {
        report->Skip(prober.problem());
        break;
      }
      Ask(&prober, How(kVariants[i], deadline), probes / kRounds, &tallies[i]);
    }
  }
  usleep(100'000);  // what it is late with now it has noted then
  lab::End(child);
  for (size_t i = 0; i < std::size(kVariants); ++i) Add(kVariants[i].name, responder, &tallies[i], report);
}
