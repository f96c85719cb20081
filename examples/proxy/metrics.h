// The proxy's own numbers, and how they and the library's look to Prometheus.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_METRICS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "fastcontainer.h"

namespace proxy {

class Metrics {
 public:
  // A request is over. `status` 499: the client went away; 0: its connection was aborted within the response.
  void CountRequest(int status, uint64_t nanoseconds, uint64_t bytes_in, uint64_t bytes_out);
  void CountRetry(uint32_t outcome) {
    if (outcome < retries_.size()) ++retries_[outcome];
  }
  void CountRoute(uint32_t reason) {
    if (reason < routes_.size()) ++routes_[reason];
  }

  uint64_t accepted = 0;
  uint64_t connections = 0;           // of clients, open
  uint64_t in_flight = 0;             // requests
  uint64_t tunnels = 0;               // of them, those that have switched to another protocol
  uint64_t upstream_connections = 0;  // to containers, open
  uint64_t upstream_connects = 0;
  uint64_t upstream_reused = 0;
  uint64_t upstream_idle = 0;
  uint64_t log_lines_dropped = 0;

  // In the text format, with the engine's numbers if there is one.
  std::string Format(fc_engine* engine) const;

 private:
  static constexpr size_t kBounds = 16;
  static const std::array<uint64_t, kBounds> kBoundsNs;

  void FormatRequests(std::string* text) const;
  void FormatDurations(std::string* text) const;

  // Containers choose their statuses: so many get a label, the rest is counted together.
  static constexpr size_t kMaxStatuses = 64;
  std::array<uint64_t, 1000> statuses_ = {};
  size_t labelled_ = 0;
  uint64_t other_statuses_ = 0;
  std::array<uint64_t, kBounds + 1> durations_ = {};
  uint64_t duration_sum_ns_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  std::array<uint64_t, 7> retries_ = {};
  std::array<uint64_t, 6> routes_ = {};
};

const char* OutcomeName(uint32_t outcome);
const char* ReasonName(uint32_t reason);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_METRICS_H_
