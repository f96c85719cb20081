#include "examples/proxy/metrics.h"

#include <cinttypes>
#include <cstdio>
#include <string_view>

namespace proxy {

namespace {

constexpr uint64_t kMs = 1000000;

void AddType(std::string* text, const char* name, const char* type, std::string_view help) {
  text->append("# HELP ").append(name).append(" ").append(help);
  text->append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void AddValue(std::string* text, const char* name, const std::string& labels, double value) {
  text->append(name);
  if (!labels.empty()) text->append("{").append(labels).append("}");
  char number[40];
  std::snprintf(number, sizeof number, " %.17g\n", value);
  text->append(number);
}

void AddOne(std::string* text, const char* name, const char* type, const char* help, uint64_t value) {
  AddType(text, name, type, help);
  AddValue(text, name, "", static_cast<double>(value));
}

std::string Label(const char* name, std::string_view value) {
  return std::string(name).append("=\"").append(value).append("\"");
}

struct EngineText {
  std::string* text;
  std::string last;
};

void AddStat(void* user_data, const fc_stat* stat) {
  auto* out = static_cast<EngineText*>(user_data);
  const std::string name(stat->name.data, stat->name.length);
  if (name != out->last) {
    AddType(out->text, name.c_str(), stat->kind == FC_STAT_COUNTER ? "counter" : "gauge",
            {stat->help.data, stat->help.length});
    out->last = name;
  }
  AddValue(out->text, name.c_str(), std::string(stat->labels.data, stat->labels.length), stat->value);
}

}  // namespace

const std::array<uint64_t, Metrics::kBounds> Metrics::kBoundsNs = {
    kMs / 10, kMs / 4,   kMs / 2,   kMs,       5 * kMs / 2, 5 * kMs,    10 * kMs,   25 * kMs,
    50 * kMs, 100 * kMs, 250 * kMs, 500 * kMs, 1000 * kMs,  2500 * kMs, 5000 * kMs, 10000 * kMs};

const char* OutcomeName(uint32_t outcome) {
  static const char* const kNames[] = {"ok",     "cancelled", "refused",         "connect_failed",
                                       "closed", "timeout",   "stale_connection"};
  return outcome < std::size(kNames) ? kNames[outcome] : "unknown";
}

const char* ReasonName(uint32_t reason) {
  static const char* const kNames[] = {"none", "lease", "acquired", "started", "relocated", "placed"};
  return reason < std::size(kNames) ? kNames[reason] : "unknown";
}

void Metrics::CountRequest(int status, uint64_t nanoseconds, uint64_t bytes_in, uint64_t bytes_out) {
  const auto index = static_cast<size_t>(status);
  if (statuses_[index] == 0 && labelled_ == kMaxStatuses) {
    ++other_statuses_;
  } else if (statuses_[index]++ == 0) {
    ++labelled_;
  }
  bytes_in_ += bytes_in;
  bytes_out_ += bytes_out;
  if (status == 101) return;  // how long a tunnel lasts says nothing of how fast anything is
  size_t bucket = 0;
  while (bucket < kBounds && nanoseconds > kBoundsNs[bucket]) ++bucket;
  ++durations_[bucket];
  duration_sum_ns_ += nanoseconds;
}

void Metrics::FormatRequests(std::string* text) const {
  constexpr const char* kRequests = "fc_proxy_requests_total";
  AddType(text, kRequests, "counter",
          "Requests by status; 0: aborted in the response; 499: the client left.");
  for (size_t i = 0; i < statuses_.size(); ++i) {
    if (statuses_[i] == 0) continue;
    AddValue(text, kRequests, Label("status", std::to_string(i)), static_cast<double>(statuses_[i]));
  }
  if (other_statuses_ != 0)
    AddValue(text, kRequests, Label("status", "other"), static_cast<double>(other_statuses_));
  constexpr const char* kRetries = "fc_proxy_attempts_failed_total";
  AddType(text, kRetries, "counter", "Attempts to reach a container that did not end with a response.");
  for (uint32_t i = 1; i < retries_.size(); ++i) {
    AddValue(text, kRetries, Label("outcome", OutcomeName(i)), static_cast<double>(retries_[i]));
  }
  constexpr const char* kRoutes = "fc_proxy_routes_total";
  AddType(text, kRoutes, "counter", "Routes by what made them.");
  for (uint32_t i = 1; i < routes_.size(); ++i) {
    AddValue(text, kRoutes, Label("reason", ReasonName(i)), static_cast<double>(routes_[i]));
  }
}

void Metrics::FormatDurations(std::string* text) const {
  constexpr const char* kName = "fc_proxy_request_duration_seconds";
  AddType(text, kName, "histogram",
          "From the end of the request's head to the end of the response; without tunnels.");
  uint64_t total = 0;
  const std::string bucket = std::string(kName) + "_bucket";
  for (size_t i = 0; i < kBounds; ++i) {
    total += durations_[i];
    char bound[32];
    std::snprintf(bound, sizeof bound, "%g", static_cast<double>(kBoundsNs[i]) / 1e9);
    AddValue(text, bucket.c_str(), Label("le", bound), static_cast<double>(total));
  }
  total += durations_[kBounds];
  AddValue(text, bucket.c_str(), Label("le", "+Inf"), static_cast<double>(total));
  AddValue(text, (std::string(kName) + "_sum").c_str(), "", static_cast<double>(duration_sum_ns_) / 1e9);
  AddValue(text, (std::string(kName) + "_count").c_str(), "", static_cast<double>(total));
}

std::string Metrics::Format(fc_engine* engine) const {
  std::string text;
  FormatRequests(&text);
  FormatDurations(&text);
  AddOne(&text, "fc_proxy_requests_in_flight", "gauge", "Requests that are being served.", in_flight);
  AddOne(&text, "fc_proxy_tunnels", "gauge", "Of them, those that have switched to another protocol.",
         tunnels);
  AddOne(&text, "fc_proxy_request_body_bytes_total", "counter", "Bytes of request bodies.", bytes_in_);
  AddOne(&text, "fc_proxy_response_body_bytes_total", "counter", "Bytes of response bodies.", bytes_out_);
  AddOne(&text, "fc_proxy_client_connections", "gauge", "Open connections of clients.", connections);
  AddOne(&text, "fc_proxy_client_connections_total", "counter", "Accepted connections.", accepted);
  AddOne(&text, "fc_proxy_upstream_connections", "gauge", "Open connections to containers.",
         upstream_connections);
  AddOne(&text, "fc_proxy_upstream_connects_total", "counter", "Connections to containers begun.",
         upstream_connects);
  AddOne(&text, "fc_proxy_upstream_reused_total", "counter", "Requests sent on a pooled connection.",
         upstream_reused);
  AddOne(&text, "fc_proxy_upstream_idle", "gauge", "Pooled connections.", upstream_idle);
  AddOne(&text, "fc_proxy_log_lines_dropped_total", "counter", "Log lines that nobody read in time.",
         log_lines_dropped);
  if (engine != nullptr) {
    EngineText out{&text, {}};
    fc_engine_stats(engine, AddStat, &out);
  }
  return text;
}

}  // namespace proxy
