#include "examples/fcprobe/histogram.h"

#include <algorithm>
#include <bit>

namespace fcprobe {
namespace {

constexpr uint32_t kBits = 6;
constexpr uint64_t kPerOctave = uint64_t{1} << kBits;

}  // namespace

// For a value with `shift` bits more than kBits + 1, value >> shift lies in [kPerOctave, 2 kPerOctave): the
// octaves follow each other without a gap.
uint32_t Histogram::IndexOf(uint64_t value) {
  const auto width = static_cast<uint32_t>(std::bit_width(value));
  const uint32_t shift = width > kBits + 1 ? width - (kBits + 1) : 0;
  return static_cast<uint32_t>((uint64_t{shift} << kBits) + (value >> shift));
}

uint64_t Histogram::MiddleOf(uint32_t index) {
  if (index < 2 * kPerOctave) return index;
  const uint32_t shift = (index >> kBits) - 1;
  const uint64_t low = (kPerOctave + index % kPerOctave) << shift;
  return low + ((uint64_t{1} << shift) >> 1);
}

void Histogram::Add(uint64_t value) {
  const uint32_t index = IndexOf(std::min(value, kMost));
  if (index >= buckets_.size()) buckets_.resize(index + 1);
  ++buckets_[index];
  ++count_;
}

uint64_t Histogram::ValueAtRank(uint64_t rank) const {
  uint64_t below = 0;
  for (uint32_t index = 0; index < buckets_.size(); ++index) {
    below += buckets_[index];
    if (below >= rank) return MiddleOf(index);
  }
  return 0;
}

void Histogram::ForEach(const std::function<void(uint64_t value, uint64_t count)>& take) const {
  for (uint32_t index = 0; index < buckets_.size(); ++index) {
    if (buckets_[index] != 0) take(MiddleOf(index), buckets_[index]);
  }
}

}  // namespace fcprobe
