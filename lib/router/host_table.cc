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
  if (columns_->kept) columns_ = std::make_shared<Columns>();
  Columns& to = *columns_;
  bool other_rows = n != to.id_hash.size();
  to.Resize(n);
  for (size_t i = 0; i < n; ++i) {
    const HostState& host = *rows_[i];
    const bool reported = host.load_at >= 0;
    other_rows = other_rows || to.id_hash[i] != host.hash;
    to.id_hash[i] = host.hash;
    to.id[i] = host.id;
    to.zone[i] = host.zone;
    to.flags[i] = Flags(host, Fresh(host, now));
    to.running[i] = host.load.running;
    to.starting[i] = host.load.starting;
    to.in_flight[i] = host.open;
    to.free_cpu[i] = reported ? host.load.free_cpu : kNever;
    to.free_memory[i] =
        reported ? static_cast<double>(host.load.free_memory) : std::numeric_limits<double>::infinity();
    to.response_ms[i] = host.response_ms;
    to.error_rate[i] = host.error_rate;
    to.rtt_ms[i] = host.rtt_ms;
    to.report_age_s[i] =
        reported ? static_cast<float>(now - host.load_at) / static_cast<float>(kSecond) : kNever;
  }
  table_ = to.Table(other_rows ? table_.rows + 1 : table_.rows);
  table_.memory = columns_;
  table_at_ = now;
}

void Hosts::Columns::Resize(size_t n) {
  id_hash.resize(n), id.resize(n), zone.resize(n), flags.resize(n), running.resize(n), starting.resize(n);
  in_flight.resize(n), free_cpu.resize(n), response_ms.resize(n), error_rate.resize(n), rtt_ms.resize(n);
  report_age_s.resize(n), free_memory.resize(n);
}

HostTable Hosts::Columns::Table(uint64_t rows) const {
  return HostTable{id_hash.size(),
                   id_hash.data(),
                   id.data(),
                   zone.data(),
                   flags.data(),
                   free_cpu.data(),
                   free_memory.data(),
                   running.data(),
                   starting.data(),
                   in_flight.data(),
                   response_ms.data(),
                   error_rate.data(),
                   rtt_ms.data(),
                   report_age_s.data(),
                   nullptr,
                   rows};
}

}  // namespace fastcontainer
