// The port through which the router asks whether a host answers. Drivers: lib/probe/ (ICMP), tests/sim/
// (virtual).
#ifndef FASTCONTAINER_PROBER_H_
#define FASTCONTAINER_PROBER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/probe.h"
#include "fastcontainer/reactor.h"

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

  // Evidence without a probe: bytes have come from `host` now, after `rtt` (ns; 0: unknown). A probe with
  // ProbeOptions::freshness that begins within that time is answered from it. A driver may ignore it.
  virtual void NoteAlive(const Address& /*host*/, Nanos /*rtt*/) {}
  // The same from what the kernel knows of a connected TCP socket (TCP_INFO): its peer's last data or
  // acknowledgement, at its age. Errors: NotFound: nothing yet; InvalidArgument: no such socket;
  // Unimplemented.
  virtual absl::Status NoteConnection(int fd);
};

// The prober of a real process: ICMP if it is permitted; else one that answers kLocalFault, and `problem`
// (may be null) says which sysctl allows it. `reactor` must outlive it; callbacks that wait when it is
// destroyed never run. Errors: what else socket() and epoll_ctl() may say.
absl::StatusOr<std::unique_ptr<Prober>> OpenProber(Reactor& reactor, std::string* problem = nullptr);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_PROBER_H_
