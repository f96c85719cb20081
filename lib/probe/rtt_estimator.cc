#include "lib/probe/rtt_estimator.h"

namespace fastcontainer {

void DecayingMaximum::Add(Nanos value, Nanos now, Nanos half_life) {
  if (value < Value(now, half_life)) return;
  value_ = value;
  at_ = now;
}

// A straight line within each half life.
Nanos DecayingMaximum::Value(Nanos now, Nanos half_life) const {
  const Nanos age = now - at_;
  if (age <= 0) return value_;
  const Nanos halved = age / half_life;
  if (halved > 62) return 0;
  const Nanos value = value_ >> halved;
  const double part = static_cast<double>(age % half_life) / static_cast<double>(half_life);
  return value - static_cast<Nanos>(static_cast<double>(value) / 2 * part);
}

void RttEstimator::Add(Nanos rtt, Nanos now) {
  if (rtt <= 0) rtt = 1;
  if (smoothed_ == 0) {
    smoothed_ = rtt;
    variation_ = rtt / 2;
  } else {
    const Nanos off = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
    variation_ += (off - variation_) / 4;
    smoothed_ += (rtt - smoothed_) / 8;
    if (smoothed_ <= 0) smoothed_ = 1;
  }
  largest_.Add(rtt, now, kHalfLife);
}

Nanos RttEstimator::Deadline(Nanos now) const {
  if (smoothed_ == 0) return 0;
  const Nanos usual = smoothed_ + 4 * variation_;
  const Nanos largest = largest_.Value(now, kHalfLife);
  const Nanos slow = largest + largest / 8;
  return usual > slow ? usual : slow;
}

}  // namespace fastcontainer
