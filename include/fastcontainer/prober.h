// The port through which the router asks whether a host answers. Drivers: lib/probe/ (ICMP), tests/sim/
// (virtual).
#ifndef FASTCONTAINER_PROBER_H_
#define FASTCONTAINER_PROBER_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/address.h"
#include "fastcontainer/probe.h"

namespace fastcontainer {

// Belongs to the loop's thread.
class Prober {
 public:
  using ProbeId = uint64_t;  // 0 names no probe
  using Callback = absl::AnyInvocable<void(const ProbeResult&)>;

  virtual ~Prober() = default;
  // Judges `host` (its port is ignored by ICMP; the other mechanisms need one). The callback runs once,
  // later, unless cancelled. A prober whose mechanism is not permitted on this machine answers kLocalFault
  // (EPERM): reachability then rests on ECHO alone.
  virtual ProbeId Probe(const Address& host, const ProbeOptions& options, Callback callback) = 0;
  // True: the callback will never run.
  virtual bool Cancel(ProbeId id) = 0;
  // What probes are made of, for logs and metrics.
  virtual ProbeMechanism mechanism() const = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_PROBER_H_
