// Words and figures that the reports share.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_TEXT_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_TEXT_H_

#include <fastcontainer.h>

#include <cstdint>
#include <string>
#include <vector>

#include "examples/fcprobe/histogram.h"

namespace fcprobe {

// Milliseconds as fping prints them: "0.047", "4.71", "12.3", "500".
std::string Milliseconds(uint64_t nanoseconds);
const char* VerdictName(int32_t verdict);       // "down_timeout"
const char* MechanismName(uint32_t mechanism);  // "icmp-datagram"
// Why it is not up, or not quite: "Host Unreachable", "no answer within 500 ms". Empty for FC_VERDICT_UP.
std::string Reason(const fc_probe_result& result, int family);
// What an ICMP or ICMPv6 error says.
std::string IcmpErrorText(int family, int32_t type, int32_t code);

// Rows of a 1-2-5 series from the first to the last that is not empty, with bars of at most `width`.
std::vector<std::string> HistogramRows(const Histogram& histogram, size_t width);

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_TEXT_H_
