// A histogram of durations in bounded memory: log-linear, as Gil Tene's HdrHistogram. Each power of two is
// cut into 64 equal buckets, so that a value is known to 1/64 of itself; below 128 it is exact.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_HISTOGRAM_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_HISTOGRAM_H_

#include <cstdint>
#include <functional>
#include <vector>

namespace fcprobe {

class Histogram {
 public:
  // Larger values count as this: 73 minutes, in nanoseconds.
  static constexpr uint64_t kMost = (uint64_t{1} << 42) - 1;

  void Add(uint64_t value);
  uint64_t count() const { return count_; }
  // The middle of the bucket with the rank-th smallest value; ranks begin with 1.
  uint64_t ValueAtRank(uint64_t rank) const;
  // Buckets that are not empty, by their middle, rising.
  void ForEach(const std::function<void(uint64_t value, uint64_t count)>& take) const;

 private:
  static uint32_t IndexOf(uint64_t value);
  static uint64_t MiddleOf(uint32_t index);

  std::vector<uint64_t> buckets_;  // grows to the largest value's
  uint64_t count_ = 0;
};

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_HISTOGRAM_H_
