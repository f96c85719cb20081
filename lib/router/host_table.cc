// The host table that policies see, built from what this process believes of its hosts.
#include <limits>

#include "lib/router/hosts.h"

namespace fastcontainer {
namespace {

// Numbers such as free memory may be this old before the table is built anew; flags are always current.
constexpr Nanos kTableAge = 20 * kMillisecond;

uint32_t Flags(const HostState& host, bool fresh) {
  uint32_t flags = 0;
  if (host.record.admin == AdminState::kUp) flags |= kHostAdminUp;
  if (!host.down) flags |= kHostReachable;
  if (fresh && !host.down) flags |= kHostFresh;
  if (host.load.overloaded) flags |= kHostOverloaded;
  if (host.service_down) flags |= kHostServiceDown;
  return flags;
}

}  // namespace

const HostTable& Hosts::Table(Nanos now) {
  if (table_at_ < 0 || now - table_at_ > kTableAge) BuildTable(now);
  return table_;
}

void Hosts::BuildTable(Nanos now) {
  constexpr float kNever = std::numeric_limits<float>::infinity();
  rows_.clear();
  for (auto& [id, host] : hosts_)
    if (host->exists && host->address) rows_.push_back(host.get());
  const size_t n = rows_.size();
  bool other_rows = n != id_hash_.size();
  id_hash_.resize(n), id_.resize(n), zone_.resize(n), flags_.resize(n), running_.resize(n),
      starting_.resize(n);
  in_flight_.resize(n), free_cpu_.resize(n), response_ms_.resize(n), error_rate_.resize(n), rtt_ms_.resize(n);
  report_age_s_.resize(n), free_memory_.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const HostState& host = *rows_[i];
    const bool reported = host.load_at >= 0;
    other_rows = other_rows || id_hash_[i] != host.hash;
    id_hash_[i] = host.hash;
    id_[i] = host.id;
    zone_[i] = host.zone;
    flags_[i] = Flags(host, Fresh(host, now));
    running_[i] = host.load.running;
    starting_[i] = host.load.starting;
    in_flight_[i] = host.open;
    free_cpu_[i] = reported ? host.load.free_cpu : kNever;
    free_memory_[i] =
        reported ? static_cast<double>(host.load.free_memory) : std::numeric_limits<double>::infinity();
    response_ms_[i] = host.response_ms;
    error_rate_[i] = host.error_rate;
    rtt_ms_[i] = host.rtt_ms;
    report_age_s_[i] =
        reported ? static_cast<float>(now - host.load_at) / static_cast<float>(kSecond) : kNever;
  }
  table_ = HostTable{n,
                     id_hash_.data(),
                     id_.data(),
                     zone_.data(),
                     flags_.data(),
                     free_cpu_.data(),
                     free_memory_.data(),
                     running_.data(),
                     starting_.data(),
                     in_flight_.data(),
                     response_ms_.data(),
                     error_rate_.data(),
                     rtt_ms_.data(),
                     report_age_s_.data(),
                     other_rows ? table_.rows + 1 : table_.rows};
  table_at_ = now;
}

}  // namespace fastcontainer
