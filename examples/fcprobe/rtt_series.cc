#include "examples/fcprobe/rtt_series.h"

#include <algorithm>
#include <cmath>

namespace fcprobe {

void RttSeries::Add(uint64_t rtt_ns) {
  min_ = count_ == 0 ? rtt_ns : std::min(min_, rtt_ns);
  max_ = std::max(max_, rtt_ns);
  sum_ += rtt_ns;
  ++count_;
  if (count_ <= kExact) return exact_.push_back(rtt_ns);
  if (rough_.count() == 0) {
    for (uint64_t earlier : exact_) rough_.Add(earlier);
    exact_ = {};
  }
  rough_.Add(rtt_ns);
}

uint64_t RttSeries::Percentile(double percent) const {
  if (count_ == 0) return 0;
  const double share = std::ceil(static_cast<double>(count_) * percent / 100);
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, count_);
  if (rough_.count() != 0) return std::clamp(rough_.ValueAtRank(rank), min_, max_);
  std::vector<uint64_t> sorted = exact_;
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

Histogram RttSeries::ToHistogram() const {
  Histogram histogram = rough_;
  for (uint64_t rtt : exact_) histogram.Add(rtt);
  return histogram;
}

}  // namespace fcprobe
