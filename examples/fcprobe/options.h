// The command line of fcprobe: fping's options with fping's meaning, and a few of its own.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_OPTIONS_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_OPTIONS_H_

#include <fastcontainer.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fcprobe {

// As fping(8), DIAGNOSTICS.
enum ExitStatus : int {
  kExitReachable = 0,
  kExitUnreachable = 1,
  kExitNotFound = 2,
  kExitUsage = 3,
  kExitSystem = 4,
};

enum class Mode {
  kVerdict,  // one verdict on each target
  kCount,    // -c, -C
  kLoop,     // -l
};

enum class Show { kAll, kAlive, kUnreachable };

// Durations are nanoseconds.
struct Options {
  Mode mode = Mode::kVerdict;
  uint32_t count = 0;
  bool each_rtt = false;  // -C
  uint64_t interval = 10'000'000;
  uint64_t period = 1'000'000'000;
  uint64_t timeout = 0;  // 0: as the mode has it
  std::optional<uint32_t> retries;

  Show show = Show::kAll;
  bool quiet = false;
  bool summary = false;
  bool timestamps = false;
  bool elapsed = false;
  bool names = false;      // -n
  bool addresses = false;  // -A
  uint32_t least_reachable = 0;
  bool stop_when_reached = false;  // -X

  int family = 0;  // AF_
  uint32_t size = 56;
  bool dont_fragment = false;
  uint32_t dscp = 0;
  uint32_t ttl = 0;
  std::string source;
  std::string interface;
  bool generate = false;
  std::optional<std::string> file;

  bool json = false;
  uint32_t mechanism = FC_PROBE_NONE;
  uint32_t port = 0;           // of targets that name none
  uint32_t fallback_port = 0;  // for TCP where ICMP is not permitted; 0: no fall-back
  bool need_open = false;
  std::array<uint64_t, 2> hedges = {0, 0};
  uint64_t adaptive = 0;
  bool percentiles = false;
  bool histogram = false;
  uint32_t source_ports = 0;
  uint32_t first_source_port = 40000;

  std::vector<std::string> words;  // targets, or what -g generates them from
};

enum class Parsed { kRun, kHelp, kVersion, kInvalid };

// kInvalid: *message names the option, its value and what is accepted.
Parsed ParseOptions(int argc, char** argv, Options* options, std::string* message);
// Empty, or what does not go together.
std::string CheckTogether(const Options& options);

bool NeedsPort(uint32_t mechanism);
// How long one packet is waited for at first: -t, or fping's defaults.
uint64_t FirstTimeout(const Options& options);

extern const char kUsage[];

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_OPTIONS_H_
