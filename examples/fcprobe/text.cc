#include "examples/fcprobe/text.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace fcprobe {
namespace {

// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
constexpr std::array<const char*, 16> kUnreachable = {"Network Unreachable",
                                                      "Host Unreachable",
                                                      "Protocol Unreachable",
                                                      "Port Unreachable",
                                                      "Fragmentation Needed",
                                                      "Source Route Failed",
                                                      "Destination Network Unknown",
                                                      "Destination Host Unknown",
                                                      "Source Host Isolated",
                                                      "Network Administratively Prohibited",
                                                      "Host Administratively Prohibited",
                                                      "Network Unreachable for Type of Service",
                                                      "Host Unreachable for Type of Service",
                                                      "Communication Administratively Prohibited",
                                                      "Host Precedence Violation",
                                                      "Precedence Cutoff"};
// RFC 4443 section 3.1.
constexpr std::array<const char*, 7> kUnreachable6 = {"No Route to Destination",
                                                      "Communication Administratively Prohibited",
                                                      "Beyond Scope of Source Address",
                                                      "Address Unreachable",
                                                      "Port Unreachable",
                                                      "Source Address Failed Policy",
                                                      "Route Rejected"};

template <size_t kSize>
const char* Named(const std::array<const char*, kSize>& names, int32_t code) {
  return code >= 0 && static_cast<size_t>(code) < kSize ? names[static_cast<size_t>(code)] : nullptr;
}

std::string Print(const char* format, double value) {
  char text[40];
  snprintf(text, sizeof(text), format, value);
  return text;
}

std::string Scaled(uint64_t nanoseconds) {
  const double value = static_cast<double>(nanoseconds);
  if (value < 1e3) return Print("%3.0f ns", value);
  if (value < 1e6) return Print("%3.0f us", value / 1e3);
  if (value < 1e9) return Print("%3.0f ms", value / 1e6);
  return Print("%3.0f s ", value / 1e9);
}

struct Row {
  uint64_t low, high, count;
};

std::vector<Row> Rows(const Histogram& histogram) {
  std::vector<Row> rows;
  uint64_t low = 0, decade = 1;
  for (size_t i = 0; low <= Histogram::kMost; ++i) {
    static constexpr uint64_t kSteps[] = {1, 2, 5};
    const uint64_t high = decade * kSteps[i % 3];
    rows.push_back({low, high, 0});
    low = high;
    if (i % 3 == 2) decade *= 10;
  }
  histogram.ForEach([&rows](uint64_t value, uint64_t count) {
    const auto row = std::upper_bound(rows.begin(), rows.end(), value,
                                      [](uint64_t v, const Row& r) { return v < r.high; });
    row->count += count;
  });
  const auto used = [](const Row& row) { return row.count != 0; };
  rows.erase(rows.begin(), std::find_if(rows.begin(), rows.end(), used));
  while (!rows.empty() && !used(rows.back())) rows.pop_back();
  return rows;
}

}  // namespace

std::string Milliseconds(uint64_t nanoseconds) {
  const double value = static_cast<double>(nanoseconds) / 1e6;
  if (value < 1) return Print("%.3f", value);
  if (value < 10) return Print("%.2f", value);
  if (value < 100) return Print("%.1f", value);
  return Print("%.0f", value);
}

const char* VerdictName(int32_t verdict) {
  static constexpr std::array<const char*, 5> kNames = {"up", "up_port_closed", "down_unreachable",
                                                        "down_timeout", "local_fault"};
  const char* name = Named(kNames, verdict);
  return name == nullptr ? "unknown" : name;
}

const char* MechanismName(uint32_t mechanism) {
  static constexpr std::array<const char*, 7> kNames = {"none", "icmp-datagram", "icmp-raw", "tcp",
                                                        "syn",  "echo",          "udp"};
  const char* name = mechanism < kNames.size() ? kNames[mechanism] : nullptr;
  return name == nullptr ? "unknown" : name;
}

std::string IcmpErrorText(int family, int32_t type, int32_t code) {
  const bool six = family == AF_INET6;
  const bool unreachable = type == (six ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH);
  const char* name = six ? Named(kUnreachable6, code) : Named(kUnreachable, code);
  if (unreachable && name != nullptr) return name;
  if (type == (six ? ICMP6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED)) return "Time to Live Exceeded";
  if (six && type == ICMP6_PACKET_TOO_BIG) return "Packet Too Big";
  return "ICMP type " + std::to_string(type) + " code " + std::to_string(code);
}

std::string Reason(const fc_probe_result& result, int family) {
  switch (result.verdict) {
    case FC_VERDICT_UP:
      return "";
    case FC_VERDICT_UP_PORT_CLOSED:
      return "port closed";
    case FC_VERDICT_DOWN_TIMEOUT:
      return "no answer within " + Print("%.10g", static_cast<double>(result.deadline_ns) / 1e6) + " ms";
    default:
      break;
  }
  if (result.icmp_type >= 0) return IcmpErrorText(family, result.icmp_type, result.icmp_code);
  return result.error == 0 ? "unknown" : strerror(result.error);
}

std::vector<std::string> HistogramRows(const Histogram& histogram, size_t width) {
  const std::vector<Row> rows = Rows(histogram);
  uint64_t most = 0;
  for (const Row& row : rows) most = std::max(most, row.count);
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    const auto bar = static_cast<size_t>(row.count * width / most);
    char tail[64];
    snprintf(tail, sizeof(tail), " %llu %.1f%%", static_cast<unsigned long long>(row.count),
             100 * static_cast<double>(row.count) / static_cast<double>(histogram.count()));
    lines.push_back(Scaled(row.low) + " - " + Scaled(row.high) + " |" + std::string(bar, '#') + tail);
  }
  return lines;
}

}  // namespace fcprobe
