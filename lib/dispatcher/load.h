// What this machine has to spare, for the load report in answers.
#ifndef FASTCONTAINER_LIB_DISPATCHER_LOAD_H_
#define FASTCONTAINER_LIB_DISPATCHER_LOAD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "fastcontainer/clock.h"
#include "lib/dispatch/message.h"

namespace fastcontainer {

// "some avg10=1.23 avg60=..." of /proc/pressure/cpu; empty if it has no such line.
std::optional<float> ParsePressure(std::string_view text);
// Bytes of "MemAvailable:" of /proc/meminfo; empty if there is none.
std::optional<uint64_t> ParseMemAvailable(std::string_view text);

// Reads /proc. Pressure is PSI where the kernel has it (Documentation/accounting/psi.rst), else what the load
// average exceeds the processors by, in percent of them.
class MachineLoad {
 public:
  LoadReport Read();

 private:
  uint64_t busy_ = 0;  // of /proc/stat, at the last reading
  uint64_t total_ = 0;
};

// At most one reading each 250 ms. "Overloaded" comes at 60 % pressure and goes at 40 %, so that hosts do not
// swing in and out of the choice.
class LoadSampler {
 public:
  explicit LoadSampler(std::function<LoadReport()> read) : read_(std::move(read)) {}
  const LoadReport& At(Nanos now);

 private:
  std::function<LoadReport()> read_;
  LoadReport last_;
  Nanos due_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_LOAD_H_
