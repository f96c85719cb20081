#include "lib/probe/batch.h"

namespace fastcontainer {

Pace::Pace(uint32_t packets_per_second, Nanos now) : next_at_(now) {
  if (packets_per_second == 0) return;
  interval_ = (kSecond + packets_per_second - 1) / packets_per_second;
  const uint32_t each_millisecond = packets_per_second / 1000;
  burst_ = each_millisecond < 1 ? 1 : each_millisecond > kMostAtOnce ? kMostAtOnce : each_millisecond;
}

uint32_t Pace::Allowed(Nanos now) const {
  if (interval_ == 0) return kMostAtOnce;
  if (now < next_at_) return 0;
  const Nanos saved = 1 + (now - next_at_) / interval_;
  return saved < burst_ ? static_cast<uint32_t>(saved) : burst_;
}

void Pace::Take(uint32_t packets, Nanos now) {
  // What was not used for longer than a burst is lost.
  const Nanos earliest = now - (burst_ - 1) * interval_;
  if (next_at_ < earliest) next_at_ = earliest;
  next_at_ += packets * interval_;
}

Nanos Pace::Next(uint32_t left) const {
  const uint32_t wanted = left < burst_ ? left : burst_;
  return wanted == 0 ? next_at_ : next_at_ + (wanted - 1) * interval_;
}

}  // namespace fastcontainer
