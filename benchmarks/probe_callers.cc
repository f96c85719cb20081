#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_scenarios.h"

namespace {

struct Tally {
  int64_t done = 0, up = 0, packets = 0;
};

}  // namespace

void Callers(const Arguments& arguments, Report* report) {
  const int64_t callers = Number(arguments, "callers", 1000);
  const sockaddr_in to = lab::Address(lab::kFar);
  fc_probe_options options = Options(100 * lab::kMillisecond);
  options.freshness_ns = 100 * lab::kMillisecond;
  Prober prober;
  if (!prober.ok()) return report->Skip(prober.problem());
  Tally tally;
  const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
    Tally& counted = *static_cast<Tally*>(user_data);
    ++counted.done;
    counted.up += result->verdict == FC_VERDICT_UP;
    counted.packets += result->shared != 0 ? 0 : result->packets;
  };
  const int64_t begin = lab::Now();
  for (int64_t i = 0; i < callers; ++i)
    if (fc_prober_probe(prober.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to), &options, take,
                        &tally, nullptr) < 0)
      return report->Skip("freshness_ns is refused");
  while (tally.done < callers) prober.Turn();
  const int64_t took = lab::Now() - begin;
  fc_prober_stats stats{};
  stats.struct_size = sizeof(stats);
  fc_prober_get_stats(prober.get(), &stats);
  report->Add("callers", static_cast<double>(callers));
  report->Add("not_up", static_cast<double>(callers - tally.up));
  report->Add("packets", static_cast<double>(stats.packets_sent));
  report->Add("packets_told", static_cast<double>(tally.packets));
  report->Add("ns_per_caller", static_cast<double>(took) / static_cast<double>(callers));
}
