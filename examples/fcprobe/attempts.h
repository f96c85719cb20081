// How -t, -r and --hedge become probes. A probe has one verdict and up to three packets; a target that is
// silent for longer than one probe gets the next.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_ATTEMPTS_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_ATTEMPTS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "examples/fcprobe/options.h"

namespace fcprobe {

struct Attempt {
  uint64_t deadline = 0;
  std::array<uint64_t, 2> hedges = {0, 0};
};

// With -c, -C and -l: one for each packet that fping would send. Otherwise fping's timetable, packets at 0,
// t, 2.5 t, 4.75 t ..., as hedges: three packets each. With --hedge those are the hedges, and -r (default 0)
// adds attempts.
std::vector<Attempt> PlanAttempts(const Options& options);

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_ATTEMPTS_H_
