#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#include "benchmarks/probe_scenarios.h"
#include "benchmarks/tun_responder.h"

namespace {

constexpr int64_t kDeadline = 10 * lab::kMillisecond;
constexpr char kForeign[] = "somebody";  // what the payload of the other's requests begins with
constexpr int64_t kPacketsPerSecond = 50'000;

struct Mechanism {
  const char* name;
  uint32_t number;
  uint16_t port;
};

fc_probe_options How(const Mechanism& mechanism) {
  fc_probe_options options = Options(kDeadline, 3 * lab::kMillisecond);
  options.mechanism = mechanism.number;
  return options;
}

sockaddr_in Port(const char* address, uint16_t port) {
  sockaddr_in out = lab::Address(address);
  out.sin_port = htons(port);
  return out;
}

// Pings `to` every 5 ms, and gets its answers.
int PingOn(const char* address) {
  const int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  const sockaddr_in to = lab::Address(address);
  for (;; usleep(5000)) {
    uint8_t request[24], reply[128];
    FillEchoRequest(0, 1, request);
    std::memcpy(request + 8, kForeign, sizeof(kForeign) - 1);  // a ping socket puts the sum right
    sendto(fd, request, sizeof(request), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0) {
    }
  }
}

// Datagrams that the far side refuses would be rate-limited: it is connection attempts to a closed port, each
// answered by a reset, which every raw TCP socket gets to see.
int TcpFlood(int64_t seconds) {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
  const sockaddr_in to = lab::Address(lab::kFar);
  const int small = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  uint16_t header[10] = {htons(40000), htons(9), 0, 0, 0, 0, htons(5 << 12 | 2), htons(1024), 0, 0};
  const int64_t begin = lab::Now();
  int64_t sent = 0;
  for (int64_t now = begin; now < begin + seconds * lab::kSecond; now = lab::Now()) {
    for (const int64_t due = (now - begin) * kPacketsPerSecond / lab::kSecond; sent < due; ++sent) {
      header[0] = htons(static_cast<uint16_t>(40000 + sent % 20000));
      // RFC 9293, 3.1: the sum covers a pseudo header, too.
      uint32_t sum = 6 + sizeof(header);
      header[8] = 0;
      for (const char* end : {lab::kNear, lab::kFar}) {
        const uint32_t address = ntohl(lab::Address(end).sin_addr.s_addr);
        sum += (address >> 16) + (address & 0xffff);
      }
      for (const uint16_t word : header) sum += ntohs(word);
      while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
      header[8] = htons(static_cast<uint16_t>(~sum));
      sendto(fd, header, sizeof(header), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    }
    usleep(200);
  }
  return 0;
}

int PingFlood(int64_t seconds) {
  const int null = open("/dev/null", O_WRONLY);
  dup2(null, STDOUT_FILENO);
  dup2(null, STDERR_FILENO);
  execlp("ping", "ping", "-q", "-f", "-w", std::to_string(seconds).c_str(), lab::kFar, nullptr);
  return 127;
}

// Wrong verdicts of `probes` on a live and a silent host each. The silent one's deadlines overlap.
int64_t Wrong(Prober* prober, const Mechanism& mechanism, const char* silent, int64_t probes, bool live_too) {
  const fc_probe_options options = How(mechanism);
  const sockaddr_in live = Port(lab::kFar, mechanism.port), dead = Port(silent, mechanism.port);
  struct Tally {
    int64_t done = 0, up = 0;
  } tally;
  const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
    Tally& counted = *static_cast<Tally*>(user_data);
    ++counted.done;
    counted.up += result->verdict != FC_VERDICT_DOWN_TIMEOUT;
  };
  int64_t wrong = 0, begun = 0;
  for (; tally.done < probes;) {
    for (; begun < std::min(probes, tally.done + 8); ++begun)
      fc_prober_probe(prober->get(), reinterpret_cast<const sockaddr*>(&dead), sizeof(dead), &options, take,
                      &tally, nullptr);
    if (live_too) {
      const int32_t verdict = prober->Ask(live, options).verdict;
      wrong += verdict != FC_VERDICT_UP && verdict != FC_VERDICT_UP_PORT_CLOSED;
    }
    prober->Turn(lab::Now() + lab::kMillisecond);
  }
  return wrong + tally.up;
}

void Judge(const std::string& name, const Mechanism& mechanism, const char* silent, bool live_too,
           int64_t probes, Report* report) {
  Prober prober(mechanism.number);
  if (!prober.ok()) return;
  report->Add(name + "." + mechanism.name,
              static_cast<double>(Wrong(&prober, mechanism, silent, probes, live_too)));
}

// A counter of this side's stack, such as "Tcp:" "InSegs".
int64_t Counter(const std::string& protocol, const std::string& name) {
  std::ifstream file("/proc/self/net/snmp");
  std::string head, figures;
  while (std::getline(file, head) && std::getline(file, figures)) {
    std::istringstream names(head), values(figures);
    std::string label, found_name, value;
    if (!(names >> label && values >> value) || label != protocol) continue;
    while (names >> found_name && values >> value)
      if (found_name == name) return std::stoll(value);
  }
  return 0;
}

constexpr Mechanism kMechanisms[] = {{"datagram", FC_PROBE_ICMP_DATAGRAM, 0},
                                     {"raw", FC_PROBE_ICMP_RAW, 0},
                                     {"tcp_syn", FC_PROBE_TCP_SYN, 9},
                                     {"tcp_connect", FC_PROBE_TCP_CONNECT, 9}};

// The target answers the other's requests, and not ours.
void Pinged(int64_t probes, Report* report) {
  TunResponder responder;
  const std::string problem = responder.Open();
  if (!problem.empty()) return;
  DelayDistribution at_once;
  at_once.body_median_ms = 0.05;
  at_once.tail_share = 0;
  const pid_t path = lab::Spawn([&] {
    responder.Serve(at_once, 1, kForeign);
    return 0;
  });
  const pid_t other = lab::Spawn([] { return PingOn(lab::kDelayed); });
  for (const Mechanism& mechanism : {kMechanisms[0], kMechanisms[1]})
    Judge("pinged", mechanism, lab::kDelayed, false, probes, report);
  int64_t deceived = 0;
  int error;
  for (int64_t i = 0; i < probes; ++i)
    deceived += AskByNewRawSocket(lab::Address(lab::kDelayed), kDeadline, &error);
  report->Add("pinged.new_socket", static_cast<double>(deceived));
  lab::End(other);
  lab::End(path);
}

// What comes in meanwhile is `counter` of `protocol`, and is told as a rate.
void Flooded(const std::string& name, const std::function<int()>& flood, const char* protocol,
             const char* counter, int64_t probes, Report* report) {
  const pid_t child = lab::Spawn(flood);
  const int64_t begin = lab::Now(), before = Counter(protocol, counter);
  for (const Mechanism& mechanism : kMechanisms) Judge(name, mechanism, lab::kSilent, true, probes, report);
  report->Add(name + ".per_second", static_cast<double>(Counter(protocol, counter) - before) * 1e9 /
                                        static_cast<double>(lab::Now() - begin));
  lab::End(child);
}

}  // namespace

void Floods(const Arguments& arguments, Report* report) {
  constexpr int64_t kSeconds = 20;  // at the longest
  const int64_t probes = Number(arguments, "probes", 300);
  report->Add("probes", static_cast<double>(probes));
  Pinged(probes, report);
  Flooded(
      "ping_flood", [] { return PingFlood(kSeconds); }, "Icmp:", "InEchoReps", probes, report);
  Flooded(
      "tcp_flood", [] { return TcpFlood(kSeconds); }, "Tcp:", "InSegs", probes, report);
}
