// Options that are each right, and wrong together.
#include <arpa/inet.h>

#include "examples/fcprobe/options.h"

namespace fcprobe {
namespace {

std::string CheckTargets(const Options& options) {
  if (options.generate && options.file) return "-f with -g: specify only one";
  if (options.file && !options.words.empty()) return "-f and targets on the command line: specify only one";
  if (options.generate && (options.words.empty() || options.words.size() > 2))
    return "-g: must be followed by ADDRESS/BITS, or by the FIRST and the LAST address";
  const bool six = options.source.find(':') != std::string::npos;
  if (options.source.empty() || options.family == AF_UNSPEC) return "";
  if (six != (options.family == AF_INET6))
    return "-S \"" + options.source + "\": must be of the family -4 or -6 asks for";
  return "";
}

std::string CheckTimes(const Options& options) {
  const uint64_t timeout = FirstTimeout(options);
  for (uint64_t hedge : options.hedges) {
    if (hedge >= timeout) return "--hedge: must be before the time-out (-t)";
  }
  if (options.adaptive != 0 && options.adaptive < timeout)
    return "--adaptive: must be at least the time-out (-t)";
  return "";
}

std::string CheckMechanism(const Options& options) {
  const bool ports = NeedsPort(options.mechanism) || options.port != 0;
  const bool tcp = options.mechanism == FC_PROBE_TCP_CONNECT || options.mechanism == FC_PROBE_TCP_SYN;
  if (options.port != 0 &&
      (options.mechanism == FC_PROBE_ICMP_DATAGRAM || options.mechanism == FC_PROBE_ICMP_RAW))
    return "--port: ICMP has no ports; use --mechanism tcp, syn or udp";
  if (options.fallback_port != 0 && ports) return "--tcp-fallback: only for ICMP";
  if (tcp && options.dont_fragment) return "-M: for ICMP and UDP";
  return "";
}

std::string CheckOutput(const Options& options) {
  if (options.json && options.histogram) return "specify only one of --json, --histogram";
  if (options.source_ports != 0 && options.mode != Mode::kVerdict)
    return "--source-ports: not with -c, -C or -l";
  if (options.source_ports != 0 && options.hedges[0] != 0)
    return "--source-ports: not with --hedge; -r sends further packets";
  if (options.least_reachable != 0 && options.mode != Mode::kVerdict) return "-x, -X: not with -c, -C or -l";
  return "";
}

}  // namespace

std::string CheckTogether(const Options& options) {
  for (auto* check : {&CheckTargets, &CheckTimes, &CheckMechanism, &CheckOutput}) {
    if (std::string message = check(options); !message.empty()) return message;
  }
  return "";
}

}  // namespace fcprobe
