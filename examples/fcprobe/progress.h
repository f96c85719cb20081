// What is known so far: of each target, and of all.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_PROGRESS_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_PROGRESS_H_

#include <fastcontainer.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "examples/fcprobe/rtt_series.h"
#include "examples/fcprobe/targets.h"

namespace fcprobe {

// One probe, or with retries all that were made for one verdict.
struct Verdict {
  uint64_t sequence = 0;
  uint16_t source_port = 0;  // of a sweep
  uint32_t packets = 0;
  bool reached = false;
  fc_probe_result result = {};
};

struct TargetState {
  Target target;
  uint64_t begun = 0;
  uint64_t judged = 0;
  uint64_t reached = 0;
  uint64_t packets = 0;
  RttSeries rtt;
  std::vector<std::optional<uint64_t>> each;  // with -C
  std::vector<Verdict> failed;                // of a sweep
  Verdict last;
};

struct Totals {
  uint64_t targets = 0;
  uint64_t alive = 0;
  uint64_t unknown = 0;
  uint64_t timeouts = 0;
  uint64_t packets = 0;
  uint64_t answers = 0;
  uint64_t icmp_errors = 0;
  uint64_t elapsed = 0;
  bool icmp_only = true;
  RttSeries rtt;
};

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_PROGRESS_H_
