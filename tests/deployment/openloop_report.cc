#include "tests/deployment/openloop_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace openloop {
namespace {

double Quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(q * static_cast<double>(sorted.size())))];
}

}  // namespace

Report::Report(const std::string& log, bool live) : live_(live) {
  if (!log.empty()) log_ = fopen(log.c_str(), "w");
}

Report::~Report() {
  if (log_ != nullptr) fclose(log_);
}

void Report::Done(const Result& result) {
  const double latency_ms = static_cast<double>(result.end - result.due) / 1e6;
  const auto index = static_cast<size_t>(std::max<Nanos>(0, result.end - begin_) / kSecond);
  if (seconds_.size() <= index) seconds_.resize(index + 1);
  Second& second = seconds_[index];
  ++second.requests;
  second.sum_ms += latency_ms;
  second.max_ms = std::max(second.max_ms, latency_ms);
  if (!result.succeeded()) {
    ++second.failures;
    ++failures_;
  }
  latencies_ms_.push_back(latency_ms);
  ++outcomes_[result.outcome];
  if (log_ != nullptr) {
    fprintf(log_, "%lu %.3f %.3f %s\n", static_cast<unsigned long>(result.number),
            static_cast<double>(result.due - begin_) / 1e6, latency_ms, result.outcome.c_str());
  }
}

void Report::PrintSecond(size_t index) {
  const Second second = index < seconds_.size() ? seconds_[index] : Second{};
  const double mean = second.requests == 0 ? 0 : second.sum_ms / static_cast<double>(second.requests);
  printf("%zu %lu %lu %.2f %.2f\n", index + 1, static_cast<unsigned long>(second.requests),
         static_cast<unsigned long>(second.failures), mean, second.max_ms);
  fflush(stdout);
}

void Report::Tick(Nanos now) {
  if (!live_) return;
  for (; static_cast<Nanos>(printed_ + 1) * kSecond <= now - begin_; ++printed_) PrintSecond(printed_);
}

bool Report::Finish() {
  if (live_ && printed_ < seconds_.size()) PrintSecond(printed_);
  std::sort(latencies_ms_.begin(), latencies_ms_.end());
  double sum = 0;
  for (double latency : latencies_ms_) sum += latency;
  nlohmann::ordered_json seconds = nlohmann::ordered_json::array();
  for (const Second& second : seconds_) {
    seconds.push_back(
        {{"requests", second.requests},
         {"failures", second.failures},
         {"mean_ms", second.requests == 0 ? 0 : second.sum_ms / static_cast<double>(second.requests)},
         {"max_ms", second.max_ms}});
  }
  nlohmann::ordered_json summary = {
      {"requests", latencies_ms_.size()},
      {"failures", failures_},
      {"mean_ms", latencies_ms_.empty() ? 0 : sum / static_cast<double>(latencies_ms_.size())},
      {"p50_ms", Quantile(latencies_ms_, 0.5)},
      {"p99_ms", Quantile(latencies_ms_, 0.99)},
      {"max_ms", Quantile(latencies_ms_, 1)}};
  summary["outcomes"] = outcomes_;
  summary["seconds"] = seconds;
  puts(summary.dump().c_str());
  fflush(stdout);
  return failures_ == 0 && !latencies_ms_.empty();
}

}  // namespace openloop
