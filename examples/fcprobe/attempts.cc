#include "examples/fcprobe/attempts.h"

namespace fcprobe {
namespace {

constexpr uint32_t kRetries = 3;  // fping's default

// fping's back-off of 1.5.
uint64_t Longer(uint64_t wait) { return wait + wait / 2; }

}  // namespace

std::vector<Attempt> PlanAttempts(const Options& options) {
  const uint64_t timeout = FirstTimeout(options);
  if (options.mode != Mode::kVerdict) return {{timeout, options.hedges}};
  std::vector<Attempt> plan;
  uint64_t wait = timeout;
  const bool hedged = options.hedges[0] != 0;
  const uint32_t retries = options.retries.value_or(hedged ? 0 : kRetries);
  // A connection from one port to another can be begun again only when the last attempt is over.
  const uint32_t together = hedged || options.source_ports != 0 ? 1 : 3;
  for (uint32_t packet = 0; packet <= retries; ++packet, wait = Longer(wait)) {
    const uint32_t at = packet % together;
    if (at == 0) {
      plan.push_back({wait, options.hedges});
      continue;
    }
    Attempt& attempt = plan.back();
    attempt.hedges[at - 1] = attempt.deadline;
    attempt.deadline += wait;
  }
  return plan;
}

}  // namespace fcprobe
