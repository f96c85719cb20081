// The round trips of one target, or of all: percentiles are exact while they are few.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_RTT_SERIES_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_RTT_SERIES_H_

#include <cstdint>
#include <vector>

#include "examples/fcprobe/histogram.h"

namespace fcprobe {

class RttSeries {
 public:
  // So many are kept as they are; from then on there are only a histogram's buckets.
  static constexpr size_t kExact = 1024;

  void Add(uint64_t rtt_ns);
  uint64_t count() const { return count_; }
  // 0 if there is none.
  uint64_t min() const { return min_; }
  uint64_t max() const { return max_; }
  uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  // The nearest rank, 0 < percent <= 100; 0 if there is none.
  uint64_t Percentile(double percent) const;
  Histogram ToHistogram() const;

 private:
  uint64_t count_ = 0, min_ = 0, max_ = 0, sum_ = 0;
  std::vector<uint64_t> exact_;
  Histogram rough_;  // empty while all are in exact_
};

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_RTT_SERIES_H_
