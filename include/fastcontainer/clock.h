// Time as the library sees it: signed nanoseconds, from a clock that the caller may inject.
#ifndef FASTCONTAINER_CLOCK_H_
#define FASTCONTAINER_CLOCK_H_

#include <cstdint>
#include <limits>

namespace fastcontainer {

// A point on CLOCK_MONOTONIC or a length of time, in nanoseconds.
using Nanos = int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;
// "No deadline": later than every time that a clock can show.
inline constexpr Nanos kForever = std::numeric_limits<Nanos>::max();

}  // namespace fastcontainer

#endif  // FASTCONTAINER_CLOCK_H_
