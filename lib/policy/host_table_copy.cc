#include "fastcontainer/policy.h"

namespace fastcontainer {
namespace {

template <typename T>
const T* Keep(const T* column, size_t size, std::vector<T>* out) {
  if (column == nullptr) return nullptr;
  out->assign(column, column + size);
  return out->data();
}

// The views are of `text`, which has room enough not to move.
const std::string_view* Keep(const std::string_view* column, size_t size, std::string* text,
                             std::vector<std::string_view>* out) {
  if (column == nullptr) return nullptr;
  out->reserve(size);
  for (size_t i = 0; i < size; ++i) {
    const size_t begin = text->size();
    text->append(column[i]);
    out->push_back(std::string_view(*text).substr(begin));
  }
  return out->data();
}

size_t BytesOf(const std::string_view* column, size_t size) {
  size_t bytes = 0;
  for (size_t i = 0; column != nullptr && i < size; ++i) bytes += column[i].size();
  return bytes;
}

}  // namespace

HostTableCopy::HostTableCopy(const HostTable& hosts) : table_(hosts) {
  const size_t n = hosts.size;
  text_.reserve(BytesOf(hosts.id, n) + BytesOf(hosts.zone, n));
  table_.id = Keep(hosts.id, n, &text_, &id_);
  table_.zone = Keep(hosts.zone, n, &text_, &zone_);
  table_.id_hash = Keep(hosts.id_hash, n, &id_hash_);
  table_.flags = Keep(hosts.flags, n, &flags_);
  table_.free_cpu = Keep(hosts.free_cpu, n, &free_cpu_);
  table_.free_memory = Keep(hosts.free_memory, n, &free_memory_);
  table_.running = Keep(hosts.running, n, &running_);
  table_.starting = Keep(hosts.starting, n, &starting_);
  table_.in_flight = Keep(hosts.in_flight, n, &in_flight_);
  table_.response_ms = Keep(hosts.response_ms, n, &response_ms_);
  table_.error_rate = Keep(hosts.error_rate, n, &error_rate_);
  table_.rtt_ms = Keep(hosts.rtt_ms, n, &rtt_ms_);
  table_.report_age_s = Keep(hosts.report_age_s, n, &report_age_s_);
}

}  // namespace fastcontainer
