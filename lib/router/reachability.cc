#include "lib/router/reachability.h"

namespace fastcontainer {

HostVerdict Judge(const Evidence& evidence) {
  if (evidence.dispatcher == DispatcherEvidence::kAnswered) return HostVerdict::kUp;
  const bool refused = evidence.dispatcher == DispatcherEvidence::kRefused;
  const bool no_service = refused || evidence.dispatcher == DispatcherEvidence::kSilent;
  switch (evidence.icmp) {
    case IcmpEvidence::kAnswered:
      return no_service ? HostVerdict::kServiceDown : HostVerdict::kUp;
    case IcmpEvidence::kSilent:
      // A filter on the way may eat ICMP: bytes from a container are as good an answer.
      return evidence.bytes ? HostVerdict::kUp : HostVerdict::kDown;
    case IcmpEvidence::kPending:
      return evidence.bytes && !no_service ? HostVerdict::kUp : HostVerdict::kUndecided;
    case IcmpEvidence::kUnavailable:
      if (evidence.bytes) return HostVerdict::kUp;
      // A refusal is an ICMP error that the host itself sends, or a firewall before it; either way nobody
      // serves.
      return no_service ? HostVerdict::kDown : HostVerdict::kUndecided;
    case IcmpEvidence::kLocalFault:
      if (evidence.bytes) return HostVerdict::kUp;
      return no_service ? HostVerdict::kLocalFault : HostVerdict::kUndecided;
  }
  return HostVerdict::kUndecided;
}

}  // namespace fastcontainer
