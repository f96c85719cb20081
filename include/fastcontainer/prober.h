// The port through which the router asks whether a host answers. Drivers: lib/probe/ (ICMP), tests/sim/
// (virtual).
#ifndef FASTCONTAINER_PROBER_H_
#define FASTCONTAINER_PROBER_H_

#include <array>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

enum class Verdict : uint8_t {
  kUp = 0,
  kUpPortClosed = 1,     // a TCP reset: the host lives, the port is closed
  kDownUnreachable = 2,  // an ICMP error or errno said so; see ProbeResult::error
  kDownTimeout = 3,      // no answer that the kernel stamped within the deadline
  kLocalFault = 4,       // own firewall, route, link or buffers: says nothing about the host
};

enum class ProbeMechanism : uint8_t {
  kNone = 0,
  kIcmpDatagram = 1,  // ping socket: needs net.ipv4.ping_group_range
  kIcmpRaw = 2,       // raw socket with ICMP_FILTER: needs CAP_NET_RAW
  kTcpConnect = 3,
  kTcpSyn = 4,
  kEcho = 5,  // the dispatcher's own authenticated ECHO
};

struct ProbeOptions {
  Nanos deadline = 10 * kMillisecond;  // from the first packet
  // Further packets inside the same deadline, measured from the first; 0 or past the deadline: none.
  std::array<Nanos, 2> hedge = {3 * kMillisecond, 0};
};

struct ProbeResult {
  Verdict verdict = Verdict::kLocalFault;
  ProbeMechanism mechanism = ProbeMechanism::kNone;
  uint8_t packets = 0;  // sent
  int error = 0;        // errno for kDownUnreachable and kLocalFault
  int icmp_type = -1;   // of the ICMP error, where there was one
  int icmp_code = -1;
  Nanos rtt = 0;       // from the answered packet's departure to the kernel's receive stamp
  Nanos user_rtt = 0;  // the same to the time when the loop read it: the difference is the loop's stall
};

// Belongs to the loop's thread.
class Prober {
 public:
  using ProbeId = uint64_t;  // 0 names no probe
  using Callback = absl::AnyInvocable<void(const ProbeResult&)>;

  virtual ~Prober() = default;
  // Judges `host` (its port is ignored by ICMP). The callback runs once, later, unless cancelled. A prober
  // whose mechanism is not permitted on this machine answers kLocalFault (EPERM): reachability then rests on
  // ECHO alone.
  virtual ProbeId Probe(const Address& host, const ProbeOptions& options, Callback callback) = 0;
  // True: the callback will never run.
  virtual bool Cancel(ProbeId id) = 0;
  // What probes are made of, for logs and metrics.
  virtual ProbeMechanism mechanism() const = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_PROBER_H_
