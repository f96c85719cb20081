// Leaving an overloaded host: late, rarely, and only for a better one. Load is never a reason to call a host
// dead.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kReportHolds = 5 * kSecond;

}  // namespace

void Router::Core::LeaveOverloaded(Nanos now) {
  if (options_.no_relocation) return;
  std::vector<HostState*> tired;
  hosts_.ForEach([&](HostState& host) {
    if (!host.load.overloaded || host.load_at < 0 || now - host.load_at > kReportHolds) {
      host.overloaded_since = -1;
    } else if (host.overloaded_since < 0) {
      host.overloaded_since = now;
    } else if (now - host.overloaded_since >= options_.overload_hold && now >= host.next_move) {
      tired.push_back(&host);
    }
  });
  for (HostState* host : tired) {
    Container* busiest = nullptr;
    uint64_t most = 0;
    for (const Lease* lease : active_) {
      const uint64_t busy = lease->busy_ns + static_cast<uint64_t>(lease->open) * kSecond;
      Container* c = lease->container;
      if (lease->host != host || c->lease != lease || c->relocation != nullptr || busy <= most) continue;
      busiest = c;
      most = busy;
    }
    if (busiest == nullptr) continue;
    const std::vector<HostState*> candidates = Candidates(*busiest, host, 1);
    if (candidates.empty() || candidates[0]->load.overloaded) continue;
    host->next_move = now + options_.overload_move_every;
    Log(LogLevel::kInfo,
        absl::StrCat(host->id, " is overloaded: its busiest container, ", busiest->id, ", moves"));
    Relocate(*busiest, "overload");
  }
}

}  // namespace fastcontainer
