// What a host's round trips so far say of the next: pure arithmetic, time passed in. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_RTT_ESTIMATOR_H_
#define FASTCONTAINER_LIB_PROBE_RTT_ESTIMATOR_H_

#include "fastcontainer/clock.h"

namespace fastcontainer {

// The largest of recent values: what was large fades by half within each half life.
class DecayingMaximum {
 public:
  void Add(Nanos value, Nanos now, Nanos half_life);
  Nanos Value(Nanos now, Nanos half_life) const;

 private:
  Nanos value_ = 0;
  Nanos at_ = 0;
};

class RttEstimator {
 public:
  // The mean and its variation follow a change within some ten answers; what was slow once stays in mind for
  // minutes, since a tail that shows in one of a thousand answers does not move either of them.
  static constexpr Nanos kHalfLife = 60 * kSecond;

  void Add(Nanos rtt, Nanos now);
  // The larger of SRTT + 4 RTTVAR (RFC 6298, 2.3) and 9/8 of the largest of late; 0: nothing is known.
  Nanos Deadline(Nanos now) const;

 private:
  Nanos smoothed_ = 0;  // 0: none yet
  Nanos variation_ = 0;
  DecayingMaximum largest_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_RTT_ESTIMATOR_H_
